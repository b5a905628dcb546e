"""Print a comparison as Markdown: every run, and every setting compared with the reference.

fakesound compare outputs/SWEEP [--reference KEY=VALUE] --out comparison.html
python experiments/table.py comparison.json
"""

import json
import sys
from pathlib import Path

from fakesound.report.glossary import METRICS

KEYS = ("clip/auc", "frame/auc", "segment_f1_20ms")


def main(path: Path) -> None:
    """Print both tables."""
    comparison = json.loads(path.read_text())
    runs = comparison["runs"]
    keys = list(runs[0])
    keys = keys[keys.index("run") + 1 : keys.index("held_out")]
    columns = {
        f"{part}/{key}": f"{METRICS[key].title}, {part}"
        for part in ("unseen", "seen")
        for key in KEYS
    }
    print("| setting | seed |", " | ".join(columns.values()), "| minutes |")
    print("|---|---|" + "---|" * (len(columns) + 1))
    for run in sorted(runs, key=lambda run: (str([run[key] for key in keys]), run["seed"])):
        setting = ", ".join(name(key, run[key]) for key in keys) or run["run"]
        cells = [cell(run, key) for key in columns]
        minutes = f"{run['seconds'] / 60:.1f}"
        print(f"| {setting} | {run['seed']} |", " | ".join([*cells, minutes]), "|")
    print(
        "\n| setting | reference | metric | difference | p | p, Holm | seeds with the same sign |"
    )
    print("|---|---|---|---|---|---|---|")
    reference = comparison["reference"]
    for pair in (pair for pair in comparison["paired"] if pair["other"] == reference):
        for key, one in pair["differences"].items():
            difference = f"{one['difference']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]"
            tests = f"{one['p']:.3f} | {pair['holm'][key]:.3f}"
            agreeing = f"{pair['agreeing'][key]} of {pair['pairs']}"
            print(f"| {pair['setting']} | {pair['other']} | {METRICS[key].title} |", end="")
            print(f" {difference} | {tests} | {agreeing} |")


def name(key: str, value: object) -> str:
    """Return a value with its key, or alone if it is a name."""
    return str(value) if key.split(".")[-1] == "name" else f"{key}={value}"


def cell(run: dict, key: str) -> str:
    """Return a metric of a run with its interval."""
    if run.get(key) is None:
        return ""
    low, high = run.get(f"{key}/low"), run.get(f"{key}/high")
    return f"{run[key]:.2f}" + (f" [{low:.2f}, {high:.2f}]" if low is not None else "")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
