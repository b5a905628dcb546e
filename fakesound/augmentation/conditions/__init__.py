"""Conditions: what a clip goes through before it is heard, to learn how robust a detector is.

Each is the same for genuine and fake clips, so that it tells nothing of the label.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial

import numpy as np

from fakesound.attacks.spectral import Audio
from fakesound.augmentation.conditions import changes
from fakesound.augmentation.conditions.trimming import kept_samples, move_regions
from fakesound.errors import InputError
from fakesound.timeline import Region

__all__ = [
    "CONDITIONS",
    "Condition",
    "apply_condition",
    "match_conditions",
    "move_regions",
]


@dataclass(frozen=True)
class Condition:
    """One condition.

    Attributes:
        name: by which it is asked for.
        title: what is done to the audio, in words.
        change: takes ``(audio, rate, rng)`` and leaves every sample in its place; None for the
            condition that cuts off the ends instead.
    """

    name: str
    title: str
    change: Callable[[Audio, int, np.random.Generator], Audio] | None


CONDITIONS: dict[str, Condition] = {
    condition.name: condition
    for condition in (
        Condition("mp3_64", "MP3 at 64 kbit/s", partial(changes.mp3, kbit=64)),
        Condition("mp3_32", "MP3 at 32 kbit/s", partial(changes.mp3, kbit=32)),
        Condition("opus_24", "Opus at 24 kbit/s", partial(changes.opus, kbit=24)),
        Condition("opus_12", "Opus at 12 kbit/s", partial(changes.opus, kbit=12)),
        Condition("gsm", "GSM 06.10 at 8 kHz", changes.gsm),
        Condition("resample_8k", "resampled to 8 kHz and back", changes.resample),
        Condition("noise_20db", "white noise, 20 dB SNR", partial(changes.noise, snr=20)),
        Condition("noise_10db", "white noise, 10 dB SNR", partial(changes.noise, snr=10)),
        Condition("gain_down", "20 dB quieter", changes.quieter),
        Condition("clipping", "the loudest 3 % of samples clipped", changes.clipping),
        Condition("reverb", "a room of 0.4 s reverberation time", changes.reverb),
        Condition("trim", "up to 0.5 s cut off either end", None),
    )
}


def match_conditions(patterns: Iterable[str]) -> list[Condition]:
    """Return the conditions that a name or glob in ``patterns`` matches, in their own order.

    Raises:
        InputError: if a pattern matches none.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        found = {name for name in CONDITIONS if fnmatchcase(name, pattern)}
        if not found:
            raise InputError(
                f"condition {pattern!r}: no such condition; there are {', '.join(CONDITIONS)}"
            )
        chosen |= found
    return [condition for name, condition in CONDITIONS.items() if name in chosen]


def apply_condition(
    condition: Condition, audio: Audio, rate: int, regions: Sequence[Region], seed_key: str
) -> tuple[Audio, tuple[Region, ...], float]:
    """Return the audio as heard under ``condition``, its fake regions and its length in seconds.

    The audio is within [-1, 1]. Regions move with it and are cut where it ends. Chance depends on
    the condition and ``seed_key``, such as the clip's name, and on nothing else.

    Args:
        condition: one of `CONDITIONS`.
        audio: mono, one sample or more; is left as it is.
        rate: samples a second.
        regions: the fake spans.
        seed_key: fixes what is drawn.
    """
    digest = hashlib.sha256(f"{condition.name}|{seed_key}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    start = 0
    if condition.change is not None:
        heard = np.clip(condition.change(audio, rate, rng), -1, 1)
    else:
        kept = kept_samples(len(audio), rate, regions, rng)
        start, heard = kept.start, audio[kept].copy()
    duration = len(heard) / rate
    return heard, tuple(move_regions(regions, start / rate, duration)), duration
