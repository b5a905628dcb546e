"""LlamaPartialSpoof: speech synthesised in part or whole (Luong et al., ICASSP 2025)."""

import re
from functools import partial
from pathlib import Path

from fakesound.corpora.listing import LABEL_NAMES, Corpus, Listing, Row, canonical_name, find_folder
from fakesound.errors import InputError
from fakesound.timeline import Region

NAME = "llamapartialspoof"
LAYOUT = """
label_R01TTS.0.{a,b}.txt
R01TTS.0.{a,b}/*.wav
"""
BASES = (".", "LlamaPartialSpoof")
PARTS = ("R01TTS.0.a", "R01TTS.0.b")
# published names are SET_SPEAKER_... for genuine clips and SET-SYSTEM-KIND_SPEAKER_... for fakes
GENUINE = re.compile(r"[\w-]+?-clean_(?P<speaker>\d+)_\w+")
FAKE = re.compile(r"\w+-(?P<system>\w+)-(?P<kind>full|partial-\w+?)_(?P<speaker>\d+)_\w+")


def read(root: Path) -> Listing:
    """Return the clips of the label files under ``root``; sources are the speakers.

    Every clip is a test clip, since the data set is only for evaluation. ``subsets`` holds the data
    set's abbreviation for how the segments of a partial fake were joined, or "full".

    Raises:
        InputError: if no label file is found.
    """
    base = find_folder(root, BASES, [f"label_{part}.txt" for part in PARTS], LAYOUT)
    listing = Listing()
    for part in PARTS:
        lines = listing.lines(base / f"label_{part}.txt")
        listing.add(lines, partial(_row, folder=base / part))
    return listing


def _row(line: str, where: str, folder: Path) -> Row:
    fields = line.split()
    if len(fields) < 4:
        raise InputError(
            f"fields: found {len(fields)}; a row has a name, seconds, a label and segments"
        )
    name, _, key, *segments = fields
    label = canonical_name(key, LABEL_NAMES, "label")
    spans = [_segment(text) for text in segments]
    fakes = tuple(region for region, kind in spans if kind == "fake")
    parts = (FAKE if label == "fake" else GENUINE).fullmatch(name)
    if parts is None:
        raise InputError(f"name: {name!r} is not the name of a {label} clip of this data set")
    if (label == "fake") != bool(fakes):
        raise InputError(f"label: {name} is {key}, but {len(fakes)} of its segments are spoof")
    attack, kind = None, ""
    if label == "fake":
        kind = parts["kind"]
        attack = f"{'tts' if kind == 'full' else 'splice'}/{parts['system']}"
    # times are rounded: without a genuine segment, the clip is fake throughout
    whole = label == "fake" and len(fakes) == len(spans)
    return Row(
        where=where,
        clip_id=name,
        path=folder / f"{name}.wav",
        source_id=f"{NAME}/{parts['speaker']}",
        label=label,
        corpus=NAME,
        attack=attack,
        regions=None if whole else fakes,
        split="test",
        subsets=(kind,) if kind else (),
    )


def _segment(text: str) -> tuple[Region, str]:
    try:
        onset, offset, key = text.split("-")
        return Region(float(onset), float(offset)), canonical_name(key, LABEL_NAMES, "segment")
    except ValueError:
        raise InputError(f"segment: {text!r} is not written 0.0000-0.3800-spoof") from None


LLAMAPARTIALSPOOF = Corpus(
    name=NAME,
    summary="speech of six synthesisers, whole or spliced into genuine speech; for evaluation",
    layout=LAYOUT,
    source="https://zenodo.org/records/14214149",
    card="licence in LICENSE.txt of the record. Cite: Luong et al., LlamaPartialSpoof: An "
    "LLM-Driven Fake Speech Dataset Simulating Disinformation Generation, ICASSP 2025",
    read=read,
)
