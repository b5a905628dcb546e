"""ASVspoof 2019 LA: speech, synthesised and converted throughout (Wang et al., CSL 2020)."""

from functools import partial
from pathlib import Path

from fakesound.corpora.listing import LABEL_NAMES, Corpus, Listing, Row, canonical_name, find_folder
from fakesound.errors import InputError

NAME = "asvspoof2019_la"
LAYOUT = """
ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{train.trn,dev.trl,eval.trl}.txt
ASVspoof2019_LA_{train,dev,eval}/flac/*.flac
"""
BASES = (".", "LA", "LA/LA")
PROTOCOLS = "ASVspoof2019_LA_cm_protocols"
# official part: split and protocol
PARTS = {
    "train": ("train", "ASVspoof2019.LA.cm.train.trn.txt"),
    "dev": ("validation", "ASVspoof2019.LA.cm.dev.trl.txt"),
    "eval": ("test", "ASVspoof2019.LA.cm.eval.trl.txt"),
}
# systems by kind, from the paper: synthesis, voice conversion, conversion of synthesised speech
SYSTEMS = {
    "tts": ("A01", "A02", "A03", "A04", "A07", "A08", "A09", "A10", "A11", "A12", "A16"),
    "vc": ("A05", "A06", "A17", "A18", "A19"),
    "tts_vc": ("A13", "A14", "A15"),
}
ATTACKS = {system: f"{kind}/{system}" for kind, systems in SYSTEMS.items() for system in systems}


def read(root: Path) -> Listing:
    """Return the clips of the countermeasure protocols under ``root``; fakes are fake throughout.

    Raises:
        InputError: if no protocol is found.
    """
    protocols = [f"{PROTOCOLS}/{name}" for _, name in PARTS.values()]
    base = find_folder(root, BASES, protocols, LAYOUT)
    listing = Listing()
    for part, (split, protocol) in PARTS.items():
        folder = base / f"ASVspoof2019_LA_{part}" / "flac"
        lines = listing.lines(base / PROTOCOLS / protocol)
        listing.add(lines, partial(_row, folder=folder, split=split))
    return listing


def _row(line: str, where: str, folder: Path, split: str) -> Row:
    source, name, system, label = protocol_fields(line)
    if (label == "fake") != (system in ATTACKS):
        raise InputError(f"system: {system!r} contradicts the key {label}")
    return Row(
        where=where,
        clip_id=name,
        path=folder / f"{name}.flac",
        source_id=source,
        label=label,
        corpus=NAME,
        attack=ATTACKS.get(system),
        regions=None if label == "fake" else (),
        split=split,
        license="ODC-By-1.0",
    )


def protocol_fields(line: str) -> tuple[str, str, str, str]:
    """Return source, clip, system and label of a row of a protocol.

    The source is the speaker, because clips of one speaker are not independent.

    Raises:
        InputError: naming the field.
    """
    fields = line.split()
    if len(fields) != 5:
        raise InputError(f"fields: found {len(fields)}; a row of a protocol has 5")
    speaker, name, _, system, key = fields
    return f"{NAME}/{speaker}", name, system, canonical_name(key, LABEL_NAMES, "key")


ASVSPOOF2019_LA = Corpus(
    name=NAME,
    summary="speech, synthesised or converted by 19 systems, 13 of them only in test",
    layout=LAYOUT,
    source="https://datashare.ed.ac.uk/handle/10283/3336 (LA.zip)",
    card="ODC-By-1.0. Cite: Wang et al., ASVspoof 2019: A large-scale public database of "
    "synthesized, converted and replayed speech, Computer Speech & Language 64, 2020",
    read=read,
)
