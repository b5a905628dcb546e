from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fakesound.data.manifest import Clip
from fakesound.forging import ForgedClips, ForgeSettings, Job, folder_clips, forge, plan_jobs

RATE = 16_000
ATTACKS = [
    "codec/adpcm",
    "edit/addition",
    "edit/splice",
    "inpainting/extrapolation",
    "vocoder/quantised_phase",
]


def build_recording(seed=0, seconds=1.2, rate=RATE):
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * (100 + 40 * seed) * k * time) / k for k in range(1, 6))
    knots = np.arange(-1, seconds + 1, 0.1)
    level = np.interp(time, knots, rng.uniform(0.2, 1, len(knots)))
    return (0.1 * tone * level + 0.02 * rng.standard_normal(len(time))).astype(np.float32)


def write_recordings(folder, count=11):
    """Write short recordings of several rates and formats, two of them for validation."""
    folder.mkdir(parents=True)
    for number in range(count):
        rate = (16_000, 44_100, 16_000, 22_050)[number % 4]
        audio = build_recording(number, 0.9 + 0.05 * number, rate)
        suffix = ".flac" if number % 3 == 2 else ".wav"
        soundfile.write(folder / f"tape {number}{suffix}", audio, rate)
    return folder


@dataclass
class Result:
    """A forged folder and its recordings."""

    genuine: list[Clip]
    jobs: list[Job]
    folder: Path
    forged: ForgedClips

    @property
    def clips(self):
        return self.forged.clips

    def by_id(self):
        return {clip.clip_id: clip for clip in self.clips}


def forge_folder(recordings, folder, workers=1, on_bad_audio="error", **settings):
    settings = {"train_attacks": 2, "evaluation_attacks": 4} | settings
    genuine, _ = folder_clips(recordings, on_bad_audio=on_bad_audio)
    jobs = plan_jobs(genuine, ForgeSettings(RATE, **settings), ATTACKS)
    return Result(genuine, jobs, folder, forge(jobs, folder, RATE, workers, on_bad_audio))


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    return write_recordings(tmp_path_factory.mktemp("recordings") / "tapes")


@pytest.fixture(scope="session")
def result(recordings, tmp_path_factory):
    return forge_folder(recordings, tmp_path_factory.mktemp("forged"))
