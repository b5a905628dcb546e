"""Write the tables of the study from the folders of its sweeps.

python experiments/claim/analyse.py [--steps FOLDER ...] [--time FOLDER ...] [--search FOLDER]
python experiments/claim/analyse.py --budget outputs/claim

Writes tables.md, results.csv, comparisons.csv and runs.csv; missing runs are marked. --budget
prints the commands of the runs at equal CPU time, which follow from the CPU time at equal steps.
"""

import argparse
import csv
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parent))
from bootstrap import FIGURES, Cells, Figures, compared, mean_over, run_figures

from fakesound.metrics import PairedDifference, holm, read_scores

SYSTEMS = (
    *("vim", "vim_plain", "original", "original_cnn", "fcn_resnet", "mobilenet"),
    *("transformer", "mamba2"),
)
TASKS = ("both", "clip", "frame")
BENCHES = {
    "leave_one_family_out": "families of forged attacks",
    "decoder_folds": "folds of published decoders",
}
BUDGETS = {"steps": "equal steps", "time": "equal CPU time"}
PLANNED_RUNS = 15  # five folds, three seeds
OURS = ("vim", "both")
# Holm corrects over all of these that are tested with one metric
PLANNED = (
    *((other, "both") for other in SYSTEMS if other != "vim"),
    *(("vim", task) for task in ("clip", "frame")),
)
MARGIN = 0.01
NOT_RUN = "not run yet"
Arm = tuple[str, str]  # system and task


@dataclass(frozen=True)
class Run:
    """A finished run: its settings and its metrics."""

    arm: Arm
    bench: str
    fold: str
    seed: int
    parameters: int
    steps: int
    cpu_seconds: float | None
    figures: Mapping[str, Figures]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    outputs = Path("outputs")
    steps = [outputs / "claim", outputs / "claim_decoders"]
    times = [outputs / "claim_time", outputs / "claim_decoders_time"]
    parser.add_argument("--steps", type=Path, nargs="*", default=steps)
    parser.add_argument("--time", type=Path, nargs="*", default=times)
    parser.add_argument("--search", type=Path, default=outputs / "claim_search")
    parser.add_argument("--budget", type=Path)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    if options.budget:
        print("\n".join(equal_time(read_runs([options.budget], 0))))
        return
    runs = {"steps": read_runs(options.steps, options.draws)}
    runs["time"] = read_runs(options.time, options.draws)
    # the reference defines the time of the others, so its runs are the same
    runs["time"] += [run for run in runs["steps"] if runs["time"] and run.arm[0] == OURS[0]]
    page, rows, tests = tables(runs)
    page += search_table(options.search)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "tables.md").write_text(page, encoding="utf-8")
    write(options.out / "results.csv", rows)
    write(options.out / "comparisons.csv", tests)
    write(options.out / "runs.csv", run_rows(runs))
    print(page)


def read_runs(folders: Iterable[Path], draws: int) -> list[Run]:
    """Return the finished runs of sweeps; without ``draws``, they have no metrics."""
    return [
        read_run(path.parent, draws)
        for folder in folders
        for path in sorted(folder.glob("*/metrics.json"))
    ]


def read_run(folder: Path, draws: int) -> Run:
    """Return a finished run."""
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    origin = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["provenance"]
    heads, split = config["heads"], config["split"]
    task = "both" if heads["clip"] and heads["frame"] else "clip" if heads["clip"] else "frame"
    held_out = split["held_out"]
    return Run(
        arm=(config["backbone"]["name"], task),
        bench=split["name"],
        fold=str(split["fold"] if held_out is None else held_out),
        seed=config["seed"],
        parameters=origin["parameters"],
        steps=config["epochs"] * config["steps"],
        cpu_seconds=(origin.get("cpu_seconds") or {}).get("train"),
        figures=run_figures(read_scores(folder / "scores.jsonl"), draws) if draws else {},
    )


