"""LlamaPartialSpoof: speech synthesised in part or whole (Luong et al., ICASSP 2025)."""

import re
from functools import partial
from pathlib import Path

from fakesound.corpora.listing import LABEL_NAMES, Corpus, Listing, Row, find_folder, named
from fakesound.errors import InputError
from fakesound.timeline import Region

NAME = "llamapartialspoof"
LAYOUT = """
label_R01TTS.0.{a,b}.txt
R01TTS.0.{a,b}/*.wav
"""
PLACES = (".", "LlamaPartialSpoof")
PARTS = ("R01TTS.0.a", "R01TTS.0.b")
# the published names: SET_SPEAKER_... of genuine clips, SET-SYSTEM-KIND_SPEAKER_... of fakes
GENUINE = re.compile(r"[\w-]+?-clean_(?P<speaker>\d+)_\w+")
FAKE = re.compile(r"\w+-(?P<system>\w+)-(?P<kind>full|partial-\w+?)_(?P<speaker>\d+)_\w+")


def read(root: Path) -> Listing:
    """Return what the label files under ``root`` list; sources are the speakers.

    The data set is for evaluation alone, so that every clip is a test clip. ``subsets`` holds how
    segments of a partial fake were joined, as the data set abbreviates it, or "full".

    Raises:
        InputError: if there is no label file.
    """
    base = find_folder(root, PLACES, [f"label_{part}.txt" for part in PARTS], LAYOUT)
    listing = Listing()
    for part in PARTS:
        lines = listing.lines(base / f"label_{part}.txt")
        listing.add(lines, partial(_row, folder=base / part))
    return listing


def _row(line: str, where: str, folder: Path) -> Row:
    fields = line.split()
    if len(fields) < 4:
        raise InputError(f"fields: {len(fields)}; a row has a name, seconds, a label and segments")
    name, _, key, *segments = fields
    label = named(key, LABEL_NAMES, "label")
    spans = [_segment(text) for text in segments]
    fakes = tuple(region for region, kind in spans if kind == "fake")
    parts = (FAKE if label == "fake" else GENUINE).fullmatch(name)
    if parts is None:
        raise InputError(f"name: {name!r} is not one of a {label} clip of this data set")
    if (label == "fake") != bool(fakes):
        raise InputError(f"label: {name} is {key}, but {len(fakes)} of its segments are spoof")
    attack, kind = None, ""
    if label == "fake":
        kind = parts["kind"]
        attack = f"{'tts' if kind == 'full' else 'splice'}/{parts['system']}"
    # segments are rounded, so that a clip without a genuine one is fake throughout
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
        return Region(float(onset), float(offset)), named(key, LABEL_NAMES, "segment")
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
