"""Write the AUC of classes of decoders that were left out of training.

python experiments/leave_one_decoder_class_out/analyse.py FOLDER

FOLDER has the manifest and the scores of each fold, from the commands that folds.py prints.
"""

import csv
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fakesound.data.manifest import read_manifest
from fakesound.metrics.ranking import auc
from fakesound.metrics.score_file import read_scores

HERE = Path(__file__).parent
# a page needs as many genuine clips, and a class as many generators for a place in the mean
MIN_GENUINE, MIN_GENERATORS = 4, 5
DRAWS = 2000
Row = dict[str, Any]


def main(folder: Path) -> None:
    """Print the table of classes and write ``results.csv`` and ``generators.csv``."""
    generators = [
        row
        for scores in sorted(folder.glob("test*/scores.jsonl"))
        for row in generator_rows(scores, folder / f"fold{scores.parent.name[4:]}.jsonl")
    ]
    classes = class_rows(generators)
    write(HERE / "generators.csv", generators)
    write(HERE / "results.csv", classes)
    for kind in ("whole", "partial"):
        rows = [row for row in classes if row["kind"] == kind]
        print(f"\n| decoder | generators | fakes | AUC, {kind} | own hypothesis | worst |")
        print("|---|---|---|---|---|---|")
        for row in rows:
            print(
                f"| {row['decoder']} | {row['generators']} | {row['fakes']} | {row['auc']:.3f} "
                f"[{row['low']:.3f}, {row['high']:.3f}] | {row['own_auc']:.3f} "
                f"| {row['worst']} {row['worst_auc']:.2f} |"
            )
        large = [row for row in rows if row["generators"] >= MIN_GENERATORS]
        means = [np.mean([row[key] for row in large]) for key in ("auc", "own_auc")]
        print(f"| mean of {len(large)} classes | | | {means[0]:.3f} | {means[1]:.3f} | |")


def generator_rows(scores: Path, manifest: Path) -> list[Row]:
    """Return the AUC of each generator of the test against genuine clips of its pages.

    A generator on several pages has the mean of their AUC.
    """
    clips = read_manifest(manifest, check_files=False)
    decoders = {clip.clip_id: clip.decoder for clip in clips}
    genuine, fakes = defaultdict(list), defaultdict(list)
    for clip in read_scores(scores):
        if clip.fake:
            kind = "whole" if clip.kind == "whole" else "partial"
            fakes[decoders[clip.clip_id], kind, clip.attack, clip.domain].append(clip)
        else:
            genuine[clip.domain].append(clip)
    areas, counts = defaultdict(list), defaultdict(int)
    for (decoder, kind, attack, page), found in fakes.items():
        if len(genuine[page]) >= MIN_GENUINE:
            own = "whole_score" if kind == "whole" else "part_score"
            pair = [
                auc(
                    np.array([getattr(clip, key) for clip in (*found, *genuine[page])]),
                    np.array([True] * len(found) + [False] * len(genuine[page])),
                )
                for key in ("score", own)
            ]
            areas[decoder, kind, attack].append(pair)
            counts[decoder, kind, attack] += len(found)
    return [
        {
            "decoder": decoder,
            "kind": kind,
            "generator": attack,
            "fakes": counts[decoder, kind, attack],
            "auc": float(np.mean([score for score, _ in pairs])),
            "own_auc": float(np.mean([own for _, own in pairs])),
        }
        for (decoder, kind, attack), pairs in sorted(areas.items())
    ]


def class_rows(generators: Sequence[Row]) -> list[Row]:
    """Return the mean AUC of each class over its generators, with a bootstrap interval."""
    groups = defaultdict(list)
    for row in generators:
        groups[row["kind"], row["decoder"]].append(row)
    rows = []
    for (kind, decoder), members in groups.items():
        area = np.array([row["auc"] for row in members])
        draws = np.random.default_rng(0).integers(len(area), size=(DRAWS, len(area)))
        low, high = np.quantile(area[draws].mean(axis=1), [0.025, 0.975])
        worst = min(members, key=lambda row: row["auc"])
        rows.append(
            {
                "kind": kind,
                "decoder": decoder,
                "generators": len(members),
                "fakes": sum(row["fakes"] for row in members),
                "auc": float(area.mean()),
                "low": float(low),
                "high": float(high),
                "own_auc": float(np.mean([row["own_auc"] for row in members])),
                "worst": worst["generator"],
                "worst_auc": worst["auc"],
            }
        )
    return sorted(rows, key=lambda row: (row["kind"], -row["auc"]))


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``rows`` as CSV, with numbers rounded to four digits."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
