"""Convert arrays of samples: any type to mono float32 in [-1, 1], and to 16 bits and back."""

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
from jaxtyping import Float32, Int16

from fakesound.errors import InputError

Samples = Float32[np.ndarray, " sample"]
Channels = Float32[np.ndarray, "sample channel"]

# highest floating-point sample: decoders and resamplers exceed 1 by a few per cent
LOUDEST = 1.05
MOST_CHANNELS = 64  # a larger shorter axis of an array is a mistake
# lowest and highest sample rate of recorders and converters in Hz
RATES = (1_000, 1_536_000)
CANCELLED = 10 ** (-12 / 10)  # below this power, relative to the channels, the mean has cancelled
FULL_SCALE = 32_768
INTEGERS = ("int8", "int16", "int32", "uint8", "uint16")


class Mixer:
    """Measure the power of channels and of their mean, to detect channels that cancel.

    Args:
        channels: number of channels.
    """

    def __init__(self, channels: int) -> None:
        self.power, self.mixed = np.zeros(channels), 0.0

    def add(self, block: Channels) -> None:
        """Add the power of a block of samples."""
        # reading NaN or Inf is an error later
        with np.errstate(invalid="ignore", over="ignore"):
            self.power += np.square(block, dtype=np.float64).sum(axis=0)
            self.mixed += float(np.square(block.mean(axis=1), dtype=np.float64).sum())

    @property
    def loss(self) -> float:
        """Loss of level by averaging the channels, in dB; 0 for silence."""
        power = float(self.power.mean())
        if power == 0:
            return 0.0
        return -10 * math.log10(max(self.mixed, 1e-12 * power) / power)

    @property
    def loudest(self) -> int | None:
        """The loudest channel if the mean cancels; None otherwise."""
        power = float(self.power.mean())
        cancelled = power > 0 and self.mixed < CANCELLED * power
        return int(self.power.argmax()) if cancelled else None


def check_rate(rate: object) -> int:
    """Return a sample rate as an integer.

    Raises:
        InputError: if it is not a whole number of Hz within `RATES`.
    """
    whole = isinstance(rate, Integral) or (isinstance(rate, Real) and float(rate).is_integer())
    if isinstance(rate, bool) or not whole or not RATES[0] <= int(rate) <= RATES[1]:  # type: ignore[call-overload]
        raise InputError(
            f"rate={rate!r}: must be a whole number of Hz from {RATES[0]} to {RATES[1]}"
        )
    return int(rate)  # type: ignore[call-overload]


def unpack(recording: Any, rate: object) -> tuple[Any, int | None]:  # noqa: ANN401
    """Return the samples and the rate of a ``(rate, samples)`` or ``(samples, rate)`` pair.

    Anything else is returned unchanged, with ``rate``.

    Raises:
        InputError: if ``rate`` is not a valid sample rate, or differs from that of the pair.
    """
    checked = None if rate is None else check_rate(rate)
    if isinstance(recording, tuple) and len(recording) == 2:
        scalar = [np.ndim(part) == 0 for part in recording]
        if scalar in ([True, False], [False, True]):
            own, samples = recording if scalar[0] else recording[::-1]
            own = check_rate(own)
            if checked not in (None, own):
                raise InputError(f"rate={checked}: the pair gives {own}; remove one of them")
            return samples, own
    return recording, checked


def to_channels(audio: Any) -> Channels:  # noqa: ANN401
    """Return an array, a list or a tensor of samples as channels in [-1, 1].

    Integers are divided by the full scale of their type; unsigned ones are centred first.
    Floating-point samples hold -1 to 1; up to 5 % more is clipped. Of two axes, the shorter one
    holds the channels.

    Raises:
        InputError: for an array that is empty, has another shape, type or scale, or holds NaN or
            Inf.
    """
    array = _array(audio)
    if array.ndim not in (1, 2) or not array.size:
        raise InputError(f"recording: an array of shape {array.shape}; give samples or channels")
    if array.ndim == 1:
        array = array[:, None]
    elif array.shape[0] < array.shape[1]:
        array = array.T
    if array.shape[1] > MOST_CHANNELS or (array.shape[0] == array.shape[1] > 1):
        raise InputError(
            f"recording: channels and samples of an array of shape {np.shape(audio)} cannot be "
            "distinguished; give one channel"
        )
    scaled = _of_integers(array) if array.dtype.kind in "iu" else _of_floats(array)
    return np.clip(np.asarray(scaled, dtype=np.float32), -1, 1)


def _array(audio: Any) -> np.ndarray:  # noqa: ANN401
    if hasattr(audio, "detach"):
        # a torch tensor, perhaps on a GPU; numpy has no bfloat16
        audio = audio.detach().cpu()
        audio = (audio.float() if audio.is_floating_point() else audio).resolve_neg().numpy()
    if isinstance(audio, bytes | bytearray):
        raise InputError(
            'recording: bytes; convert samples with numpy.frombuffer(data, "int16"), and give a '
            "file as a path or an open file"
        )
    try:
        array = np.asarray(audio)
    except ValueError:
        raise InputError("recording: rows of different lengths; give samples or channels") from None
    if array.dtype.kind not in "iuf":
        raise InputError(f"recording: an array of {array.dtype}; give numbers, such as float32")
    return array


def _of_integers(array: np.ndarray) -> np.ndarray:
    if array.dtype.name not in INTEGERS:
        raise InputError(
            f"recording: {array.dtype} has no standard scale; convert it to the type of the "
            "recording, such as int16"
        )
    # full scale is half the range; for unsigned types, it is also the zero level
    full = 2.0 ** (8 * array.dtype.itemsize - 1)
    if array.dtype.name == "int32" and 0 < max(int(array.max()), -int(array.min())) < 2**15:
        raise InputError(
            "recording: int32 samples are all below 32768, so they are probably 16-bit; convert "
            "them to int16, or to float32 in [-1, 1]"
        )
    return array / full - (array.dtype.kind == "u")


def _of_floats(array: np.ndarray) -> np.ndarray:
    peak = float(np.abs(array).max())
    if not math.isfinite(peak):
        raise InputError("recording: holds NaN or Inf samples; replace or remove them")
    if peak > LOUDEST:
        raise InputError(
            f"recording: floating-point samples reach {peak:.4g}, not -1 to 1; divide them by "
            "their full scale, such as 32768"
        )
    return array


def to_pcm(audio: Float32[np.ndarray, " sample"]) -> Int16[np.ndarray, " sample"]:
    """Return ``audio`` in [-1, 1) as 16-bit samples, rounded and clipped."""
    return np.clip(np.round(audio * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def from_pcm(pcm: Int16[np.ndarray, " sample"]) -> Float32[np.ndarray, " sample"]:
    """Return 16-bit samples as floats in [-1, 1)."""
    return pcm.astype(np.float32) / np.float32(FULL_SCALE)
