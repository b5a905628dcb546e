"""Attacks of the forge, which turn genuine audio into the material of fakes.

A clip attack processes a whole clip and keeps it aligned to the sample, so that any span of the
result can replace the same span of the original. A gap attack fills gaps from their context.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from fakesound.attacks import (
    codec,
    edit,
    inpainting,
    lpcnet,
    neural,
    published,
    separation,
    vocoder,
)
from fakesound.attacks.spectral import Audio
from fakesound.attacks.weights import weights_folder
from fakesound.config.checks import match_globs
from fakesound.data.training_data import training_data


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: ``family/generator``.
        function: function of ``(audio, rate, rng)`` and, with ``needs_donor``, a donor's audio for
            clip attacks, of ``(audio, rate, gaps, rng)`` for gap attacks.
        longest_gap: longest gap in seconds; None for clip attacks.
        needs_donor: whether the attack uses audio of another source.
        edges_only: whether the result is genuine material, so that only the edges of a region are
            evidence; such an attack makes no whole-clip fakes.
        check: function that raises `InputError` if a requirement of the attack is missing.
        optional: whether the attack needs more than the package and its training data, and is only
            used if named explicitly.
    """

    name: str
    function: Callable[..., Audio]
    longest_gap: float | None = None
    needs_donor: bool = False
    edges_only: bool = False
    check: Callable[[], object] | None = None
    optional: bool = False

    @property
    def family(self) -> str:
        """The part of the name before the slash."""
        return self.name.split("/")[0]

    @property
    def fills_gaps(self) -> bool:
        """Whether it is a gap attack."""
        return self.longest_gap is not None

    def render(
        self,
        audio: Audio,
        rate: int,
        rng: np.random.Generator,
        gaps: Sequence[slice] = (),
        donor: Audio | None = None,
    ) -> Audio:
        """Apply the attack to the whole ``audio``, or to its ``gaps`` for a gap attack."""
        if self.fills_gaps:
            return self.function(audio, rate, gaps, rng).astype(np.float32)
        if self.needs_donor:
            return self.function(audio, rate, rng, donor).astype(np.float32)
        return self.function(audio, rate, rng).astype(np.float32)


def _published(
    name: str, function: Callable[..., Audio], longest_gap: float | None = None
) -> Attack:
    """Return the optional attack of a published network."""
    check = partial(weights_folder, name.partition("/")[2], name)
    return Attack(name, function, longest_gap, check=check, optional=True)


def _neural(name: str, function: Callable[..., Audio], longest_gap: float | None = None) -> Attack:
    """Return the attack of a network whose weights are in the training data."""
    check = partial(training_data, "attack_weights", name)
    return Attack(name, function, longest_gap, check=check)


ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for attack in (
        Attack("vocoder/mel_griffin_lim", vocoder.mel_griffin_lim),
        Attack("vocoder/griffin_lim", vocoder.griffin_lim_resynthesis),
        Attack("vocoder/quantised_phase", vocoder.quantised_phase),
        Attack("vocoder/world", vocoder.world),
        Attack("vocoder/linear_prediction", vocoder.linear_prediction),
        Attack("vocoder/sinusoidal", vocoder.sinusoidal),
        _neural("vocoder/neural_istft", neural.neural_istft),
        _neural("vocoder/neural_upsampling", neural.neural_upsampling),
        Attack("inpainting/janssen", inpainting.janssen, longest_gap=0.12),
        Attack("inpainting/extrapolation", inpainting.extrapolation, longest_gap=0.5),
        Attack(
            "inpainting/spectral_interpolation", inpainting.spectral_interpolation, longest_gap=2.0
        ),
        Attack("inpainting/context_noise", inpainting.context_noise, longest_gap=2.0),
        Attack("inpainting/nmf", inpainting.nmf, longest_gap=2.0),
        Attack("inpainting/nearest_patch", inpainting.nearest_patch, longest_gap=2.0),
        _neural("inpainting/neural", neural.neural_filling, longest_gap=1.0),
        Attack("edit/splice", edit.splice, needs_donor=True, edges_only=True),
        Attack("edit/copy_move", edit.copy_move, edges_only=True),
        Attack("edit/addition", edit.addition, needs_donor=True, edges_only=True),
        Attack("edit/pitch_shift", edit.pitch_shift),
        Attack("edit/time_stretch", edit.time_stretch),
        Attack("codec/mp3", codec.mp3),
        Attack("codec/opus", codec.opus),
        Attack("codec/gsm", codec.gsm),
        Attack("codec/adpcm", codec.adpcm),
        Attack("codec/codec2", codec.codec2),
        _neural("codec/neural_rvq", neural.neural_rvq),
        Attack("codec/lpcnet", lpcnet.lpcnet, check=lpcnet.library, optional=True),
        _published("codec/lyra", published.lyra),
        _published("vocoder/hifigan", published.hifigan),
        _published("vocoder/hifigan_16k", published.hifigan_16k),
        _published("inpainting/tplcnet", published.tplcnet, longest_gap=0.08),
        Attack("separation/harmonic_percussive", separation.harmonic_percussive),
        Attack("separation/spectral_gate", separation.spectral_gate),
    )
}


# attacks that need no more than the package and its training data
BUILT_IN = tuple(name for name, attack in ATTACKS.items() if not attack.optional)


def choose_attacks(patterns: Sequence[str], key: str) -> list[str]:
    """Return the attacks of the forge that a name or glob in ``patterns`` matches, sorted.

    Optional attacks are only matched by their full names.

    Raises:
        InputError: if a pattern matches nothing, or a requirement of an attack is missing.
    """
    names = sorted({*BUILT_IN, *(ATTACKS.keys() & set(patterns))})
    chosen = match_globs(key, patterns, names, "attack")
    for name in chosen:
        if (check := ATTACKS[name].check) is not None:
            check()
    return chosen
