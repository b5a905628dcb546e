"""Print the AUC of each generator for models that were not trained on it; write generators.csv.

python experiments/leave_one_generator_out/analyse.py outputs/leave_one_generator_out MANIFEST
"""

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean

import numpy as np

LEAST = 3  # genuine clips that a fold needs in the domain of a fake


def main(folder: Path, manifest: Path) -> None:
    """Compare each fake with the genuine clips of its domain, both scored by the same model."""
    domain = {row["clip_id"]: row["domain"] for row in read(manifest)}
    ranks: dict[str, defaultdict[str, list[float]]] = {
        fold: defaultdict(list) for fold in ("unseen", "seen")
    }
    runs = sorted(folder.rglob("scores.jsonl"))
    for path in runs:
        genuine = defaultdict(list)
        rows = read(path)
        for row in rows:
            if row["label"] == "genuine":
                genuine[domain[row["clip_id"]]].append(row["score"])
        for row in rows:
            others = np.array(genuine[domain[row["clip_id"]]])
            if row["label"] == "fake" and len(others) >= LEAST:
                rank = np.mean((row["score"] > others) + 0.5 * (row["score"] == others))
                ranks[row["fold"]][row["attack"]].append(float(rank))
    table = []
    for attack, unseen in ranks["unseen"].items():
        seen = ranks["seen"].get(attack, [])
        table.append([attack, len(unseen), mean(unseen), mean(seen) if seen else None])
    table.sort(key=lambda row: row[2])
    with (Path(__file__).parent / "generators.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["generator", "clips", "auc_left_out", "auc_in_training"])
        writer.writerows(
            [*row[:2], *(None if v is None else round(v, 4) for v in row[2:])] for row in table
        )
    print("| generator | clips | AUC within domain, left out | in training |\n|---|---|---|---|")
    for attack, clips, unseen, seen in table:
        print(f"| {attack} | {clips} | {unseen:.2f} | {'' if seen is None else f'{seen:.2f}'} |")
    families = defaultdict(list)
    for attack, _, unseen, seen in table:
        families[attack.split("/")[0]].append((unseen, seen))
    print("\n| family | generators | left out | in training |\n|---|---|---|---|")
    for family, pairs in sorted(families.items()):
        seen = [s for _, s in pairs if s is not None]
        print(
            f"| {family} | {len(pairs)} | {mean(u for u, _ in pairs):.2f} |",
            f"{mean(seen):.2f} |" if seen else "|",
        )
    print(f"\n{len(runs)} runs; worst left out: {table[0][0]} ({table[0][2]:.2f})")


def read(path: Path) -> list[dict]:
    """Return the rows of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
