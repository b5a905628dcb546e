"""Print the main result of three seeds as a table and write it to results.csv.

python experiments/main_result/analyse.py outputs/main_result
"""

import csv
import json
import statistics
import sys
from pathlib import Path

FIGURES = ("clip/auc", "clip/eer", "frame/auc", "segment_f1_20ms", "segment_f1_1s", "event_f1")


def main(folder: Path) -> None:
    """Read every finished run under ``folder``; print its metrics, and the medians."""
    runs = sorted(
        (json.loads(path.read_text()) for path in folder.glob("*/metrics.json")),
        key=lambda run: run["provenance"]["seed"],
    )
    rows = [row(run) for run in runs]
    middle = {key: statistics.median(one[key] for one in rows) for key in rows[0]}
    with (Path(__file__).parent / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: round(value, 4) for key, value in one.items()} for one in rows)
    print("| figure |", " | ".join(f"seed {one['seed']:.0f}" for one in rows), "| median |")
    print("|---|" + "---|" * (len(rows) + 1))
    for key in rows[0]:
        if key != "seed":
            values = [*(one[key] for one in rows), middle[key]]
            print(f"| {key} |", " | ".join(f"{value:.3f}" for value in values), "|")


def row(run: dict) -> dict[str, float]:
    """Return the metrics of one run under flat names."""
    figures = {"seed": float(run["provenance"]["seed"])}
    for fold in ("unseen", "seen"):
        figures |= {f"{fold} {key}": run["test"][fold][key] for key in FIGURES}
        all_fake = run["baseline_by_fold"][fold]["all_fake"]
        figures[f"{fold} segment_f1_20ms, all called fake"] = all_fake["segment_f1_20ms"]
    figures["audit AUC, unseen"] = run["audit"]["auc_unseen"]
    figures["minutes"] = sum(run["provenance"]["seconds"].values()) / 60
    return figures


if __name__ == "__main__":
    main(Path(sys.argv[1]))
