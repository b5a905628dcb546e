"""ASVspoof 2019 LA: speech, synthesised and converted throughout (Wang et al., CSL 2020)."""

from pathlib import Path

from fakesound.corpora.listing import (
    LABEL_NAMES,
    Corpus,
    Listing,
    Row,
    find_folder,
    named,
    read_text,
)
from fakesound.errors import InputError

NAME = "asvspoof2019_la"
LAYOUT = """
ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{train.trn,dev.trl,eval.trl}.txt
ASVspoof2019_LA_{train,dev,eval}/flac/*.flac
"""
PLACES = (".", "LA", "LA/LA")
PROTOCOLS = "ASVspoof2019_LA_cm_protocols"
# official part: split and protocol
PARTS = {
    "train": ("train", "ASVspoof2019.LA.cm.train.trn.txt"),
    "dev": ("validation", "ASVspoof2019.LA.cm.dev.trl.txt"),
    "eval": ("test", "ASVspoof2019.LA.cm.eval.trl.txt"),
}
# what the systems are by the data set's paper: synthesis, conversion, conversion of synthesis
SYSTEMS = {
    "tts": ("A01", "A02", "A03", "A04", "A07", "A08", "A09", "A10", "A11", "A12", "A16"),
    "vc": ("A05", "A06", "A17", "A18", "A19"),
    "tts_vc": ("A13", "A14", "A15"),
}
ATTACKS = {system: f"{kind}/{system}" for kind, systems in SYSTEMS.items() for system in systems}


def read(root: Path) -> Listing:
    """Return the clips of the countermeasure protocols under ``root``; fakes are fake throughout.

    Raises:
        InputError: if there is no protocol.
    """
    protocols = [f"{PROTOCOLS}/{name}" for _, name in PARTS.values()]
    base = find_folder(root, PLACES, protocols, LAYOUT)
    listing = Listing()
    for part, (split, protocol) in PARTS.items():
        path = base / PROTOCOLS / protocol
        for where, speaker, name, system, label in protocol_rows(path, listing):
            if (label == "fake") != (system in ATTACKS):
                listing.problems.append(f"{where}, system: {system!r} does not go with {label}")
                continue
            listing.rows.append(
                Row(
                    where=where,
                    clip_id=name,
                    path=base / f"ASVspoof2019_LA_{part}" / "flac" / f"{name}.flac",
                    source_id=speaker_source(speaker),
                    label=label,
                    corpus=NAME,
                    attack=ATTACKS.get(system),
                    regions=None if label == "fake" else (),
                    split=split,
                    license="ODC-By-1.0",
                )
            )
    return listing


def speaker_source(speaker: str) -> str:
    """Return the source id of a speaker of ASVspoof 2019, whose clips are not independent."""
    return f"{NAME}/{speaker}"


def protocol_rows(path: Path, listing: Listing) -> list[tuple[str, str, str, str, str]]:
    """Return place, speaker, clip, system and label of each row of a protocol.

    Rows that cannot be read become problems of ``listing``; a protocol that is not there, a remark.
    """
    if not path.is_file():
        listing.remarks.append(f"{path}: not there, so its clips are left out")
        return []
    rows = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        fields = line.split()
        where = f"{path.name} row {number}"
        if not fields:
            continue
        if len(fields) != 5:
            listing.problems.append(f"{where}: {len(fields)} fields; a row of a protocol has 5")
            continue
        speaker, name, _, system, key = fields
        try:
            rows.append((where, speaker, name, system, named(key, LABEL_NAMES, "key")))
        except InputError as error:
            listing.problems.append(f"{where}, {error}")
    return rows


ASVSPOOF2019_LA = Corpus(
    name=NAME,
    summary="speech, synthesised or converted by 19 systems, 13 of them only in test",
    layout=LAYOUT,
    source="https://datashare.ed.ac.uk/handle/10283/3336 (LA.zip)",
    card="ODC-By-1.0. Cite: Wang et al., ASVspoof 2019: A large-scale public database of "
    "synthesized, converted and replayed speech, Computer Speech & Language 64, 2020",
    read=read,
)
