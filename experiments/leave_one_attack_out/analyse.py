"""Print the metrics of each attack that was held out, and write them to results.csv.

python experiments/leave_one_attack_out/analyse.py outputs/leave_one_attack_out
"""

import csv
import json
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Read every finished run under ``folder``; print one line for each attack."""
    runs = [json.loads(path.read_text()) for path in folder.glob("*/metrics.json")]
    rows = sorted((row(run) for run in runs), key=lambda one: str(one["attack"]))
    with (Path(__file__).parent / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print("| " + " | ".join(rows[0]) + " |")
    print("|---|" + "---:|" * (len(rows[0]) - 1))
    for one in rows:
        print("| " + " | ".join(str(value) for value in one.values()) + " |")


def row(run: dict) -> dict[str, object]:
    """Return the metrics of the attack that a run held out.

    They are of its fakes and one genuine partner for each, so that attacks can be compared.
    """
    (attack,) = run["provenance"]["held_out"]
    block = run["test"]["attack"][attack]
    all_fake = run["baseline_by_fold"]["unseen"]["all_fake"]
    ends = (block.get("ci") or {}).get("clip/auc")
    return {
        "attack": attack,
        "clip AUC": round(block["clip/auc"], 3),
        "95 %": "" if ends is None else f"{ends[0]:.2f}-{ends[1]:.2f}",
        "frame AUC": round(block["frame/auc"], 3),
        "segment F1": round(block["segment_f1_20ms"], 3),
        "all called fake": round(all_fake["segment_f1_20ms"], 3),
        "seen clip AUC": round(run["test"]["seen"]["clip/auc"], 3),
        "audit AUC": round(run["audit"]["auc_unseen"], 3),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
