"""Clip: an audio file and its labels, which are the schema of a manifest row."""

from math import inf
from typing import Annotated, Any, Literal

import msgspec
from msgspec.structs import force_setattr

from fakesound.errors import InputError
from fakesound.timeline import Region

LABELS = ("genuine", "fake")
SPLITS = ("train", "validation", "test")
# seconds by which a region may end after the clip's duration, which is rounded
TOLERANCE = 1e-3

Label = Literal["genuine", "fake"]
Split = Literal["train", "validation", "test"]


class Clip(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Audio file and its labels.

    Types and bounds are checked when a clip is read from a manifest, rules between fields whenever
    a clip is created. To change a field, use `msgspec.structs.replace`.

    Attributes:
        clip_id: identifier, unique in its manifest.
        location: path, URL or member of a tar file (`fakesound.data.location`); the key ``path`` in
            a manifest, where it is relative to the folder of the manifest.
        source_id: original recording, shared by a fake and its genuine twin.
        label: "genuine" or "fake".
        attack: ``family/generator``; None for genuine clips.
        regions: fake spans in seconds, sorted; a fake has at least one.
        duration: length in seconds.
        sample_rate: samples per second in the file.
        corpus: corpus that the clip belongs to.
        split: "train", "validation", "test" or None.
        donor_ids: sources of pasted or mixed material.
        domain: recordings that are alike except for the attack; the corpus by default.
        license: SPDX identifier or None.
        twin_id: genuine clip with the same samples outside the regions; for a wholly fake clip, the
            time-aligned source recording.
        subsets: official test subsets that the clip belongs to, such as "easy" and "hard".
        decoder: component that generates the waveform of a published fake; None for forged ones.
        extra: unknown keys of the row.

    Raises:
        InputError: naming the field, if label, attack, regions and duration contradict each other.
    """

    clip_id: str
    location: str = msgspec.field(name="path")
    source_id: str
    label: Label
    attack: str | None
    regions: tuple[Region, ...]
    duration: Annotated[float, msgspec.Meta(gt=0)]
    sample_rate: Annotated[int, msgspec.Meta(gt=0)]
    corpus: str
    split: Split | None = None
    donor_ids: tuple[str, ...] = ()
    domain: str = ""
    license: str | None = None
    twin_id: str | None = None
    subsets: tuple[str, ...] = ()
    decoder: str | None = None
    # the empty name: a row may well have a key "extra"
    extra: dict[str, Any] = msgspec.field(name="", default_factory=dict)

    def __post_init__(self) -> None:
        fake = self.label == "fake"
        if fake and not (self.attack and self.regions):
            raise InputError("label: fake, but attack or regions are missing; give both")
        if not fake and (self.attack is not None or self.regions):
            raise InputError("label: genuine, but attack or regions are given; remove them")
        if not self.duration < inf:
            raise InputError(f"duration: {self.duration}; must be finite")
        if not self.domain:
            force_setattr(self, "domain", self.corpus)
        if fake:
            self._order_regions()

    def _order_regions(self) -> None:
        """Sort the regions, and cut them at a rounded duration."""
        regions = self.regions
        if len(regions) > 1:
            regions = tuple(sorted(regions))
        end = self.duration
        late = max(region.offset for region in regions)
        if late > end + TOLERANCE:
            raise InputError(f"regions: one ends at {late} s, after the clip's {end} s")
        if late > end:
            try:
                regions = tuple(Region(r.onset, min(r.offset, end)) for r in regions)
            except InputError as error:
                raise InputError(f"regions: {error}") from None
        if regions is not self.regions:
            force_setattr(self, "regions", regions)

    @property
    def is_fake(self) -> bool:
        """Whether the label is "fake"."""
        return self.label == "fake"

    @property
    def family(self) -> str | None:
        """Family of the attack, the part before the slash; None for genuine clips."""
        return self.attack.split("/", 1)[0] if self.attack is not None else None

    @property
    def sources(self) -> tuple[str, ...]:
        """Source of the clip and sources of all donors."""
        return (self.source_id, *self.donor_ids)
