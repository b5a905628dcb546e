"""Measure detectors on real generators: AUC within domains, segment F1, each generator.

python experiments/real_generators/analyse.py MANIFEST FOLDER [FOLDER ...]

MANIFEST is the manifest of the bench, for the domains; each FOLDER was written by
`fakesound evaluate --checkpoint RUN --manifest MANIFEST --out FOLDER`. The rows of these
runs are written to domains.csv and generators.csv beside this file; a run has the name of its
FOLDER. A system is seen if training had fakes of the same name.
"""

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean

import numpy as np
from sklearn.metrics import roc_auc_score

LEAST = 4  # clips of each label that a domain needs, as in the README of the bench
STEP = 0.02
KINDS = ("partial", "whole")
# field with the score of each hypothesis, for detectors with two
OWN = {"partial": "part_score", "whole": "whole_score"}
# kind of the fakes, and whether training had fakes of the same system from other pages
TIERS = [(kind, fold) for kind in KINDS for fold in ("seen", "unseen")]


def main(manifest: Path, folders: list[Path]) -> None:
    """Print one row for each of ``folders`` and write the tables."""
    bench = {row["clip_id"]: row for row in read(manifest)}
    domains, generators, tiers, details = [], [], [], []
    print("| run | partial, AUC | whole clip, AUC | segment F1 | all fake | best threshold |")
    print("|---|---|---|---|---|---|")
    for folder in folders:
        rows = read(folder / "scores.jsonl")
        kinds = {row["clip_id"]: kind_of(row) for row in rows}
        within = {kind: aucs_within(rows, bench, kinds, kind) for kind in KINDS}
        figures = segment_figures([row for row in rows if kinds[row["clip_id"]] != "whole"])
        shown = [f"{mean(within[kind].values()):.3f}" for kind in KINDS]
        print(f"| {folder.name} |", " | ".join([*shown, *(f"{f:.3f}" for f in figures)]), "|")
        details.append([folder.name, *by_hypothesis(rows, bench, kinds), *called(rows, kinds)])
        for kind in KINDS:
            for domain, auc in within[kind].items():
                domains.append([folder.name, kind, domain, round(auc, 4)])
        areas = by_generator(rows, bench)
        for attack, (auc, clips) in areas.items():
            generators.append([folder.name, attack, clips, round(auc, 4)])
        tiers.append([folder.name, *by_tier(rows, kinds, areas)])
    print("\n| run | " + " | ".join(f"{kind}, system {fold}" for kind, fold in TIERS) + " |")
    print("|---" * (1 + len(TIERS)) + "|")
    for name, *cells in tiers:
        print(f"| {name} |", " | ".join(cells), "|")
    print("\n| run | partial, own hypothesis | whole, own hypothesis | frame AUC", end=" | ")
    print(" | ".join(f"{kind} called fake" for kind in ("genuine", *KINDS)), "|")
    print("|---" * 7 + "|")
    for name, *cells in details:
        print(f"| {name} |", " | ".join(cells), "|")
    here = Path(__file__).parent
    write(here / "domains.csv", ["run", "kind", "domain", "auc"], domains)
    write(here / "generators.csv", ["run", "generator", "clips", "auc"], generators)