def tables(
    runs: Mapping[str, Sequence[Run]],
) -> tuple[str, list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the page, and the rows of its tables of systems and of comparisons."""
    page, rows, tests = "", [], []
    for budget, title in BUDGETS.items():
        for bench, name in BENCHES.items():
            here = [run for run in runs[budget] if run.bench == bench]
            own = {"budget": budget, "bench": bench}
            measured = [own | row for row in system_rows(here)]
            differences = [own | row for row in comparison_rows(here)]
            page += f"## {name[0].upper()}{name[1:]}, {title}\n\n"
            page += markdown(measured, hidden=tuple(own)) + "\n"
            page += markdown(differences, hidden=tuple(own)) + "\n"
            rows += measured
            tests += differences
    return page, rows, tests


def run_rows(runs: Mapping[str, Sequence[Run]]) -> list[dict[str, Any]]:
    """Return a row for each run, with the means over its held-out generators."""
    names = ("budget", "bench", "fold", "seed", "system", "tasks", *FIGURES)
    rows = [
        dict(zip(names, (budget, run.bench, run.fold, run.seed, *run.arm), strict=False))
        | {
            figure: f"{fmean(v[0] for v in values.values()):.4f}" if values else ""
            for figure, values in run.figures.items()
        }
        for budget, finished in runs.items()
        for run in finished
    ]
    return rows or [dict.fromkeys(names, "") | {"budget": NOT_RUN}]


def system_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return a row for each system and task, with the number of finished runs."""
    rows = []
    for arm in ((system, task) for system in SYSTEMS for task in TASKS):
        own = [run for run in runs if run.arm == arm]
        row: dict[str, Any] = {"system": arm[0], "tasks": arm[1]}
        row["parameters"] = summary(own, lambda run: run.parameters)
        row["steps"] = summary(own, lambda run: run.steps)
        row["CPU minutes"] = summary(own, lambda run: (run.cpu_seconds or 0) / 60)
        row["runs"] = f"{len(own)} of {PLANNED_RUNS}"
        for figure in FIGURES:
            cells = cells_of(own, figure)
            row[figure] = interval(mean_over(cells)) if cells else "" if own else NOT_RUN
        rows.append(row)
    return rows


def comparison_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return a row for each planned comparison with each metric."""
    rows = []
    ours = [run for run in runs if run.arm == OURS]
    for figure in FIGURES:
        differences: dict[Arm, PairedDifference] = {}
        planned = [arm for arm in PLANNED if has_figure(arm, figure)]
        for arm in planned:
            other = cells_of([run for run in runs if run.arm == arm], figure)
            difference = compared(cells_of(ours, figure), other)
            if difference is not None:
                differences[arm] = difference
        # over all planned comparisons, even if some have not been run
        corrected = holm({arm: one.p for arm, one in differences.items()}, len(planned))
        for arm in planned:
            row = {"figure": figure, "vim, both, against": f"{arm[0]}, {arm[1]}"}
            empty = dict.fromkeys(("difference", "p", "p, Holm"), "") | {"result": NOT_RUN}
            if arm in differences:
                one = differences[arm]
                empty = {
                    "difference": f"{one.difference:+.3f} [{one.low:+.3f}, {one.high:+.3f}]",
                    "p": f"{one.p:.3f}",
                    "p, Holm": f"{corrected[arm]:.3f}",
                    "result": verdict(one, corrected[arm]),
                }
            rows.append(row | empty)
    return rows


def has_figure(arm: Arm, figure: str) -> bool:
    """Return whether a comparison with ``arm`` is planned with metric ``figure``."""
    return arm[1] != ("clip" if figure == "frame AUC" else "frame")


def verdict(one: PairedDifference, p: float) -> str:
    """Return the result of a comparison by the rules of the protocol."""
    if p < 0.05:
        return "better" if one.difference > 0 else "worse"
    return "not inferior" if one.low > -MARGIN else "nothing shown"


def cells_of(runs: Sequence[Run], figure: str) -> Cells:
    """Return a metric of the runs of a system by fold and seed."""
    cells: defaultdict[str, dict[int, Figures]] = defaultdict(dict)
    for run in runs:
        if run.figures.get(figure):
            cells[run.fold][run.seed] = run.figures[figure]
    return dict(sorted(cells.items()))


def equal_time(runs: Sequence[Run]) -> list[str]:
    """Return the commands that give every system the CPU time of the reference."""
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    benches: dict[str, None] = {}
    for run in runs:
        if run.cpu_seconds is not None and run.arm[1] == "both":
            seconds[run.arm[0]].append(run.cpu_seconds / run.steps)
            benches[run.bench] = None
    if OURS[0] not in seconds:
        return [f"{NOT_RUN}: the time of {OURS[0]} with both tasks defines that of the others"]
    sweep = "claim_decoders" if "decoder_folds" in benches else "claim"
    steps = median(run.steps for run in runs if run.arm == OURS)
    commands = []
    for system in SYSTEMS:
        if system == OURS[0]:
            continue
        if system not in seconds:
            commands.append(f"# {system}: {NOT_RUN} at equal steps")
            continue
        own_steps = round(steps * median(seconds[OURS[0]]) / median(seconds[system]) / 3)
        name = f"name={sweep}_time system={system} epochs=3 steps={own_steps}"
        commands.append(f"fakesound run -m sweep={sweep} {name}")
    return commands


def search_table(folder: Path) -> str:
    """Return a table of the best trial of each system, by the validation objective."""
    objectives: defaultdict[str, dict[tuple[float, float], float]] = defaultdict(dict)
    for path in sorted(folder.glob("*/metrics.json")):
        config = yaml.safe_load((path.parent / "config.yaml").read_text(encoding="utf-8"))
        key = (config["optim"]["lr"], config["backbone"]["drop_path"])
        objective = json.loads(path.read_text(encoding="utf-8"))["objective"]
        if objective is not None:
            objectives[config["backbone"]["name"]][key] = objective
    rows = []
    for system in SYSTEMS:
        trials = objectives.get(system, {})
        best = max(trials, key=lambda key: trials[key], default=None)
        rows.append(
            {
                "system": system,
                "trials": f"{len(trials)} of 8",
                "best optim.lr": NOT_RUN if best is None else best[0],
                "best backbone.drop_path": "" if best is None else best[1],
                "objective": "" if best is None else f"{trials[best]:.3f}",
            }
        )
    return "## Search on validation\n\n" + markdown(rows)


def interval(values: Any) -> str:  # noqa: ANN401  # an array: value, then draws
    """Return a metric with its 95 % interval."""
    import numpy as np

    if len(values) == 1:
        return f"{values[0]:.3f}"
    low, high = np.nanpercentile(values[1:], (2.5, 97.5))
    return f"{values[0]:.3f} [{low:.3f}, {high:.3f}]"


def summary(runs: Sequence[Run], value: Callable[[Run], float]) -> str:
    """Return the median of ``value`` over runs; empty without runs."""
    return f"{median(map(value, runs)):,.0f}" if runs else ""


def markdown(rows: Sequence[Mapping[str, Any]], hidden: Sequence[str] = ()) -> str:
    """Return a Markdown table."""
    names = [name for name in rows[0] if name not in hidden]
    lines = [names, ["---"] * len(names)] + [[str(row[name]) for name in names] for row in rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
