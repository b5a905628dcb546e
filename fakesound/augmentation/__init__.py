"""Augmentation of training crops, alike for a fake and its genuine twin.

Rooms, filters, noise and codecs must neither give the label away nor hide it: a detector trained on
both classes through all of them is left with the traces of an attack. Every change keeps time as it
is, so labels stay where they are.
"""

from collections.abc import Mapping

import numpy as np

from fakesound.augmentation import effects
from fakesound.augmentation.effects import Audio, Effect
from fakesound.augmentation.laundering import launder
from fakesound.augmentation.variation import recoloured, vary

__all__ = ["CHANGES", "augment", "launder", "recoloured", "vary"]

# in the order of a recording's life; names are those of `fakesound.config.AugmentConfig`
CHANGES: dict[str, Effect] = {
    "invert": effects.invert,
    "reverb": effects.reverberate,
    "tilt": effects.equalise,
    "band": effects.limit_band,
    "noise": effects.add_noise,
    "impulses": effects.add_impulses,
    "saturation": effects.saturate,
    "codec": effects.apply_codec,
    "gain": effects.change_gain,
    "telephone": effects.telephone,
}


def augment(
    audio: Audio, held: int, rate: int, rng: np.random.Generator, shares: Mapping[str, float]
) -> Audio:
    """Return ``audio`` changed at random; the padding after ``held`` samples stays zero.

    Args:
        audio: Mono audio of a crop.
        held: Number of samples that are not padding.
        rate: Sample rate in Hz.
        rng: Draws which changes are made, and their amounts.
        shares: Share of crops to which each change is made, by name.
    """
    changed = audio[:held].copy()
    for name, change in CHANGES.items():
        # drawn even if never used, so that one share does not move the draws of the others
        if rng.random() < shares[name]:
            changed = change(changed, rate, rng)
    padded = np.zeros_like(audio)
    np.clip(changed, -1, 1, out=padded[:held])
    return padded
