"""Augmentation of training crops, the same for a fake and its genuine twin.

Rooms, filters, noise and codecs must neither reveal the label nor hide it: a detector trained on
both classes with all of them must use the artefacts of attacks. No change moves audio in time, so
frame labels stay valid.
"""

from collections.abc import Mapping

import numpy as np

from fakesound.augmentation import effects
from fakesound.augmentation.effects import Audio, Effect
from fakesound.augmentation.laundering import launder
from fakesound.augmentation.variation import recoloured, vary

__all__ = ["CHANGES", "augment", "launder", "recoloured", "vary"]

# in the order of a recording chain; names are those of `fakesound.config.AugmentConfig`
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
    audio: Audio, length: int, rate: int, rng: np.random.Generator, shares: Mapping[str, float]
) -> Audio:
    """Return ``audio`` changed at random; the padding after ``length`` samples stays zero.

    Args:
        audio: mono audio of a crop.
        length: number of samples before the padding.
        rate: sample rate in Hz.
        rng: generator of the choice of changes and of their parameters.
        shares: share of crops that each change is applied to, by name.
    """
    changed = audio[:length].copy()
    for name, change in CHANGES.items():
        # always drawn, so that a share does not change the draws of other changes
        if rng.random() < shares[name]:
            changed = change(changed, rate, rng)
    padded = np.zeros_like(audio)
    np.clip(changed, -1, 1, out=padded[:length])
    return padded
