"""FakeSound2: general audio, six kinds of manipulation (Xie et al., 2025); its test set."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from fakesound.corpora.audiocaps import (
    AUDIOLDM1,
    AUDIOLDM2,
    AUDIOLDM2_AUDIOSR,
    ID_LENGTH,
    find_audio,
    read_spans,
    source_of,
)
from fakesound.corpora.listing import Corpus, Listing, Row, find_folder, parse_entry
from fakesound.errors import InputError

LAYOUT = """
scr/data/test/meta/{genuine,addition,splicing,inpainting_*,generation_*,editing_*,separation_*}.jsonl
scr/data/test/audio/*/*.wav
"""
BASES = ("scr/data/test/meta", "data/test/meta", "test/meta", "meta", "data/test", ".")
# part of the benchmark by list: whether the generator occurs in its training set
DOMAINS = {
    "genuine": "in_domain",
    "inpainting_tango2": "in_domain",
    "inpainting_affusion": "in_domain",
    "inpainting_ldm2": "in_domain",
    "separation_lassnet": "in_domain",
    "editing_audioeditor": "in_domain",
    "splicing": "in_domain",
    "addition": "in_domain",
    "generation_affusion": "in_domain",
    "inpainting_makeanaudio": "out_domain",
    "inpainting_fakesound1zeroshot": "out_domain",
    "inpainting_fakesound1easy": "out_domain",
    "inpainting_fakesound1hard": "out_domain",
    "separation_flowsep": "out_domain",
    "editing_audit": "out_domain",
    "generation_x2audio": "out_domain",
}
GENERATORS = {"ldm": AUDIOLDM1, "ldm2": AUDIOLDM2, "ldm2_audiosr": AUDIOLDM2_AUDIOSR}
DONOR_KEYS = {"add": "add_event", "splice": "splice_event"}


class _Item(msgspec.Struct):
    """Line of a list; an event is "YouTube id||caption||onset-offset" of the mixed-in material."""

    audio_id: str
    onset_offset: str
    filepath: str
    fake_type: str
    model: Any = "None"
    add_event: Any = ""
    splice_event: Any = ""


def read(root: Path) -> Listing:
    """Return the clips of FakeSound2's lists under ``root``.

    Only the source is parsed from ids: long ids are truncated in the middle of a region.

    Raises:
        InputError: if no list is found.
    """
    folder = find_folder(root, BASES, [f"{name}.jsonl" for name in DOMAINS], LAYOUT)
    listing = Listing()
    for name, domain in DOMAINS.items():
        listing.add(listing.lines(folder / f"{name}.jsonl"), partial(_row, domain=domain))
    bases = (root, root / "scr", *folder.absolute().parents[:3])
    listing.rows = find_audio(listing, root, list(dict.fromkeys(bases)))
    return listing


def _row(line: str, where: str, domain: str) -> Row:
    try:
        item = parse_entry(json.loads(line), _Item)
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON ({error.msg})") from None
    kind, model = item.fake_type.lower(), str(item.model).lower()
    fake = kind != "genuine"
    if fake == (model == "none"):
        raise InputError(f"model: {item.model!r} contradicts fake_type {kind!r}")
    return Row(
        where=where,
        clip_id=item.audio_id,
        path=Path(item.filepath),
        source_id=source_of(item.audio_id),
        label="fake" if fake else "genuine",
        corpus="fakesound2",
        attack=f"{kind}/{GENERATORS.get(model, model)}" if fake else None,
        regions=read_spans(item.onset_offset),
        split="test",
        donor_ids=_donors(item, kind),
        subsets=(domain,),
    )


def _donors(item: _Item, kind: str) -> tuple[str, ...]:
    key = DONOR_KEYS.get(kind)
    if key is None:
        return ()
    text = getattr(item, key)
    donor, *rest = str(text).split("||")
    if len(donor) != ID_LENGTH or len(rest) != 2:
        raise InputError(f"{key}: {text!r} is not id||caption||onset-offset")
    return (source_of(donor),)


FAKESOUND2 = Corpus(
    name="fakesound2",
    summary="general audio, 14 attacks: inpainting, generation, editing, separation, splicing, "
    "adding; all test",
    layout=LAYOUT,
    source="https://zeyuxie29.github.io/FakeSound2 (audio), lists at "
    "https://github.com/zeyuxie29/FakeSound2",
    card="no licence given; the recordings are those of YouTube (AudioCaps). Cite: Xie et al., "
    "FakeSound2: A Benchmark for Explainable and Generalizable Deepfake Sound Detection, 2025, "
    "arXiv:2509.17162",
    read=read,
)
