"""Small clips for tests of crops and windows."""

from pathlib import Path

import numpy as np
import soundfile
import torch

from fakesound.config import CropConfig, PublishedConfig
from fakesound.data.audio import read_pcm, write_wav
from fakesound.data.crops import Changes, CropDataset
from fakesound.timeline import FrameGrid, Region
from tests import factories

RATE = 16_000
FRAME = 320
GRID = FrameGrid()


def quiet(audio, held, rate, rng):
    return audio


def loud(audio, held, rate, rng):
    samples = rng.uniform(0.5, 2) * audio
    samples[:held] += rng.normal(0, 1e-3, held)
    return samples.astype(np.float32)


def unvaried(genuine, fake, rate, rng):
    return fake


GAPS = (Region(0.1, 0.22), Region(0.53, 0.6), Region(1.0, 1.25))


def make_clip(path, attack=None, regions=(), twin=None, duration=None, rate=RATE):
    return factories.make_clip(
        Path(path).stem,
        path,
        attack,
        regions,
        source_id=twin or Path(path).stem,
        duration=duration or soundfile.info(path).duration,
        sample_rate=rate,
        corpus="made",
        split="train",
        twin_id=twin,
    )


def write_clips(folder):
    """Write three genuine clips; of each two fakes, one throughout and one in gaps; one alone."""
    rng = np.random.default_rng(0)

    def noise(samples):
        return rng.normal(0, 2_000, samples).round().astype(np.int16)

    result = []
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
        result += [
            make_clip(paths["genuine"]),
            make_clip(paths["whole"], "a/whole", [Region(0, round(seconds, 6))], twin),
            make_clip(paths["gaps"], "b/gaps", GAPS, twin),
        ]
    write_wav(folder / "alone.wav", noise(RATE), RATE)
    return [*result, make_clip(folder / "alone.wav", "c/alone", [Region(0.2, 0.5)])]


def unlaundered(fake, genuine, rate, rng):
    return fake, genuine


def halved(audio, rate, rng):
    return 0.5 * audio


def crops(
    clips,
    augment=quiet,
    seed=0,
    vary=unvaried,
    launder=unlaundered,
    recolour=halved,
    weights=None,
    forged=0.25,
    **settings,
):
    later = settings.pop("later", range(0))
    published = PublishedConfig(forged=forged, paste=settings.pop("paste", 0.4))
    settings = {"seconds": 0.5, "fully_fake_share": 0.15, "cross_recording_share": 0} | settings
    crop = CropConfig(**settings, weights=weights or {})
    changes = Changes(augment, vary, launder, recolour)
    return CropDataset(clips, GRID, RATE, crop, published, changes, seed, later)


def only(clips, *attacks):
    return [clip for clip in clips if clip.attack is None or clip.attack in attacks]


def differs(one, other):
    """Return a mask of the frames in which two waveforms differ."""
    return (one != other).reshape(-1, FRAME).any(1)


def found_in(clip, waveform):
    """Return the first sample of ``waveform`` in the audio of ``clip``; None if it is not in it."""
    pcm = (waveform.numpy() * 32_768).astype(np.int16)
    audio = read_pcm(clip.location, 0, -1)
    for start in np.flatnonzero(audio == pcm[0]):
        if np.array_equal(audio[start : start + len(pcm)], pcm):
            return int(start)
    return None


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
