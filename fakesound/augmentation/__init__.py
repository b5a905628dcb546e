"""Augmentation of training crops, alike for a fake and its genuine twin.

What happens to recordings on their way (rooms, filters, noise, codecs) must not tell the label, and
must not hide it either: a detector trained on both classes through all of it is left with what an
attack does. Every change here keeps time as it is, so labels stay where they are.
"""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float32

from fakesound.augmentation import channel, coding
from fakesound.augmentation.channel import Audio
from fakesound.augmentation.laundering import launder
from fakesound.augmentation.variation import recoloured, vary

__all__ = ["CHANGES", "augment", "launder", "recoloured", "vary"]

Change = Callable[[Audio, int, np.random.Generator], Audio]

# in the order of a recording's life; names are those of `fakesound.config.AugmentConfig`
CHANGES: dict[str, Change] = {
    "invert": channel.invert,
    "reverb": channel.reverberate,
    "tilt": channel.equalise,
    "band": channel.limit_band,
    "noise": channel.add_noise,
    "impulses": channel.add_impulses,
    "saturation": channel.saturate,
    "codec": coding.code,
    "gain": channel.amplify,
}


def augment(
    audio: Float32[np.ndarray, " sample"],
    held: int,
    rate: int,
    rng: np.random.Generator,
    shares: Mapping[str, float],
) -> Float32[np.ndarray, " sample"]:
    """Return ``audio`` changed at random; the padding after ``held`` samples stays zero.

    Args:
        audio: of a crop.
        held: samples of it that are not padding.
        rate: samples a second.
        rng: draws which changes are made, and how.
        shares: of crops that each change is made to, by name.
    """
    made = audio[:held].copy()
    for name, change in CHANGES.items():
        # drawn even if never used, so that one share does not move the draws of the others
        if rng.random() < shares[name]:
            made = change(made, rate, rng)
    whole = np.zeros_like(audio)
    np.clip(made, -1, 1, out=whole[:held])
    return whole
