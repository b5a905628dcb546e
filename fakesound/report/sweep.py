"""The runs of a sweep, read from disk: what differs between them, and what came out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakesound.errors import InputError
from fakesound.report.parts import Value, value_of
from fakesound.report.run_folder import read_config, read_metrics

DEPTH = 3
# names and places of a run, no part of what was tried
NAMING = ("name", "tags", "resume", "logger", "data.prepared", "data.workers", "data.forge_workers")
# what a run is tested on, or by what chance; they have columns of their own
HELD_OUT, SEED, FOLD = "split.held_out", "seed", "split.fold"
# of keys that change together, one of these tells the most, the first most of all
TELLING = ("name", "kind", "weighting")
FIGURES = {
    "unseen": ("clip/auc", "clip/eer", "segment_f1_20ms"),
    "seen": ("clip/auc", "clip/eer", "segment_f1_20ms"),
}
# the mean of those that are defined is what a run is judged by
OBJECTIVE = ("clip/auc", "frame/auc")


@dataclass(frozen=True)
class SweepRun:
    """A run as the comparison needs it.

    Attributes:
        name: its folder, relative to the sweep's.
        folder: where it lies.
        config: its resolved configuration.
        metrics: what ``metrics.json`` holds; None if the run has not finished.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]
    metrics: Mapping[str, Any] | None


@dataclass(frozen=True)
class SweepRow:
    """A finished run in the comparison.

    Attributes:
        name: its folder, relative to the sweep's.
        folder: where it lies.
        overrides: the keys that differ between the runs, but for held-out attacks, seed and fold,
            with this run's values.
        config: all keys of its configuration, joined by dots.
        held_out: the attacks it held out, in words; empty for none.
        seed: of the run.
        fold: of the sources that it was tested on; None where they are not dealt into folds.
        figures: by part and key, as in "unseen/clip/auc".
        attacks: metrics block of each attack of the test.
        all_fake_f1: segment F1 at 20 ms of calling everything fake on the unseen clips, or on all
            where none are unseen.
        objective: its figure on validation.
        judged_by: what that is the mean of.
        parameters: of the detector; None if it is not recorded.
        seconds: that the run took.
        step_seconds: of a training step, the validation after each epoch included; None where it
            is not known, as of a run that was stopped and went on.
    """

    name: str
    folder: Path
    overrides: Mapping[str, Any]
    config: Mapping[str, Any]
    held_out: str
    seed: int
    fold: int | None
    figures: Mapping[str, Value]
    attacks: Mapping[str, Mapping[str, Any]]
    all_fake_f1: float | None
    objective: float | None
    judged_by: tuple[str, ...]
    parameters: int | None
    seconds: float
    step_seconds: float | None

    @property
    def test(self) -> tuple[str, int, int | None]:
        """What is alike in runs that may be compared one by one."""
        return self.held_out, self.seed, self.fold


def read_sweep(folder: Path) -> list[SweepRun]:
    """Return the runs under ``folder``, up to three folders down; finished ones have metrics.

    A run's own folder gives that run.

    Raises:
        InputError: if ``folder`` does not exist or a run's configuration cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of a sweep")
    if _is_run(folder):
        return [_read(folder, folder.resolve().name)]
    return [
        _read(place, place.relative_to(folder).as_posix()) for place in _run_folders(folder, DEPTH)
    ]


def sweep_rows(runs: Sequence[SweepRun]) -> list[SweepRow]:
    """Return one row for each finished run of ``runs``, ordered by what differs between them."""
    keys = differing_keys([run.config for run in runs])
    rows = [_row(run, run.metrics, keys) for run in runs if run.metrics is not None]
    return sorted(
        rows,
        key=lambda row: (_order(row.overrides.values()), row.held_out, row.fold or 0, row.seed),
    )


def differing_keys(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys whose values differ between ``configs``, joined by dots.

    Left out are names and places, the seed, the fold and the held-out attacks. Of keys of one
    group that only change together, such as all that make a backbone larger, one stands for the
    rest; and where a group's name, kind or weighting says what another key of it is, that says all.
    """
    flat = [dict(_flat(config)) for config in configs]
    # of each key, which runs are alike in it, whatever its values are called
    alike: dict[str, tuple[int, ...]] = {}
    for key in {key: None for config in flat for key in config}:
        values = [repr(config.get(key)) for config in flat]
        if len(set(values)) > 1 and not _naming(key):
            alike[key] = tuple(values.index(value) for value in values)
    found: list[str] = []
    for key in sorted(alike, key=_telling):
        group = [known for known in found if known.split(".")[0] == key.split(".")[0]]
        told = any(alike[known] == alike[key] for known in group)
        named = [known for known in group if known.split(".")[-1] in TELLING]
        if not told and not any(_says(alike[known], alike[key]) for known in named):
            found.append(key)
    return [key for key in alike if key in found]


