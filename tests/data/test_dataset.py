from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from fakesound.data.audio import read_pcm, write_wav
from fakesound.data.dataset import (
    CropDataset,
    CropSettings,
    EpochSampler,
    WindowDataset,
    collate,
    window_starts,
)
from fakesound.data.manifest import Clip
from fakesound.timeline import FrameGrid, Region

RATE = 16_000
FRAME = 320
GRID = FrameGrid()


def quiet(audio, held, rate, rng):
    return audio


def loud(audio, held, rate, rng):
    made = rng.uniform(0.5, 2) * audio
    made[:held] += rng.normal(0, 1e-3, held)
    return made.astype(np.float32)


GAPS = (Region(0.1, 0.22), Region(0.53, 0.6), Region(1.0, 1.25))


def make_clip(path, attack=None, regions=(), twin=None, duration=None, rate=RATE):
    return Clip(
        clip_id=Path(path).stem,
        path=Path(path),
        source_id=twin or Path(path).stem,
        label="genuine" if attack is None else "fake",
        attack=attack,
        regions=tuple(regions),
        duration=duration or soundfile.info(path).duration,
        sample_rate=rate,
        corpus="made",
        split="train",
        twin_id=twin,
    )


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Three genuine clips; of each one fake throughout and one fake in gaps; one without twin."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)

    def noise(samples):
        return rng.normal(0, 2_000, samples).round().astype(np.int16)

    found = []
    for number, seconds in enumerate((1.3, 1.5, 1.7004375)):
        samples = round(seconds * RATE)
        genuine, whole = noise(samples), noise(samples)
        gaps = genuine.copy()
        for region in GAPS:
            span = slice(round(region.onset * RATE), round(region.offset * RATE))
            gaps[span] = noise(span.stop - span.start)
        paths = {name: folder / f"{name}{number}.wav" for name in ("genuine", "whole", "gaps")}
        for name, pcm in (("genuine", genuine), ("whole", whole), ("gaps", gaps)):
            write_wav(paths[name], pcm, RATE)
        twin = f"genuine{number}"
        found += [
            make_clip(paths["genuine"]),
            make_clip(paths["whole"], "a/whole", [Region(0, round(seconds, 6))], twin),
            make_clip(paths["gaps"], "b/gaps", GAPS, twin),
        ]
    write_wav(folder / "alone.wav", noise(RATE), RATE)
    return [*found, make_clip(folder / "alone.wav", "c/alone", [Region(0.2, 0.5)])]


def crops(clips, augment=quiet, seed=0, **settings):
    settings = CropSettings(**({"seconds": 0.5} | settings))
    return CropDataset(clips, GRID, RATE, settings, augment, seed)


def only(clips, *attacks):
    return [clip for clip in clips if clip.attack is None or clip.attack in attacks]


def differs(one, other):
    """Which frames of two waveforms differ."""
    return (one != other).reshape(-1, FRAME).any(1)


def found_in(clip, waveform):
    """Where ``waveform`` lies in the audio of ``clip``; None if it does not."""
    pcm = (waveform.numpy() * 32_768).astype(np.int16)
    audio = read_pcm(clip.path, 0, -1)
    for start in np.flatnonzero(audio == pcm[0]):
        if np.array_equal(audio[start : start + len(pcm)], pcm):
            return int(start)
    return None


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("augment", [quiet, loud])
def test_an_item_is_the_same_whenever_it_is_read(clips, augment):
    one = [crops(clips, augment)[number] for number in range(24)]
    dataset = crops(clips, augment)
    for number in reversed(range(24)):
        assert same(dataset[number], one[number])
    assert len({item.waveform.numpy().tobytes() for item in one}) == 24
    other = crops(clips, augment, seed=1)
    assert not any(torch.equal(other[n].waveform, one[n].waveform) for n in range(24))


