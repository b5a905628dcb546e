"""Notes on how a recording was read, for its result."""

import math

import numpy as np
from jaxtyping import Float32

from fakesound.data.samples import Channels, Mixer, Samples
from fakesound.errors import InputError

SILENT, CLIPPED = 0.5, 0.001  # larger shares of zero and full-scale samples are noted
QUIET = -60.0  # lower peaks are noted, in dB of full scale
FULL = 1 - 2**-15  # highest 16-bit sample
LOSS = 6.0  # larger losses by mixing are noted, in dB
OFF = 0.05  # larger differences between header and content are noted, in seconds


class Notes:
    """Facts about how a recording was read that matter for its result.

    Each note is ``keyword: text``, with the keywords header, codec, tracks, decoder, rate,
    channels, length, silence, level and clipping.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.samples = self.zeros = self.full = 0
        self.peak = 0.0

    def write(self, keyword: str, text: str) -> None:
        """Add a note."""
        self.lines.append(f"{keyword}: {text}")

    def length(self, declared: float | None, decoded: float) -> None:
        """Add a note if the declared and the decoded length, in seconds, differ."""
        if declared is None:
            self.write("header", f"gives no length; {decoded:.2f} s were decoded")
        elif abs(declared - decoded) > OFF:
            self.write("header", f"declares {declared:.2f} s; {decoded:.2f} s were decoded")

    def mixed(self, mixer: Mixer) -> None:
        """Add a note if mixing the channels lost much of their level."""
        if mixer.loudest is not None:
            self.write(
                "channels",
                f"the mean of {len(mixer.power)} channels is {mixer.loss:.0f} dB below them; "
                f"channel {mixer.loudest + 1} is used alone",
            )
        elif mixer.loss > LOSS:
            self.write("channels", f"their mean is {mixer.loss:.0f} dB below them")

    def resampled(self, given: int, wanted: int) -> None:
        """Add a note if the sample rate was changed."""
        if given != wanted:
            self.write("rate", f"resampled from {given} Hz to {wanted} Hz")

    def add(self, block: Float32[np.ndarray, "..."]) -> None:
        """Count decoded samples that are zero or at full scale, and update the peak."""
        size = np.abs(block)
        self.samples += size.size
        self.zeros += int((size == 0).sum())
        self.full += int((size >= FULL).sum())
        self.peak = max(self.peak, float(size.max(initial=0)))

    def texts(self) -> tuple[str, ...]:
        """Return all notes."""
        lines, count = list(self.lines), max(self.samples, 1)
        if self.zeros > SILENT * count:
            lines.append(f"silence: {self.zeros / count:.0%} of the samples are zero")
        if 0 < self.peak < 10 ** (QUIET / 20):
            lines.append(
                f"level: the peak is {-20 * math.log10(self.peak):.0f} dB below full scale"
            )
        if self.full > CLIPPED * count:
            lines.append(f"clipping: {self.full / count:.1%} of the samples are at full scale")
        if self.peak > 1:
            lines.append(f"clipping: samples reach {self.peak:.3g}; they were clipped to 1")
        return tuple(lines)


def to_mono(channels: Channels, notes: Notes, channel: int | None = None) -> Samples:
    """Return the mean of the channels, the loudest one if they cancel, or ``channel``.

    Raises:
        InputError: for a channel that does not exist.
    """
    if channel is not None and not 0 <= channel < channels.shape[1]:
        raise InputError(f"channel={channel}: the recording has {channels.shape[1]} channels")
    if channel is None and channels.shape[1] > 1:
        mixer = Mixer(channels.shape[1])
        mixer.add(channels)
        notes.mixed(mixer)
        channel = mixer.loudest
    notes.add(channels if channel is None else channels[:, channel])
    if channel is None:
        return channels.mean(axis=1, dtype=np.float32)
    return np.ascontiguousarray(channels[:, channel])
