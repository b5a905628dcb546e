import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from fakesound.metrics import ClipScore, metrics_block
from fakesound.metrics.torchmetrics import Accumulated, ScoreAccumulator, ScoreMetric
from tests.factories import make_clip

FRAMES = 6


def batch(indices):
    """Return logits that encode clip and frame; clip i has i % 6 + 1 frames."""
    index = torch.tensor(indices)
    frames = index[:, None] * 100.0 + torch.arange(FRAMES)
    return {
        "index": index,
        "clip_logit": index.float() / 2,
        "frame_logits": frames,
        "frame_count": index % FRAMES + 1,
    }


def assert_complete(found, clips):
    assert found.clip_index.tolist() == list(range(clips))
    np.testing.assert_array_equal(found.clip_logit, np.arange(clips) / 2)
    assert len(found.frame_logit) == clips
    for i, frames in enumerate(found.frame_logit):
        np.testing.assert_array_equal(frames, i * 100 + np.arange(i % FRAMES + 1))


@pytest.mark.parametrize(
    "batches",
    [[[7, 2, 0], [5, 1], [4, 6, 3, 2, 0]], [[*range(8)]], [[i] for i in range(8)]],
    ids=["repeated", "one", "single"],
)
def test_clips_come_back_in_order_and_once_whatever_the_batches(batches):
    accumulator = ScoreAccumulator()
    accumulator.update(**batch([9, 8]))
    accumulator.reset()
    for indices in batches:
        accumulator.update(**batch(indices))
    assert_complete(accumulator.compute(), 8)


def test_half_precision_and_gradients_are_dropped():
    accumulator = ScoreAccumulator()
    logit = torch.tensor([0.5, 1.5], dtype=torch.bfloat16, requires_grad=True)
    accumulator.update(torch.tensor([1, 0]), clip_logit=logit)
    found = accumulator.compute()
    assert found.clip_logit.dtype == np.float32
    assert found.clip_logit.tolist() == [1.5, 0.5]


def test_models_with_one_task():
    clip_only, frame_only = ScoreAccumulator(), ScoreAccumulator()
    full = batch([2, 0, 1])
    clip_only.update(full["index"], clip_logit=full["clip_logit"])
    assert clip_only.compute().frame_logit is None
    assert clip_only.compute().clip_logit.tolist() == [0, 0.5, 1]
    del full["clip_logit"]
    frame_only.update(**full)
    assert frame_only.compute().clip_logit is None
    assert [frames[0] for frames in frame_only.compute().frame_logit] == [0, 100, 200]


def test_incomplete_batches_are_refused():
    full = batch([0, 1])
    accumulator = ScoreAccumulator()
    with pytest.raises(ValueError, match="go together"):
        accumulator.update(full["index"], frame_logits=full["frame_logits"])
    accumulator.update(**full)
    accumulator.update(torch.tensor([2]), clip_logit=torch.ones(1))
    with pytest.raises(ValueError, match="some batches are missing"):
        accumulator.compute()
    accumulator.reset()
    accumulator.update(**full | {"frame_count": torch.tensor([1, FRAMES + 1])})
    with pytest.raises(ValueError, match="exceeds the number of frames"):
        accumulator.compute()


def run_rank(rank, address, out):
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    # uneven batches, clip 0 repeated as a sampler does to fill up; then a rank without a batch
    for name, batches in {
        "uneven": [[[6, 0], [2, 4]], [[1, 3], [5], [0]]],
        "empty": [[[0, 3], [2, 1]], []],
    }.items():
        accumulator = ScoreAccumulator()
        for indices in batches[rank]:
            accumulator.update(**batch(indices))
        found = accumulator.compute()
        np.savez(
            f"{out}/{name}{rank}.npz",
            clip_index=found.clip_index,
            clip_logit=found.clip_logit,
            frame_logit=np.concatenate(found.frame_logit),
            frame_count=[len(frames) for frames in found.frame_logit],
        )
    dist.destroy_process_group()


def test_devices_agree_on_all_clips(tmp_path):
    mp.spawn(run_rank, (f"file://{tmp_path}/meet", str(tmp_path)), nprocs=2)
    for name, clips in (("uneven", 7), ("empty", 4)):
        for rank in range(2):
            found = np.load(tmp_path / f"{name}{rank}.npz")
            frames = np.split(found["frame_logit"], np.cumsum(found["frame_count"])[:-1])
            assert_complete(Accumulated(found["clip_index"], found["clip_logit"], frames), clips)


def dataset():
    """Twelve clips of 0.1 s, every other one fake in its first half."""
    return [
        make_clip(str(i), regions=[(0.0, 0.05)] if i % 2 else (), duration=0.1) for i in range(12)
    ]


@pytest.mark.parametrize("key", ["clip/auc", "clip/cllr", "segment_f1_20ms", "frame/auc"])
def test_a_figure_over_an_epoch_is_that_of_the_block(key):
    clips, rng = dataset(), np.random.default_rng(0)
    logits, frames = rng.normal(size=12), rng.normal(size=(12, 5))
    metric = ScoreMetric(key, clips)
    for start in (0, 5, 9, 7):  # batches overlap, as those of a distributed sampler do
        index = np.arange(start, min(start + 5, 12))
        metric.update(
            torch.from_numpy(index),
            torch.from_numpy(logits[index]),
            torch.from_numpy(frames[index]),
            torch.full((index.size,), 5),
        )
    scores = [
        ClipScore.of(
            clip,
            1 / (1 + np.exp(-np.float32(logit))),
            logit=float(np.float32(logit)),
            frame_scores=(1 / (1 + np.exp(-row.astype(np.float32)))).astype(np.float32),
        )
        for clip, logit, row in zip(clips, logits, frames, strict=True)
    ]
    assert float(metric.compute()) == pytest.approx(metrics_block(scores)[key], abs=1e-6)


def test_an_undefined_figure_is_nan_and_an_unknown_one_refused():
    metric = ScoreMetric("clip/auc", dataset())
    metric.update(torch.tensor([0, 2]), torch.tensor([0.1, 0.2]))
    assert torch.isnan(metric.compute())
    with pytest.raises(ValueError, match="key='clip/acc'"):
        ScoreMetric("clip/acc", dataset())
