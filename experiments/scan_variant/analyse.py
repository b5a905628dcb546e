"""Print the study of scan variants as a table and write it to results.csv.

python experiments/scan_variant/analyse.py outputs/scan_variant
"""

import csv
import json
import sys
from pathlib import Path

import yaml

FIGURES = ("clip/auc", "frame/auc", "segment_f1_20ms")


def main(folder: Path) -> None:
    """Read every finished run under ``folder`` and print it, with the means of each variant."""
    rows = sorted(
        (row(path.parent) for path in folder.glob("*/metrics.json")),
        key=lambda one: (-one["state"], one["tied"], one["seed"]),
    )
    names = list(rows[0])
    with (Path(__file__).parent / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print("|", " | ".join(names), "|")
    print("|" + "---:|" * len(names))
    for one in rows:
        print("|", " | ".join(str(value) for value in one.values()), "|")
    for variant in dict.fromkeys((one["state"], one["tied"]) for one in rows):
        group = [one for one in rows if (one["state"], one["tied"]) == variant]
        means = [sum(one[name] for one in group) / len(group) for name in names[3:]]
        print("|", " | ".join([*map(str, variant), "mean", *(f"**{m:.3f}**" for m in means)]), "|")


def row(run: Path) -> dict:
    """Return the metrics of one run under flat names."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    metrics = json.loads((run / "metrics.json").read_text())
    blocks = {"validation": metrics["validation"], **metrics["test"]}
    figures = {
        "state": config["backbone"]["state"],
        "tied": config["backbone"]["tied_decay"],
        "seed": config["seed"],
    }
    for fold in ("validation", "unseen", "seen"):
        figures |= {f"{fold} {key}": round(blocks[fold][key], 4) for key in FIGURES}
    return figures


if __name__ == "__main__":
    main(Path(sys.argv[1]))