def read(path: Path) -> list[dict]:
    """Return the rows of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path: Path, header: list[str], rows: list[list]) -> None:
    """Write a table, with the rows of other runs that it already has."""
    runs = {row[0] for row in rows}
    with path.open(newline="") as file:
        rows = [row for row in list(csv.reader(file))[1:] if row[0] not in runs] + rows
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([header, *rows])


def kind_of(row: dict) -> str:
    """Return whether a clip is genuine, fake in part or fake as a whole."""
    if row["label"] == "genuine":
        return "genuine"
    onset, offset = row["regions"][0]
    return "whole" if onset <= STEP and offset >= row["duration"] - 0.05 else "partial"


def auc(genuine: list[float], fake: list[float]) -> float:
    """Return the probability that a fake scores higher than a genuine clip."""
    gap = np.subtract.outer(fake, genuine)
    return float(np.mean((gap > 0) + 0.5 * (gap == 0)))


def aucs_within(
    rows: list[dict], bench: dict, kinds: dict, kind: str, key: str = "score"
) -> dict[str, float]:
    """Return the AUC in each domain with enough genuine clips and fakes of ``kind``."""
    scores: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        domain = bench[row["clip_id"]]["domain"]
        scores[domain][kinds[row["clip_id"]]].append(row[key])
    return {
        domain: auc(by_kind["genuine"], by_kind[kind])
        for domain, by_kind in sorted(scores.items())
        if min(len(by_kind["genuine"]), len(by_kind[kind])) >= LEAST
    }


def by_generator(rows: list[dict], bench: dict) -> dict[str, tuple[float, int]]:
    """Return the AUC of each generator against genuine clips of its domains, and its clips."""
    genuine: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["label"] == "genuine":
            genuine[bench[row["clip_id"]]["domain"]].append(row["score"])
    areas: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        others = genuine[bench[row["clip_id"]]["domain"]]
        if row["label"] == "fake" and len(others) >= LEAST:
            areas[row["attack"]].append(auc(others, [row["score"]]))
    return {attack: (mean(aucs), len(aucs)) for attack, aucs in sorted(areas.items())}


def by_tier(rows: list[dict], kinds: dict, areas: dict[str, tuple[float, int]]) -> list[str]:
    """Return the mean AUC over the generators of each tier, and their number."""
    tier_of = {row["attack"]: (kinds[row["clip_id"]], row["fold"]) for row in rows if row["attack"]}
    cells = []
    for tier in TIERS:
        aucs = [auc for attack, (auc, _) in areas.items() if tier_of[attack] == tier]
        cells.append(f"{mean(aucs):.3f} ({len(aucs)})" if aucs else "")
    return cells


def by_hypothesis(rows: list[dict], bench: dict, kinds: dict) -> list[str]:
    """Return the AUC of each kind by its own hypothesis, and the frame AUC without whole fakes."""
    cells = []
    for kind, key in OWN.items():
        aucs = aucs_within(rows, bench, kinds, kind, key) if key in rows[0] else {}
        cells.append(f"{mean(aucs.values()):.3f}" if aucs else "")
    parts = [frames_of(row) for row in rows if kinds[row["clip_id"]] != "whole"]
    fake, score = (np.concatenate(part) for part in zip(*parts, strict=True))
    return [*cells, f"{roc_auc_score(fake, score):.3f}"]


def called(rows: list[dict], kinds: dict) -> list[str]:
    """Return the share of genuine clips and of each kind above the clip threshold."""
    cells = []
    for kind in ("genuine", *KINDS):
        above = [r["score"] > r["clip_threshold"] for r in rows if kinds[r["clip_id"]] == kind]
        cells.append(f"{mean(above):.1%} of {len(above)}")
    return cells


def frames_of(row: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return which frames of a clip are fake, and their scores."""
    frames = np.asarray(row["frame_scores"])
    start = np.arange(len(frames)) * STEP
    fake = np.zeros(len(frames), dtype=bool)
    for onset, offset in row["regions"]:
        fake |= (start + STEP > onset + 1e-9) & (start < offset - 1e-9)
    return fake, frames


def segment_figures(rows: list[dict]) -> tuple[float, float, float]:
    """Return segment F1 (20 ms) at the frozen threshold, with all called fake, and at best."""
    truth, scores, called = [], [], []
    for row in rows:
        fake, frames = frames_of(row)
        truth.append(fake)
        scores.append(frames)
        called.append(frames >= row.get("frame_threshold", 0.5))
    fake, score, call = (np.concatenate(parts) for parts in (truth, scores, called))
    hits = np.cumsum(fake[np.argsort(-score)])
    best = (2 * hits / (np.arange(1, len(hits) + 1) + fake.sum())).max()
    f1 = 2 * (fake & call).sum() / (fake.sum() + call.sum())
    return float(f1), float(2 * fake.sum() / (fake.sum() + len(fake))), float(best)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
