"""Conditions: changes of a clip before it is scored, to measure the robustness of a detector.

Each is the same for genuine and fake clips, so that it does not reveal the label.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from math import gcd, log10

import numpy as np

from fakesound.attacks.codec import transcode
from fakesound.augmentation import effects
from fakesound.augmentation.effects import Audio, Effect
from fakesound.config.checks import match_globs
from fakesound.timeline import MICROSECONDS, Region, merge_regions, microseconds

LONGEST_CUT = 0.5  # seconds cut from either end
LARGEST_SHARE = 4  # the clip is at least this many times as long as a cut
FAKE_LEFT = 20_000  # microseconds of fake time that remain
# the tail has half the energy of the direct sound
ROOM = partial(effects.reverberate, seconds=0.4, below=10 * log10(2), gap=0.0025, keep_level=True)

Spans = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Condition:
    """One condition.

    Attributes:
        name: name on the command line.
        title: description for reports.
        change: effect on the audio; None for the condition that cuts off the ends.
    """

    name: str
    title: str
    change: Effect | None


CONDITIONS: dict[str, Condition] = {
    condition.name: condition
    for condition in (
        Condition("mp3_64", "MP3 at 64 kbit/s", partial(effects.apply_mp3, kbit=64)),
        Condition("mp3_32", "MP3 at 32 kbit/s", partial(effects.apply_mp3, kbit=32)),
        Condition("opus_24", "Opus at 24 kbit/s", partial(effects.apply_opus, kbit=24)),
        Condition("opus_12", "Opus at 12 kbit/s", partial(effects.apply_opus, kbit=12)),
        Condition("gsm", "GSM 06.10 at 8 kHz", partial(transcode, name="gsm_8k")),
        Condition("resample_8k", "resampled to 8 kHz and back", effects.resample_8k),
        Condition(
            "noise_20db", "white noise, 20 dB SNR", partial(effects.add_noise, snr=20, colour=None)
        ),
        Condition(
            "noise_10db", "white noise, 10 dB SNR", partial(effects.add_noise, snr=10, colour=None)
        ),
        Condition("gain_down", "20 dB quieter", partial(effects.change_gain, decibels=-20)),
        Condition("clipping", "the loudest 3 % of samples clipped", effects.clip_peaks),
        Condition("reverb", "a room of 0.4 s reverberation time", ROOM),
        Condition("trim", "up to 0.5 s cut off either end", None),
    )
}


def match_conditions(patterns: Iterable[str]) -> list[Condition]:
    """Return the conditions that a name or glob in ``patterns`` matches, in the fixed order.

    Raises:
        InputError: if a pattern matches none.
    """
    names = match_globs("--robustness", patterns, CONDITIONS, "condition")
    return [CONDITIONS[name] for name in names]


def apply_condition(
    condition: Condition, audio: Audio, rate: int, regions: Sequence[Region], seed_key: str
) -> tuple[Audio, tuple[Region, ...], float]:
    """Return the audio under ``condition``, its fake regions and its length in seconds.

    The audio is within [-1, 1]. Regions move with the audio and are cut at its ends. All draws
    depend only on the condition and ``seed_key``.

    Args:
        condition: one of `CONDITIONS`.
        audio: mono audio of one sample or more; it is not changed.
        rate: sample rate in Hz.
        regions: fake spans.
        seed_key: seed of all draws, such as the name of the clip.
    """
    digest = hashlib.sha256(f"{condition.name}|{seed_key}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    start = 0
    if condition.change is not None:
        changed = np.clip(condition.change(audio, rate, rng), -1, 1)
    else:
        span = kept_samples(len(audio), rate, regions, rng)
        start, changed = span.start, audio[span].copy()
    duration = len(changed) / rate
    return changed, tuple(move_regions(regions, start / rate, duration)), duration


def move_regions(regions: Iterable[Region], start: float, duration: float) -> list[Region]:
    """Return ``regions`` relative to ``start`` and cut to ``duration``, in whole microseconds."""
    first = microseconds(start)
    return [
        Region((onset - first) / MICROSECONDS, (offset - first) / MICROSECONDS)
        for onset, offset in _spans(regions, first, first + microseconds(duration))
    ]


def kept_samples(
    samples: int, rate: int, regions: Sequence[Region], rng: np.random.Generator
) -> slice:
    """Draw the part of a clip of ``samples`` that remains after random cuts at both ends.

    A cut takes at most 0.5 s, and at most a quarter of the clip. At least 20 ms of fake time
    remain, or all of it if there is less. The cuts fall on whole microseconds, so that regions move
    exactly.
    """
    longest = min(round(LONGEST_CUT * rate), samples // LARGEST_SHARE)
    start, end = (int(cut) for cut in rng.integers(0, longest, 2, endpoint=True))
    stop = samples - end
    # this number of samples lasts a whole number of microseconds
    step = rate // gcd(rate, MICROSECONDS)
    fake = _spans(merge_regions(regions), 0, samples * MICROSECONDS // rate)
    least = min(FAKE_LEFT, sum(offset - onset for onset, offset in fake))
    if least:
        mirrored = [(-offset, -onset) for onset, offset in reversed(fake)]
        start = min(start, -_time_of(mirrored, least) * rate // MICROSECONDS)
    start -= start % step
    if least:
        visible = [(max(onset, start * MICROSECONDS // rate), offset) for onset, offset in fake]
        stop = max(stop, -(-_time_of(visible, least) * rate // MICROSECONDS))
    return slice(start, min(samples, stop + -stop % step))


def _spans(regions: Iterable[Region], start: int, stop: int) -> list[tuple[int, int]]:
    """Return the parts of ``regions`` in ``[start, stop)``, in microseconds."""
    cut = (
        (max(microseconds(region.onset), start), min(microseconds(region.offset), stop))
        for region in regions
    )
    return [(onset, offset) for onset, offset in cut if onset < offset]


def _time_of(spans: Spans, amount: int) -> int:
    """Return the time at which ``amount`` microseconds of ascending ``spans`` have passed."""
    for onset, offset in spans:
        if offset > onset:
            if offset - onset >= amount:
                return onset + amount
            amount -= offset - onset
    raise ValueError(f"the spans are {amount} us too short")
