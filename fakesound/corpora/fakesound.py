"""FakeSound: general audio with one inpainted region (Xie et al., Interspeech 2024)."""

import json
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from fakesound.corpora.audiocaps import (
    AUDIOLDM1,
    AUDIOLDM2_AUDIOSR,
    find_audio,
    read_spans,
    source_of,
)
from fakesound.corpora.listing import Corpus, Listing, Row, find_folder, parse_entry
from fakesound.errors import InputError

LAYOUT = """
FakeSound/meta_data/{train,easy,hard,zeroshot}.json
FakeSound/deepfake_data/{train,easy,hard,zeroshot}/*.wav
"""
BASES = ("FakeSound/meta_data", "meta_data", "FakeSound/FakeSound/meta_data", "deepfake_data", ".")
# subset: its split and its generator, as FakeSound2 names it
SUBSETS = {
    "train": ("train", AUDIOLDM2_AUDIOSR),
    "easy": ("test", AUDIOLDM2_AUDIOSR),
    "hard": ("test", AUDIOLDM2_AUDIOSR),
    "zeroshot": ("test", AUDIOLDM1),
}


class _Item(msgspec.Struct):
    """Entry of a list; label 1 is fake."""

    audio_id: str
    label: Literal[0, 1]
    onset_offset: str
    filepath: str


def read(root: Path) -> Listing:
    """Return the clips of FakeSound's lists under ``root``.

    Label 1 is fake in the files, although the README of FakeSound states 0.

    Raises:
        InputError: if no list is found, or one is not JSON.
    """
    folder = find_folder(root, BASES, [f"{name}.json" for name in SUBSETS], LAYOUT)
    listing = Listing()
    for subset in SUBSETS:
        path = folder / f"{subset}.json"
        if not (text := listing.text(path)):
            continue
        numbered = enumerate(_items(path, text), start=1)
        items = ((f"{path.name} clip {number}", item) for number, item in numbered)
        listing.add(items, partial(_row, subset=subset))
    bases = dict.fromkeys((root, *folder.absolute().parents[:2]))
    listing.rows = find_audio(listing, root, list(bases))
    return listing


def _items(path: Path, text: str) -> list[Any]:
    try:
        items = json.loads(text)["audios"]
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON ({error}); download it again") from None
    except (KeyError, TypeError):
        raise InputError(f'{path}: has no key "audios"; download it again') from None
    if not isinstance(items, list):
        raise InputError(f'{path}: "audios" is not a list; download it again')
    return items


def _row(content: Any, where: str, subset: str) -> Row:  # noqa: ANN401
    item = parse_entry(content, _Item)
    split, generator = SUBSETS[subset]
    fake = item.label == 1
    return Row(
        where=where,
        # both generators inpainted the same region of a source, under one id
        clip_id=f"{subset}/{item.audio_id}" if fake else item.audio_id,
        path=Path(item.filepath),
        source_id=source_of(item.audio_id),
        label="fake" if fake else "genuine",
        corpus="fakesound",
        attack=f"inpainting/{generator}" if fake else None,
        regions=read_spans(item.onset_offset),
        split=split,
        subsets=() if split == "train" else (subset,),
    )


FAKESOUND = Corpus(
    name="fakesound",
    summary="general audio with one inpainted region; AudioLDM2 in train, AudioLDM too in test",
    layout=LAYOUT,
    source="https://huggingface.co/datasets/ZeyuXie/FakeSound (fakes), lists at "
    "https://github.com/FakeSoundData/FakeSound; genuine recordings are not in it: download those "
    "of AudioCaps (https://audiocaps.github.io) and put them in a folder under root, named by "
    "YouTube id",
    card="fakes Apache-2.0, genuine recordings those of YouTube (AudioCaps). Cite: Xie et al., "
    "FakeSound: Deepfake General Audio Detection, Interspeech 2024, arXiv:2406.08052",
    read=read,
)
