import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from fakesound.training.accumulate import Accumulated, ScoreAccumulator

FRAMES = 6


def batch(indices):
    """Logits that name their clip and frame: clip i has i % 6 + 1 frames."""
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


def test_clips_come_back_in_order_and_once():
    accumulator = ScoreAccumulator()
    for indices in ([7, 2, 0], [5, 1], [4, 6, 3, 2, 0]):
        accumulator.update(**batch(indices))
    assert_complete(accumulator.compute(), 8)


def test_batch_size_does_not_matter():
    whole, single = ScoreAccumulator(), ScoreAccumulator()
    whole.update(**batch(list(range(9))))
    for i in range(9):
        single.update(**batch([i]))
    assert_complete(whole.compute(), 9)
    assert_complete(single.compute(), 9)


def test_reset_forgets():
    accumulator = ScoreAccumulator()
    accumulator.update(**batch([0, 1, 2]))
    accumulator.reset()
    accumulator.update(**batch([1, 0]))
    assert_complete(accumulator.compute(), 2)


def test_half_precision_and_gradients_are_shed():
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
    with pytest.raises(ValueError, match="exceeds the frames"):
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
