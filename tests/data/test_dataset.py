import numpy as np
import pytest
import soundfile
import torch

from fakesound.data.audio import read_pcm
from fakesound.data.dataset import EpochSampler, WindowDataset, collate
from fakesound.timeline import Region

from .made_clips import FRAME, GRID, RATE, crops, make_clip


@pytest.mark.parametrize("seconds", [0.3, 0.5, 1.0, 4.0])
def test_windows_cover_each_frame_of_each_clip(clips, seconds):
    dataset = WindowDataset(clips, GRID, RATE, seconds)
    covered = [np.zeros(GRID.count(clip.duration), dtype=int) for clip in clips]
    for number in range(len(dataset)):
        item, (index, first) = dataset[number], dataset.windows[number]
        clip, count = clips[index], int(item.frame_mask.sum())
        covered[index][first : first + count] += 1
        audio = read_pcm(clip.location, 0, -1)[first * FRAME :][: dataset.frames * FRAME]
        pcm = (item.waveform.numpy() * 32_768).astype(np.int16)
        assert np.array_equal(pcm[: len(audio)], audio)
        assert not pcm[len(audio) :].any()
        assert count == -(-len(audio) // FRAME)
        truth = GRID.targets(clip.regions, len(covered[index]))[first:][:count]
        assert np.array_equal(item.frame_target.numpy()[:count] > 0, truth)
        assert not item.frame_target[count:].any()
        assert item.clip_target == truth.any()
        assert item.number == number
    assert all((count >= 1).all() for count in covered)
    assert max(count.max() for count in covered) <= 3


@pytest.mark.parametrize("later", [None, (1, 12)])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_epochs_are_new_and_shared_among_processes(world_size, later):
    steps, crops, seen = 4, 24, []
    for epoch in range(3):
        drawn = []
        for rank in range(world_size):
            sampler = EpochSampler(steps, crops, rank, world_size, later)
            sampler.set_epoch(epoch)
            batches = list(sampler)
            assert batches == list(sampler)
            assert len(batches) == len(sampler) == steps
            size = crops if later is None or epoch < later[0] else later[1]
            assert {len(batch) for batch in batches} == {size // world_size}
            for batch in batches:
                assert [fake + 1 for fake in batch[0::2]] == batch[1::2]
            drawn += [number for batch in batches for number in batch]
        # a step has the same crops for any number of processes
        first = epoch * steps * crops
        assert sorted(drawn) == list(range(first, first + len(drawn)))
        seen += drawn
    assert len(set(seen)) == len(seen)


def test_items_become_a_batch(clips):
    items = [crops(clips)[number] for number in (6, 7, 2)]
    batch = collate(items)
    assert batch.waveform.shape == (3, RATE // 2)
    assert batch.frame_target.shape == batch.frame_mask.shape == (3, 25)
    assert batch.number.tolist() == [6, 7, 2]
    assert torch.equal(batch.waveform[1], items[1].waveform)


@pytest.mark.parametrize(
    ("name", "rate", "channels", "options"),
    [
        ("a.flac", RATE, 1, {}),
        ("a.flac", 44_100, 1, {}),
        ("b.wav", 22_050, 2, {}),
        ("c.wav", RATE, 1, {"subtype": "FLOAT"}),
        ("d.wav", RATE, 2, {}),
    ],
)
def test_clips_of_any_format_are_read(tmp_path, name, rate, channels, options):
    time = np.arange(round(1.1 * rate)) / rate
    tone = 0.3 * np.sin(2 * np.pi * 700 * time)
    soundfile.write(tmp_path / name, np.stack([tone] * channels, axis=1), rate, **options)
    # the manifest's duration is a little off, as those of other people are
    clip = make_clip(tmp_path / name, "x/y", [Region(0.5, 0.9)], duration=1.11, rate=rate)
    fake_frames = 0
    dataset = WindowDataset([clip], GRID, RATE, 0.5)
    for number in range(len(dataset)):
        item, start = dataset[number], dataset.windows[number][1] * FRAME
        span = slice(200, min(8_000, 17_000 - start))
        expected = 0.3 * np.sin(2 * np.pi * 700 * (start + np.arange(8_000)) / RATE)
        assert item.waveform.numpy()[span] == pytest.approx(expected[span], abs=6e-3)
        fake_frames += int(item.frame_target.sum())
    assert fake_frames >= 20
