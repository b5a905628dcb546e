"""Print a comparison as Markdown: every run, and every setting against the reference.

python -m fakesound.compare outputs/SWEEP [--reference KEY=VALUE] --out comparison.html
python experiments/table.py comparison.json
"""

import json
import sys
from pathlib import Path

FIGURES = {
    "unseen/clip/auc": "clip AUC, unseen",
    "unseen/segment_f1_20ms": "segment F1 (20 ms), unseen",
    "seen/clip/auc": "clip AUC, seen",
    "seen/segment_f1_20ms": "segment F1, seen",
}
NAMES = {"clip/auc": "clip AUC", "segment_f1_20ms": "segment F1"}


def main(path: Path) -> None:
    """Print both tables."""
    found = json.loads(path.read_text())
    runs = found["runs"]
    keys = list(runs[0])
    keys = keys[keys.index("run") + 1 : keys.index("held_out")]
    print("| setting | seed |", " | ".join(FIGURES.values()), "| minutes |")
    print("|---|---|" + "---|" * (len(FIGURES) + 1))
    for run in sorted(runs, key=lambda run: (str([run[key] for key in keys]), run["seed"])):
        setting = ", ".join(said(key, run[key]) for key in keys) or run["run"]
        cells = [cell(run, key) for key in FIGURES]
        minutes = f"{run['seconds'] / 60:.1f}"
        print(f"| {setting} | {run['seed']} |", " | ".join([*cells, minutes]), "|")
    print("\n| setting | against | figure | difference | p | seeds that agree |")
    print("|---|---|---|---|---|---|")
    for pair in (pair for pair in found["paired"] if pair["other"] == found["reference"]):
        for key, name in NAMES.items():
            if (one := pair["differences"].get(key)) is None:
                continue
            difference = f"{one['difference']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]"
            agreeing = f"{pair['agreeing'][key]} of {pair['pairs']}"
            print(f"| {pair['setting']} | {pair['other']} | {name} | {difference} |", end="")
            print(f" {one['p']:.3f} | {agreeing} |")


def said(key: str, value: object) -> str:
    """Return a key and its value in words."""
    last = key.split(".")[-1]
    return str(value) if last == "name" else f"{last} {value}"


def cell(run: dict, key: str) -> str:
    """Return a figure of a run with its interval."""
    if run.get(key) is None:
        return ""
    low, high = run.get(f"{key}/low"), run.get(f"{key}/high")
    return f"{run[key]:.2f}" + (f" [{low:.2f}, {high:.2f}]" if low is not None else "")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