def test_an_item_has_the_length_and_types_of_a_crop(clips):
    item = crops(clips, loud)[4]
    assert item.waveform.shape == (RATE // 2,)
    assert item.frame_target.shape == item.frame_mask.shape == (25,)
    assert item.waveform.dtype == item.frame_target.dtype == torch.float32
    assert (item.frame_mask.dtype, item.clip_target.shape) == (torch.bool, ())
    assert item.number == 4


def test_odd_numbers_are_genuine(clips):
    dataset = crops(clips, loud)
    for number in range(1, 60, 2):
        assert dataset[number].clip_target == 0
        assert not dataset[number].frame_target.any()


@pytest.mark.parametrize("attack", ["a/whole", "b/gaps"])
def test_the_partner_is_the_genuine_twin_of_the_same_window(clips, attack):
    genuine = [clip for clip in clips if clip.attack is None]
    dataset = crops(only(clips, attack))
    for number in range(0, 60, 2):
        fake, partner = dataset[number], dataset[number + 1]
        assert any(found_in(clip, partner.waveform) is not None for clip in genuine)
        changed = differs(fake.waveform.numpy(), partner.waveform.numpy())
        target = fake.frame_target.numpy() > 0
        # a frame that a region only grazes, or where it fades in, may come out the same
        inner = target & np.roll(target, 1) & np.roll(target, -1)
        inner[[0, -1]] = False
        assert not (changed & ~target).any()
        assert not (inner & ~changed).any()
        assert fake.clip_target == target.any()


def test_regions_of_gap_attacks_stay_where_they_were_filled(clips):
    dataset = crops(only(clips, "b/gaps"), seconds=1.0)
    gaps = GRID.targets(GAPS, 200)
    chosen = set()
    for number in range(0, 80, 2):
        partner = dataset[number + 1].waveform
        ((clip, start),) = [
            (clip, place)
            for clip in dataset.clips
            if clip.attack is None and (place := found_in(clip, partner)) is not None
        ]
        fake = dataset[number].waveform.numpy()
        samples = np.flatnonzero(fake != partner.numpy()) + start
        assert gaps[samples // FRAME].all()
        chosen.add(
            tuple(bool(np.isin(np.arange(r, r + 400), samples).any()) for r in (2_000, 8_600))
        )
        assert clip.clip_id.startswith("genuine")
    assert len(chosen) > 2  # now one gap, now the other, now both


def test_some_crops_are_fake_throughout(clips):
    every = crops(only(clips, "a/whole"), whole=1.0)
    assert all(every[number].frame_target.all() for number in range(0, 20, 2))
    none = crops(only(clips, "a/whole"), whole=0.0)
    assert not any(none[number].frame_target.all() for number in range(0, 20, 2))


def test_a_fake_without_twin_is_cropped_as_it_is(clips):
    dataset = crops(only(clips, "c/alone"))
    (alone,) = [clip for clip in clips if clip.attack == "c/alone"]
    genuine = [clip for clip in clips if clip.attack is None]
    for number in range(0, 20, 2):
        start = found_in(alone, dataset[number].waveform)
        truth = np.zeros(RATE, dtype=bool)
        truth[3_200:8_000] = True
        expected = truth[start : start + 8_000].reshape(-1, FRAME).any(1)
        assert np.array_equal(dataset[number].frame_target.numpy() > 0, expected)
        partner = dataset[number + 1].waveform
        assert any(found_in(clip, partner) is not None for clip in genuine)


@pytest.mark.parametrize("augment", [quiet, loud])
def test_clips_shorter_than_a_crop_are_padded(clips, augment):
    dataset = crops(clips, augment, seconds=2.0, weights={"c/*": 0})
    for number in range(30):
        item = dataset[number]
        held = int(item.frame_mask.sum())
        assert held in (65, 75, 86)
        assert item.frame_mask[:held].all()
        assert not item.waveform[held * FRAME :].any()
        assert item.waveform[: (held - 1) * FRAME].any()
        assert not item.frame_target[held:].any()


def test_fake_and_partner_are_augmented_alike(clips):
    dataset = crops(only(clips, "a/whole"), loud, whole=0)
    for number in range(0, 30, 2):
        fake, partner = dataset[number], dataset[number + 1]
        far = fake.frame_target.numpy() > 0
        far = ~(far | np.roll(far, 1) | np.roll(far, -1))
        far[[0, -1]] = False
        gap = np.abs(fake.waveform.numpy() - partner.waveform.numpy()).reshape(-1, FRAME)[far]
        assert gap.max(initial=0) < 1e-6


def test_weights_say_which_attacks_are_drawn(clips):
    (alone,) = [clip for clip in clips if clip.attack == "c/alone"]
    dataset = crops(clips, weights={"a/*": 0, "b/gaps": 0})
    assert all(found_in(alone, dataset[number].waveform) is not None for number in range(0, 20, 2))
    dataset = crops(clips, weights={"c/*": 0})
    assert all(found_in(alone, dataset[number].waveform) is None for number in range(0, 20, 2))


@pytest.mark.parametrize("seconds", [0.3, 0.5, 1.0, 4.0])
def test_windows_cover_each_frame_of_each_clip(clips, seconds):
    dataset = WindowDataset(clips, GRID, RATE, seconds)
    heard = [np.zeros(GRID.count(clip.duration), dtype=int) for clip in clips]
    for number in range(len(dataset)):
        item, (index, first) = dataset[number], dataset.windows[number]
        clip, count = clips[index], int(item.frame_mask.sum())
        heard[index][first : first + count] += 1
        audio = read_pcm(clip.path, 0, -1)[first * FRAME :][: dataset.frames * FRAME]
        made = (item.waveform.numpy() * 32_768).astype(np.int16)
        assert np.array_equal(made[: len(audio)], audio)
        assert not made[len(audio) :].any()
        assert count == -(-len(audio) // FRAME)
        truth = GRID.targets(clip.regions, len(heard[index]))[first:][:count]
        assert np.array_equal(item.frame_target.numpy()[:count] > 0, truth)
        assert not item.frame_target[count:].any()
        assert item.clip_target == truth.any()
        assert item.number == number
    assert all((count >= 1).all() for count in heard)
    assert max(count.max() for count in heard) <= 3


@pytest.mark.parametrize("window", [1, 2, 7, 50])
def test_window_starts(window):
    step = max(1, window // 2)
    for frames in range(1, 120):
        starts = window_starts(frames, window, step)
        covered = {start + i for start in starts for i in range(window)}
        assert covered >= set(range(frames))
        assert starts == sorted(set(starts))
        assert frames <= window or starts[-1] + window == frames


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("size", [12, 13])
def test_epochs_are_new_and_shared_among_processes(world_size, size):
    seen = []
    for epoch in range(3):
        drawn = []
        for rank in range(world_size):
            sampler = EpochSampler(size, rank, world_size)
            sampler.set_epoch(epoch)
            assert len(list(sampler)) == len(sampler) == 2 * (size // 2 // world_size)
            assert list(sampler) == list(sampler)
            fakes, partners = list(sampler)[0::2], list(sampler)[1::2]
            assert [fake + 1 for fake in fakes] == partners
            drawn += list(sampler)
        assert set(drawn) <= set(range(epoch * (size // 2 * 2), (epoch + 1) * (size // 2 * 2)))
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
    heard = 0
    dataset = WindowDataset([clip], GRID, RATE, 0.5)
    for number in range(len(dataset)):
        item, start = dataset[number], dataset.windows[number][1] * FRAME
        span = slice(200, min(8_000, 17_000 - start))
        expected = 0.3 * np.sin(2 * np.pi * 700 * (start + np.arange(8_000)) / RATE)
        assert item.waveform.numpy()[span] == pytest.approx(expected[span], abs=6e-3)
        heard += int(item.frame_target.sum())
    assert heard >= 20
