"""One clip and what is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakesound.data.places import IN_TAR, AudioPath, place
from fakesound.timeline import Region

LABELS = ("genuine", "fake")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Clip:
    """One audio file and what is known of it.

    Attributes:
        clip_id: unique in its manifest.
        path: absolute path of the audio, or its place in a tar or at a URL.
        source_id: the original recording; a fake and its genuine twin share it.
        label: "genuine" or "fake".
        attack: ``family/generator``; None for genuine clips.
        regions: fake spans; a fake clip has at least one.
        duration: seconds.
        sample_rate: samples a second in the file.
        corpus: where the clip comes from.
        split: "train", "validation", "test" or None.
        donor_ids: sources of pasted or mixed material.
        domain: recordings alike but for the attack; the corpus by default.
        license: SPDX identifier or None.
        twin_id: the genuine clip that equals this fake outside its regions, to the sample; of a
            clip that is fake throughout, the recording that it was made of, aligned in time.
        subsets: official test sets the clip belongs to, such as "easy" and "hard".
        decoder: what finally makes the waveform of a published fake; None for forged ones.
        extra: keys this package does not know.
    """

    clip_id: str
    path: AudioPath
    source_id: str
    label: str
    attack: str | None
    regions: tuple[Region, ...]
    duration: float
    sample_rate: int
    corpus: str
    split: str | None = None
    donor_ids: tuple[str, ...] = ()
    domain: str = ""
    license: str | None = None
    twin_id: str | None = None
    subsets: tuple[str, ...] = ()
    decoder: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_fake(self) -> bool:
        """Whether the label is "fake"."""
        return self.label == "fake"

    @property
    def sources(self) -> tuple[str, ...]:
        """The source and those of all donors."""
        return (self.source_id, *self.donor_ids)


# a million `Path` objects would take 400 MB: clips keep text, and make them when asked
_path = Clip.__dict__["path"]
type.__setattr__(
    Clip,
    "path",
    property(
        lambda clip: as_path(_path.__get__(clip)),
        lambda clip, path: _path.__set__(clip, str(path)),
        doc=_path.__doc__,
    ),
)


def path_text(clip: Clip) -> str:
    """Return ``clip.path`` as text, at no cost."""
    return _path.__get__(clip)


def as_path(text: str) -> AudioPath:
    """Return the place that `path_text` names."""
    return place(text) if IN_TAR in text or "://" in text else Path(text)
