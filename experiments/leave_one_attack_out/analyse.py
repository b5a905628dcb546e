"""Print the metrics of each held-out attack and of its control, and write results.csv.

python experiments/leave_one_attack_out/analyse.py outputs/leave_one_attack_out
"""

import csv
import json
import sys
from pathlib import Path
from statistics import fmean

import yaml

MISSING = "not run"


def main(folder: Path) -> None:
    """Read every finished run under ``folder``; print one line for each attack, then the mean."""
    runs = {False: [], True: []}
    for path in sorted(folder.glob("*/metrics.json")):
        split = yaml.safe_load((path.parent / "config.yaml").read_text())["split"]
        runs[split.get("control", False)].append(json.loads(path.read_text()))
    controls = {key(run): run["test"]["attack"] for run in runs[True]}
    rows = sorted((row(run, controls) for run in runs[False]), key=lambda one: str(one["attack"]))
    rows += summaries(rows)
    with (Path(__file__).parent / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print("| " + " | ".join(rows[0]) + " |")
    print("|---|" + "---:|" * (len(rows[0]) - 1))
    for one in rows:
        print("| " + " | ".join(str(value) for value in one.values()) + " |")


def key(run: dict) -> tuple[str, int]:
    """Return the held-out attack and the seed of a run."""
    (attack,) = run["provenance"]["held_out"]
    return attack, run["provenance"]["seed"]


def summaries(rows: list[dict]) -> list[dict[str, object]]:
    """Return the mean over attacks, and the worst of them, of every AUC and F1."""
    names = [name for name in rows[0] if name.startswith(("clip", "frame", "segment"))]
    numbers = {name: [one[name] for one in rows if isinstance(one[name], float)] for name in names}
    summary_rows = []
    for title, function in (("mean", lambda values: round(fmean(values), 3)), ("worst", min)):
        values = {k: function(v) if v else MISSING for k, v in numbers.items()}
        summary_rows.append(
            dict.fromkeys(rows[0], "") | values | {"attack": f"{title} of {len(rows)}"}
        )
    return summary_rows


def row(run: dict, controls: dict) -> dict[str, object]:
    """Return the metrics of the held-out attack of a run, and those of its control.

    Each fake of the attack has one genuine partner, so that attacks can be compared.
    """
    attack, _ = key(run)
    block = run["test"]["attack"][attack]
    control = controls.get(key(run), {}).get(attack)
    all_fake = run["baseline_by_fold"]["unseen"]["all_fake"]
    ends = (block.get("ci") or {}).get("clip/auc")
    return {
        "attack": attack,
        "clip AUC": round(block["clip/auc"], 3),
        "95 %": "" if ends is None else f"{ends[0]:.2f}-{ends[1]:.2f}",
        "clip AUC, control": MISSING if control is None else round(control["clip/auc"], 3),
        "frame AUC": round(block["frame/auc"], 3),
        "frame AUC, control": MISSING if control is None else round(control["frame/auc"], 3),
        "segment F1": round(block["segment_f1_20ms"], 3),
        "all called fake": round(all_fake["segment_f1_20ms"], 3),
        "seen clip AUC": round(run["test"]["seen"]["clip/auc"], 3),
        "audit AUC": round(run["audit"]["auc_unseen"], 3),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
