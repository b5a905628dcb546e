"""HAD, half-truth audio: Mandarin speech with replaced words (Yi et al., Interspeech 2021)."""

from functools import partial
from pathlib import Path

from fakesound.corpora.listing import Corpus, Listing, Row, find_folder
from fakesound.errors import InputError
from fakesound.timeline import Region

NAME = "had"
LAYOUT = """
HAD_{train,dev,test}/HAD_{train,dev,test}_label.txt
HAD_{train,dev}/{train,dev}/conbine/*.wav
HAD_test/test/*.wav
"""
BASES = (".", "HAD")
PARTS = {"train": "train", "dev": "validation", "test": "test"}
# the archives of the three parts unpack to different depths; "conbine" is the published spelling
AUDIO = ("{part}/conbine", "conbine", "{part}", ".")
LABELS = {"1": "genuine", "0": "fake"}
SEGMENTS = {"T": "genuine", "F": "fake"}


def read(root: Path) -> Listing:
    """Return the clips of the label files under ``root``.

    Names do not tell which clips share a speaker or a sentence, so each clip is a source of its
    own: use the official split.

    Raises:
        InputError: if no label file is found.
    """
    files = {part: f"HAD_{part}/HAD_{part}_label.txt" for part in PARTS}
    base = find_folder(root, BASES, files.values(), LAYOUT)
    listing = Listing()
    for part, split in PARTS.items():
        folders = [base / f"HAD_{part}" / name.format(part=part) for name in AUDIO]
        folder = next((path for path in folders if path.is_dir()), folders[0])
        lines = listing.lines(base / files[part])
        listing.add(lines, partial(_row, folder=folder, split=split))
    return listing


def _row(line: str, where: str, folder: Path, split: str) -> Row:
    fields = line.split()
    if len(fields) != 3:
        raise InputError(f"fields: found {len(fields)}; a row has a name, segments and a label")
    name, segments, key = fields
    if key not in LABELS:
        raise InputError(f"label: {key!r}; must be 1 (genuine) or 0 (fake)")
    label = LABELS[key]
    spans = [_segment(text) for text in segments.split("/")]
    fakes = tuple(region for region, kind in spans if kind == "fake")
    if (label == "fake") != bool(fakes):
        raise InputError(f"label: {name} is {label}, but {len(fakes)} of its segments are fake")
    # times are rounded: without a genuine segment, the clip is fake throughout
    whole = label == "fake" and len(fakes) == len(spans)
    return Row(
        where=where,
        clip_id=name,
        path=folder / f"{name}.wav",
        source_id=f"{NAME}/{name}",
        label=label,
        corpus=NAME,
        attack=f"splice/{NAME}" if label == "fake" else None,
        regions=None if whole else fakes,
        split=split,
    )


def _segment(text: str) -> tuple[Region, str]:
    try:
        onset, offset, key = text.split("-")
        return Region(float(onset), float(offset)), SEGMENTS[key]
    except (KeyError, ValueError):
        raise InputError(f"segments: {text!r} is not written 0.00-1.43-T or 1.43-2.02-F") from None


HAD = Corpus(
    name=NAME,
    summary="Mandarin speech in which words are replaced by synthetic ones",
    layout=LAYOUT,
    source="https://zenodo.org/records/10377492",
    card="licence in the record. Cite: Yi et al., Half-Truth: A Partially Fake Audio Detection "
    "Dataset, Interspeech 2021",
    read=read,
)
