"""Repeat a run from its record, and compare its circumstances and figures."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.table import Table

from fakesound.config import RunConfig
from fakesound.config.saved import from_plain, identity
from fakesound.data.hashes import HASHES, read_list
from fakesound.data.manifest import Clip, clip_row
from fakesound.data.manifest_paths import relative_path
from fakesound.errors import InputError
from fakesound.files import lock_folder
from fakesound.forging import resolve_corpus
from fakesound.progress import console, print_line
from fakesound.report import RunResults, read_run
from fakesound.training.experiment import run_experiment
from fakesound.training.tracking import flatten

FOLDER = Path("outputs", "reproduced")
# circumstances that figures may depend on, besides code, versions and data
CIRCUMSTANCES = (
    "machine", "gpu", "device", "processes", "kernel", "precision", "threads", "deterministic",
    "matmul_precision", "environment",
)  # fmt: skip
SHOWN = ("clip/auc", "clip/eer", "frame/auc", "segment_f1_20ms", "segment_f1_1s")
MOST_NAMED = 5

# name of a difference, its recorded and its repeated value
Change = tuple[str, str, str]


def reproduce(recorded: Path) -> bool:
    """Repeat the run in folder ``recorded`` in a new one; return whether the figures agree.

    Precision and threads are those of the record. A stopped repetition is resumed.

    Raises:
        InputError: if the record is missing or incomplete, or the data is missing.
    """
    run = read_run(recorded)
    then: Mapping[str, Any] = run.metrics.get("provenance") or {}
    config = _recorded_config(run, then)
    folder = _new_folder(recorded, config)
    lock_folder(folder, "--reproduce")
    if isinstance(then.get("threads"), int):
        torch.set_num_threads(then["threads"])
    data: list[Change] = []

    def on_data_ready(clips: Sequence[Clip], hashes: Mapping[str, str]) -> None:
        data.extend(changed_data(run, clips, hashes))

    corpus = resolve_corpus(config.data, config.split)
    # through JSON, so that types are those of a record
    results = json.loads(json.dumps(run_experiment(config, corpus, folder, on_data_ready)))
    now = results["provenance"]
    changes = [*changed_circumstances(then, now), *data]
    if changes:
        table = Table("circumstance", "recorded", "repeated", box=None)
        for change in changes:
            table.add_row(*change)
        console.print(table)
    agrees, text = verdict(run.metrics, results, changed=bool(changes))
    console.print(figures_table(run.metrics, results))
    print_line(f"repeated in {folder}")
    print(text)
    return agrees


def changed_circumstances(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Return the differences in code, versions and machine."""
    changes = []
    if then.get("code") != now["code"]:
        changes.append(("code", _commit(then), _commit(now)))
    versions = now["versions"]
    for name, version in (then.get("versions") or {}).items():
        if versions.get(name) != version:
            changes.append((name, str(version), versions.get(name, "not installed")))
    changes += [
        (name, str(then[name]), str(now[name]))
        for name in CIRCUMSTANCES
        if name in then and then[name] != now[name]
    ]
    return changes


def changed_data(run: RunResults, clips: Sequence[Clip], hashes: Mapping[str, str]) -> list[Change]:
    """Return the differences between the clips of ``run`` and ``clips``."""
    before, now = run.clips, {clip.clip_id: clip for clip in clips}
    common = sorted(before.keys() & now.keys())
    groups = {
        "missing clips": sorted(before.keys() - now.keys()),
        "new clips": sorted(now.keys() - before.keys()),
        "manifest rows": [name for name in common if _row(before[name]) != _row(now[name])],
    }
    path = run.folder / HASHES
    if path.is_file():
        listed = read_list(path.read_text(encoding="utf-8"))
        then = {
            name: listed.get(relative_path(before[name].location, str(run.folder)))
            for name in common
        }
        groups["audio"] = [n for n in common if then[n] != hashes.get(now[n].location)]
    changes = []
    for what, names in groups.items():
        if names:
            more = ", ..." if len(names) > MOST_NAMED else ""
            changes.append((what, "", f"{len(names)}: {', '.join(names[:MOST_NAMED])}{more}"))
    return changes if path.is_file() else [*changes, ("audio", f"no {HASHES}", "")]