def _telling(key: str) -> int:
    last = key.split(".")[-1]
    return TELLING.index(last) if last in TELLING else len(TELLING)


def _says(one: Sequence[int], other: Sequence[int]) -> bool:
    """Return whether runs alike in ``one`` are alike in ``other``."""
    return len(set(zip(one, other, strict=True))) == len(set(one))


def _run_folders(folder: Path, depth: int) -> Iterator[Path]:
    for place in sorted(folder.iterdir()):
        if not place.is_dir() or place.name.startswith("."):
            continue
        if _is_run(place):
            yield place
        elif depth > 1:
            yield from _run_folders(place, depth - 1)


def _is_run(folder: Path) -> bool:
    return (folder / "config.yaml").is_file()


def _read(folder: Path, name: str) -> SweepRun:
    path = folder / "metrics.json"
    metrics = read_metrics(path) if path.is_file() else None
    return SweepRun(name, folder, read_config(folder / "config.yaml"), metrics)


def _row(run: SweepRun, metrics: Mapping[str, Any], keys: Sequence[str]) -> SweepRow:
    flat = dict(_flat(run.config))
    test = metrics["test"]
    figures = {
        f"{part}/{name}": value_of(test[part], name)
        for part, names in FIGURES.items()
        for name in names
    }
    by_fold = metrics.get("baseline_by_fold", {})
    floor = by_fold.get("unseen") or metrics.get("baseline", {})
    held_out = flat.get(HELD_OUT) or []
    validation = metrics.get("validation") or {}
    origin = metrics.get("provenance", {})
    return SweepRow(
        name=run.name,
        folder=run.folder,
        overrides={key: flat.get(key) for key in keys},
        config=flat,
        held_out=held_out if isinstance(held_out, str) else ", ".join(held_out),
        seed=flat.get(SEED, 0),
        fold=flat.get(FOLD) if flat.get("split.name") == "source_folds" else None,
        figures=figures,
        attacks=test.get("attack") or {},
        all_fake_f1=floor.get("all_fake", {}).get("segment_f1_20ms"),
        objective=metrics.get("objective"),
        judged_by=tuple(key for key in OBJECTIVE if validation.get(key) is not None),
        parameters=origin.get("parameters"),
        seconds=sum(origin.get("seconds", {}).values()),
        step_seconds=_step_seconds(flat, origin),
    )


def _step_seconds(config: Mapping[str, Any], origin: Mapping[str, Any]) -> float | None:
    steps = (config.get("epochs") or 0) * (config.get("steps") or 0)
    trained = origin.get("seconds", {}).get("train")
    if not steps or trained is None or origin.get("resumed"):
        return None
    return float(trained) / steps


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _naming(key: str) -> bool:
    return key in (HELD_OUT, SEED, FOLD) or any(
        key == name or key.startswith(f"{name}.") for name in NAMING
    )


def _order(values: Any) -> list[tuple[int, float, str]]:  # noqa: ANN401  # whatever YAML holds
    """Return a key that sorts numbers as numbers and the rest as text."""
    return [
        (0, float(value), "") if isinstance(value, int | float) else (1, 0.0, str(value))
        for value in values
    ]
