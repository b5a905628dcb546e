import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from fakesound import metrics
from fakesound.metrics import modular
from fakesound.timeline import Region

CLIP = {
    "ClipAUC": metrics.auc,
    "ClipEER": lambda *clips: metrics.eer(*clips).rate,
    "MinDCF": metrics.min_dcf,
    "ActDCF": metrics.act_dcf,
    "Cllr": metrics.cllr,
    "ECE": lambda logits, fake: metrics.ece(1 / (1 + np.exp(-logits)), fake),
}
FRAME = {
    "SegmentF1": lambda scores: metrics.segment_f1(scores, 20_000),
    "EventF1": metrics.event_f1,
    "RangeEER": lambda scores: metrics.range_eer(scores).rate,
}


def frame_metric(name, **options):
    resolution = {"resolution": 20_000} if name == "SegmentF1" else {}
    return getattr(modular, name)(**resolution, **options)


def clips(seed=0, size=40):
    rng = np.random.default_rng(seed)
    fake = rng.random(size) < 0.5
    return (rng.normal(size=size) + 2 * fake).astype(np.float32), fake


def frame_batches(scores, sizes):
    """The clips as padded batches of ``sizes``."""
    start = 0
    for size in sizes:
        part = scores[start : start + size]
        start += size
        count = torch.tensor([clip.frame_scores.size for clip in part])
        padded = torch.full((size, int(count.max()) + 2), 9.0)
        for row, clip in zip(padded, part, strict=True):
            row[: clip.frame_scores.size] = torch.tensor(clip.frame_scores)
        yield padded, count, [clip.regions for clip in part], [clip.duration for clip in part]


@pytest.mark.parametrize("name", CLIP)
@pytest.mark.parametrize("size", [1, 7, 40])
def test_clip_figures_do_not_depend_on_batches(name, size):
    logits, fake = clips()
    metric = getattr(modular, name)()
    for first in range(0, 40, size):
        part = slice(first, first + size)
        metric.update(torch.tensor(logits[part]), torch.tensor(fake[part]))
    expected = CLIP[name](logits.astype(float), fake)
    assert 0 < expected < 2
    assert float(metric.compute()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", FRAME)
@pytest.mark.parametrize("sizes", [[20], [1, 4, 15], [1] * 20])
def test_frame_figures_do_not_depend_on_batches(make_scores, name, sizes):
    scores = make_scores(1, gain=2.5, pairs=5) + make_scores(2, gain=2.5, pairs=5, frames=30)
    metric = frame_metric(name)
    for batch in frame_batches(scores, sizes):
        metric.update(*batch)
    expected = FRAME[name](scores)
    assert 0 < expected < 1
    assert float(metric.compute()) == pytest.approx(expected, abs=1e-6)


def test_step_threshold_and_resolution_are_used(make_clip):
    clip = make_clip(regions=[(0.2, 0.4)], frames=[0.1, 0.3, 0.1, 0.1, 0.1], frame_step=0.2)
    batch = next(frame_batches([clip], [1]))
    for threshold, expected in ((0.2, 1.0), (0.5, 0.0)):
        metric = modular.SegmentF1(100_000, frame_step=0.2, threshold=threshold)
        metric.update(*batch)
        assert metric.compute() == expected


@pytest.mark.parametrize("name", CLIP)
def test_undefined_is_nan(name):
    metric = getattr(modular, name)()
    metric.update(torch.zeros(0), torch.zeros(0, dtype=torch.bool))
    assert metric.compute().isnan()


@pytest.mark.parametrize("name", FRAME)
def test_undefined_without_fakes_is_nan(name):
    metric = frame_metric(name)
    metric.update(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), [], [])
    assert metric.compute().isnan()
    metric.reset()
    metric.update(torch.full((1, 50), 0.9), torch.tensor([50]), [[]], [1.0])
    assert metric.compute().isnan()


def test_reset_forgets_and_half_precision_is_taken():
    metric = modular.ClipAUC()
    fake = torch.tensor([True, False])
    metric.update(torch.tensor([0.5, 1.5]), fake)
    metric.reset()
    metric.update(torch.tensor([1.5, 0.5], dtype=torch.bfloat16, requires_grad=True), fake)
    assert metric.compute() == 1


def test_batches_of_other_clips_are_refused():
    with pytest.raises(ValueError, match="differ in length"):
        modular.EventF1().update(torch.zeros(2, 5), torch.tensor([5, 5]), [[]], [0.1, 0.1])


def run_rank(rank, address, out):
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    logits, fake = clips()
    auc, f1 = modular.ClipAUC(), modular.SegmentF1(20_000)
    part = slice(0, 13) if rank else slice(13, 40)
    auc.update(torch.tensor(logits[part]), torch.tensor(fake[part]))
    if rank:  # the other device has no clip with frames
        called = (torch.arange(50) < 10).float()[None]
        f1.update(called, torch.tensor([50]), [[Region(0.0, 0.4)]], [1.0])
    torch.save([float(auc.compute()), float(f1.compute())], f"{out}/{rank}.pt")
    dist.destroy_process_group()


def test_devices_agree_on_all_clips(tmp_path):
    mp.spawn(run_rank, (f"file://{tmp_path}/meet", str(tmp_path)), nprocs=2)
    logits, fake = clips()
    expected = [metrics.auc(logits.astype(float), fake), 2 * 10 / (2 * 10 + 10)]
    for rank in range(2):
        assert torch.load(tmp_path / f"{rank}.pt") == pytest.approx(expected, abs=1e-6)