def verdict(
    recorded: Mapping[str, Any], repeated: Mapping[str, Any], changed: bool
) -> tuple[bool, str]:
    """Return whether the figures agree, and a message.

    In the same circumstances, a CPU must give bit-identical figures. Otherwise, and on a GPU, whose
    sums have no fixed order, the test figures must lie in the recorded intervals.

    Args:
        recorded: content of the recorded ``metrics.json``.
        repeated: content of the repeated ``metrics.json``.
        changed: whether circumstances differ.
    """
    now = flatten(repeated)
    if _figures(recorded) == _figures(repeated):
        return True, f"agrees: all {len(flatten(_figures(repeated)))} figures are equal to the bit"
    on_gpu = "cuda" in str((recorded.get("provenance") or {}).get("device"))
    if not changed and not on_gpu:
        return False, "does not agree: figures differ in the same circumstances"
    intervals = _intervals(recorded)
    inside = {
        name for name, (low, high) in intervals.items() if low <= now.get(name, low - 1) <= high
    }
    agrees = bool(intervals) and len(inside) == len(intervals)
    share = f"{len(inside)} of {len(intervals)} test figures lie in the recorded intervals"
    return agrees, f"{'agrees' if agrees else 'does not agree'}: {share}"


def figures_table(recorded: Mapping[str, Any], repeated: Mapping[str, Any]) -> Table:
    """Return a table of the main figures and of all figures outside the recorded intervals."""
    table = Table("figure", "recorded", "repeated", "interval", box=None)
    then, now, intervals = flatten(recorded), flatten(repeated), _intervals(recorded)
    for name in sorted(then.keys() | now.keys()):
        ends, value = intervals.get(name), now.get(name)
        outside = ends is not None and not (value is not None and ends[0] <= value <= ends[1])
        main = name.startswith(("validation/", "test/")) and name.endswith(SHOWN)
        if outside or (main and name.count("/attack/") == name.count("/ci/") == 0):
            interval = "" if ends is None else f"{ends[0]:.4f} to {ends[1]:.4f}"
            mark = " outside" if outside else ""
            table.add_row(name, _number(then.get(name)), _number(value), interval + mark)
    return table


def _recorded_config(run: RunResults, then: Mapping[str, Any]) -> RunConfig:
    path = run.folder / "config.yaml"
    try:
        saved = yaml.safe_load(path.read_text(encoding="utf-8"))
        config = from_plain(saved)
    except InputError as error:
        raise InputError(
            f"{path}: is not a configuration of this version of fakesound ({error})"
        ) from None
    if then.get("config_hash") not in (None, identity(saved)):
        raise InputError(
            f"{path}: is not the configuration of metrics.json, or is of another version of "
            "fakesound; give an unchanged folder of a run"
        )
    # one process gives the results of several up to rounding; precision "auto" depends on the host
    pinned = {"devices": 1, "num_nodes": 1, "precision": then.get("precision")}
    trainer = config.trainer | {key: value for key, value in pinned.items() if value is not None}
    logger = replace(config.logger, mode="disabled")
    return replace(config, resume="auto", logger=logger, trainer=trainer)


def _new_folder(recorded: Path, config: RunConfig) -> Path:
    """Return a new folder, or the folder of a stopped repetition."""
    number = 1
    while True:
        suffix = "" if number == 1 else f"-{number}"
        folder = FOLDER / f"{recorded.resolve().name}{suffix}"
        left = folder / "identity"
        same = left.is_file() and left.read_text(encoding="utf-8").strip() == identity(config)
        if not folder.exists() or (same and not (folder / "metrics.json").exists()):
            return folder
        number += 1


def _figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name != "provenance"}


def _intervals(metrics: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return the recorded interval of each test figure that has one."""
    return {
        f"test/{part}/{figure}": (ends[0], ends[1])
        for part in ("all", "seen", "unseen")
        for figure, ends in (((metrics.get("test") or {}).get(part) or {}).get("ci") or {}).items()
        if ends and None not in ends
    }


def _row(clip: Clip) -> dict[str, Any]:
    """Return the manifest row of ``clip`` without the path of its audio."""
    return {key: value for key, value in clip_row(clip, Path()).items() if key != "path"}


def _commit(origin: Mapping[str, Any]) -> str:
    git = origin.get("git")
    if not git:
        return str(origin.get("code") or "unknown")
    return f"commit {str(git.get('commit'))[:10]}" + (", changed" if git.get("changed") else "")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
