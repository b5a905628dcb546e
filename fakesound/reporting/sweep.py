"""The runs of a sweep, read from disk: what differs between them, and what came out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakesound.errors import InputError
from fakesound.reporting.parts import Value, value_of
from fakesound.reporting.run_folder import read_config, read_metrics

DEPTH = 3
# names and places of a run, no part of what was tried
NAMING = ("name", "tags", "resume", "logger", "data.prepared", "data.workers", "data.forge_workers")
# they have columns of their own
HELD_OUT, SEED = "split.held_out", "seed"
# of keys that change together, one of these tells the most
TELLING = ("name", "kind", "weighting")
FIGURES = {
    "unseen": ("clip/auc", "clip/eer", "segment_f1_20ms"),
    "seen": ("clip/auc", "clip/eer", "segment_f1_20ms"),
}


@dataclass(frozen=True)
class SweepRun:
    """A run as the comparison needs it.

    Attributes:
        name: its folder, relative to the sweep's.
        config: its resolved configuration.
        metrics: what ``metrics.json`` holds; None if the run has not finished.
    """

    name: str
    config: Mapping[str, Any]
    metrics: Mapping[str, Any] | None


@dataclass(frozen=True)
class SweepRow:
    """A finished run in the comparison.

    Attributes:
        name: its folder, relative to the sweep's.
        overrides: the keys that differ between the runs, but for held-out attacks and seed, with
            this run's values.
        held_out: the attacks it held out, in words; empty for none.
        seed: of the run.
        figures: by fold and key, as in "unseen/clip/auc".
        all_fake_f1: segment F1 at 20 ms of calling everything fake on the unseen clips, or on all
            where none are unseen.
        objective: what the run was judged by.
        seconds: that the run took.
    """

    name: str
    overrides: Mapping[str, Any]
    held_out: str
    seed: int
    figures: Mapping[str, Value]
    all_fake_f1: float | None
    objective: float | None
    seconds: float


def read_sweep(folder: Path) -> list[SweepRun]:
    """Return the runs under ``folder``, up to three folders down; finished ones have metrics.

    Raises:
        InputError: if ``folder`` does not exist or a run's configuration cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of a sweep")
    runs = []
    for place in _run_folders(folder, DEPTH):
        path = place / "metrics.json"
        metrics = read_metrics(path) if path.is_file() else None
        name = place.relative_to(folder).as_posix()
        runs.append(SweepRun(name, read_config(place / "config.yaml"), metrics))
    return runs


def sweep_rows(runs: Sequence[SweepRun]) -> list[SweepRow]:
    """Return one row for each finished run of ``runs``, ordered by what differs between them."""
    keys = differing_keys([run.config for run in runs])
    rows = [_row(run, run.metrics, keys) for run in runs if run.metrics is not None]
    return sorted(rows, key=lambda row: (_order(row.overrides.values()), row.held_out, row.seed))


def differing_keys(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys whose values differ between ``configs``, joined by dots.

    Left out are names and places, the seed and the held-out attacks. Of keys of one group that
    only change together, such as all that make a backbone larger, one stands for the rest.
    """
    flat = [dict(_flat(config)) for config in configs]
    found: dict[tuple[str, tuple[int, ...]], str] = {}
    for key in {key: None for config in flat for key in config}:
        values = [repr(config.get(key)) for config in flat]
        if len(set(values)) < 2 or _naming(key):
            continue
        # runs alike in this key, whatever its values are called
        alike = tuple(values.index(value) for value in values)
        group = (key.split(".")[0], alike)
        if group not in found or key.split(".")[-1] in TELLING:
            found[group] = key
    return list(found.values())


def _run_folders(folder: Path, depth: int) -> Iterator[Path]:
    for place in sorted(folder.iterdir()):
        if not place.is_dir() or place.name.startswith("."):
            continue
        if (place / "config.yaml").is_file():
            yield place
        elif depth > 1:
            yield from _run_folders(place, depth - 1)


def _row(run: SweepRun, metrics: Mapping[str, Any], keys: Sequence[str]) -> SweepRow:
    flat = dict(_flat(run.config))
    figures = {}
    for fold, names in FIGURES.items():
        block = metrics["test"][fold]
        for name in names:
            figures[f"{fold}/{name}"] = value_of(block, name)
    by_fold = metrics.get("baseline_by_fold", {})
    floor = by_fold.get("unseen") or metrics.get("baseline", {})
    held_out = flat.get(HELD_OUT) or []
    return SweepRow(
        name=run.name,
        overrides={key: flat.get(key) for key in keys},
        held_out=held_out if isinstance(held_out, str) else ", ".join(held_out),
        seed=run.config.get(SEED, 0),
        figures=figures,
        all_fake_f1=floor.get("all_fake", {}).get("segment_f1_20ms"),
        objective=metrics.get("objective"),
        seconds=sum(metrics.get("provenance", {}).get("seconds", {}).values()),
    )


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _naming(key: str) -> bool:
    return key in (HELD_OUT, SEED) or any(
        key == name or key.startswith(f"{name}.") for name in NAMING
    )


def _order(values: Any) -> list[tuple[int, float, str]]:  # noqa: ANN401  # whatever YAML holds
    """Return a key that sorts numbers as numbers and the rest as text."""
    return [
        (0, float(value), "") if isinstance(value, int | float) else (1, 0.0, str(value))
        for value in values
    ]
