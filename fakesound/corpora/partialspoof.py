"""PartialSpoof: speech with spoofed segments (Zhang et al., IEEE/ACM TASLP 2023)."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from fakesound.corpora.asvspoof2019_la import ATTACKS, protocol_fields
from fakesound.corpora.listing import ROUNDING, Corpus, Listing, Row, find_folder
from fakesound.corpora.segment_labels import STEPS, read_rttm, read_segment_labels
from fakesound.errors import InputError
from fakesound.timeline import Region

NAME = "partialspoof"
LAYOUT = """
database/protocols/PartialSpoof_LA_cm_protocols/PartialSpoof.LA.cm.{train,dev,eval}.trl.txt
database/segment_labels/{train,dev,eval}_seglab_0.01.npy
database/{train,dev,eval}/con_wav/*.wav
"""
BASES = (".", "database", "PartialSpoof/database")
PROTOCOLS = "protocols/PartialSpoof_LA_cm_protocols"
PARTS = {"train": "train", "dev": "validation", "eval": "test"}
LABELS = ("segment_labels", "segment_labels_v1.2")
RTTM = ("rttm_2cls_0sil", "rttm_2cls_0sil_spoof")


def read(root: Path) -> Listing:
    """Return the clips of the protocols under ``root``, with their finest segment labels.

    Sources are the speakers of ASVspoof 2019 LA: all segments of a fake are of one speaker.

    Raises:
        InputError: if no protocol is found, or labels cannot be read.
    """
    protocols = {part: f"{PROTOCOLS}/PartialSpoof.LA.cm.{part}.trl.txt" for part in PARTS}
    base = find_folder(root, BASES, protocols.values(), LAYOUT)
    listing = Listing()
    for part, split in PARTS.items():
        lines = list(listing.lines(base / protocols[part]))
        if lines:
            spans, slack = _spans(base, part, listing)
            folder = base / part / "con_wav"
            parse = partial(_row, folder=folder, spans=spans, split=split, slack=slack)
            listing.add(lines, parse)
    return listing


def _row(
    line: str,
    where: str,
    folder: Path,
    spans: Mapping[str, Sequence[Region]],
    split: str,
    slack: float,
) -> Row:
    source, name, system, label = protocol_fields(line)
    fake = label == "fake"
    if fake and name not in spans:
        raise InputError(f"labels: {name} has no segment labels")
    regions = tuple(spans.get(name, ()))
    if fake != bool(regions):
        raise InputError(f"label: {name} is {label}, but {len(regions)} of its segments are spoof")
    # published protocols do not name the system, only that the clip is concatenated
    attack = f"splice/{system}" if system in ATTACKS else f"splice/{NAME}"
    return Row(
        where=where,
        clip_id=name,
        path=folder / f"{name}.wav",
        source_id=source,
        label=label,
        corpus=NAME,
        attack=attack if fake else None,
        regions=regions,
        split=split,
        license="CC-BY-4.0",
        slack=slack,
    )


def _spans(base: Path, part: str, listing: Listing) -> tuple[dict[str, list[Region]], float]:
    """Return the fake regions of each clip of a part, and the slack of `Row` in seconds."""
    for name in RTTM:
        path = base / part / "con_data" / name
        if path.is_file():
            listing.remarks.append(f"{part}: regions from {path}")
            return read_rttm(path), ROUNDING
    for step in STEPS:
        for folder in LABELS:
            path = base / folder / f"{part}_seglab_{step}.npy"
            if path.is_file():
                listing.remarks.append(f"{part}: regions from {path}, in steps of {step} s")
                spans = read_segment_labels(path, float(step))
                return spans, max(ROUNDING, float(step))
    raise InputError(
        f"{base / LABELS[0] / f'{part}_seglab_{STEPS[0]}.npy'}: not found; download "
        "database_segment_labels_v1.2.tar.gz and unpack it beside the audio"
    )


PARTIALSPOOF = Corpus(
    name=NAME,
    summary="speech with segments synthesised or converted by the systems of ASVspoof 2019 LA",
    layout=LAYOUT,
    source="https://zenodo.org/records/5766198",
    card="CC-BY-4.0. Cite: Zhang et al., The PartialSpoof Database and Countermeasures for the "
    "Detection of Short Fake Speech Segments Embedded in an Utterance, IEEE/ACM TASLP 31, 2023",
    read=read,
)
