"""Read the runs of a sweep and group them by the configuration keys that differ."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from fakesound.config.saved import flatten
from fakesound.errors import InputError
from fakesound.report.formatting import setting as written
from fakesound.report.glossary import MAIN_KEYS
from fakesound.report.run_results import Value, read_config, read_metrics, value_of

DEPTH = 3
# keys of the name and location of a run, which do not distinguish settings
UNVARIED = (
    *("name", "tags", "resume", "logger", "hydra"),
    *("data.prepared", "data.workers", "data.forge_workers"),
)
# keys of test and randomness, which have their own columns
HELD_OUT, SEED, FOLD = "split.held_out", "seed", "split.fold"
# keys whose values are clear without the key
NAMES = ("name", "kind", "weighting")
KEYS = ("clip/auc", "clip/eer", "frame/auc", "segment_f1_20ms")
LONGEST_LABEL = 40  # in figures
# the validation objective is the mean of the defined ones
OBJECTIVE = ("clip/auc", "frame/auc")


@dataclass(frozen=True)
class Run:
    """Finished run.

    Attributes:
        name: folder of the run, relative to that of the sweep.
        folder: path of the folder.
        overrides: values of the keys that differ between the runs, except for held-out attacks,
            seed and fold.
        config: all configuration values by key (with dots).
        held_out: held-out attacks, joined by commas; empty for none.
        seed: seed of the run.
        fold: index of the test fold of sources; None without folds.
        values: metrics by part and key, such as "unseen/clip/auc".
        attacks: metrics block of each attack in the test.
        all_fake_f1: segment F1 at 20 ms of the always-fake baseline on the unseen clips, or on all
            clips if none is unseen.
        objective: validation objective.
        objective_keys: metrics whose mean is the objective.
        parameters: number of parameters of the detector; None if unknown.
        seconds: duration of the run.
        step_seconds: seconds per training step, validation included; None if unknown, as for
            resumed runs.
    """

    name: str
    folder: Path
    overrides: Mapping[str, Any]
    config: Mapping[str, Any]
    held_out: str
    seed: int
    fold: int | None
    values: Mapping[str, Value]
    attacks: Mapping[str, Mapping[str, Any]]
    all_fake_f1: float | None
    objective: float | None
    objective_keys: tuple[str, ...]
    parameters: int | None
    seconds: float
    step_seconds: float | None

    @property
    def test(self) -> tuple[str, int, int | None]:
        """Held-out attacks, seed and fold, which must be equal in paired runs."""
        return self.held_out, self.seed, self.fold

    @property
    def label(self) -> str:
        """Values that distinguish this run from others, except for attacks, seed and fold."""
        parts = [
            written(value) if key.split(".")[-1] in NAMES else f"{key}={written(value)}"
            for key, value in self.overrides.items()
        ]
        return ", ".join(parts) or "all runs"


@dataclass(frozen=True)
class Setting:
    """Runs with the same configuration or the same held-out attack.

    Attributes:
        label: common values of the runs.
        runs: runs.
    """

    label: str
    runs: Sequence[Run]

    def values(self, key: str) -> list[float]:
        """Return the values of a metric in the runs that have it."""
        return [v for run in self.runs if (v := run.values[key].value) is not None]

    def median(self, key: str) -> Value:
        """Return the median and the range of a metric; for a single run, its 95 % interval."""
        values = self.values(key)
        if len(self.runs) == 1:
            return self.runs[0].values[key]
        return Value(median(values), (min(values), max(values))) if values else Value(None)

    def median_of(self, what: Callable[[Run], float | None]) -> float | None:
        """Return the median of ``what`` over the runs that have it."""
        known = [value for run in self.runs if (value := what(run)) is not None]
        return median(known) if known else None

    @property
    def objective(self) -> float | None:
        """Mean validation objective."""
        known = [run.objective for run in self.runs if run.objective is not None]
        return fmean(known) if known else None


@dataclass(frozen=True)
class Sweep:
    """Runs under one or several folders.

    Attributes:
        name: name of the sweep.
        runs: finished runs, sorted by the values that differ.
        unfinished: names of the unfinished runs.
    """

    name: str
    runs: Sequence[Run]
    unfinished: Sequence[str] = ()

    @property
    def settings(self) -> list[Setting]:
        """Runs by configuration."""
        return _grouped(self.runs, lambda run: run.label)

    @property
    def figure_labels(self) -> dict[str, str]:
        """Labels of the settings in figures: numbers if any label is long."""
        labels = [setting.label for setting in self.settings]
        if all(len(label) <= LONGEST_LABEL for label in labels):
            return {label: label for label in labels}
        return {label: f"setting {number}" for number, label in enumerate(labels, 1)}

    @property
    def attacks(self) -> list[Setting]:
        """Runs by held-out attack."""
        return _grouped(self.runs, lambda run: run.held_out)

    @property
    def keys(self) -> list[str]:
        """Keys that differ between the runs, except for seed, attack and fold."""
        return list(self.runs[0].overrides) if self.runs else []

    @property
    def part(self) -> str:
        """Main part of the test: "unseen", or "seen" if no attack is unseen."""
        known = [run.values[f"unseen/{key}"].value for run in self.runs for key in MAIN_KEYS]
        return "seen" if all(value is None for value in known) else "unseen"

    @property
    def several_attacks(self) -> bool:
        """Whether the runs hold out different attacks."""
        return len({run.held_out for run in self.runs}) > 1

    def columns(self) -> list[str]:
        """Return the part and key of each metric that any run has."""
        keys = dict.fromkeys(key for run in self.runs for key in run.values)
        return [key for key in keys if any(run.values[key].value is not None for run in self.runs)]

    def best(self) -> Setting | None:
        """Return the setting with the highest validation objective.

        None with fewer than two settings, or if the objectives are means of different metrics, as
        with and without a frame head.
        """
        known = [setting for setting in self.settings if setting.objective is not None]
        if len(known) < 2 or len({run.objective_keys for run in self.runs}) > 1:
            return None
        return max(known, key=lambda setting: setting.objective or 0.0)

    def reference(self, wanted: str | None, defaults: Mapping[str, Any]) -> Setting:
        """Return the reference setting.

        Args:
            wanted: ``KEY=VALUE[,KEY=VALUE]``; None for the setting closest to ``defaults``.
            defaults: default value of each configuration key (with dots).

        Raises:
            InputError: unless exactly one setting matches ``wanted``.
        """
        settings = self.settings
        if not settings:
            raise InputError(f"--reference={wanted}: no run has finished yet")
        if wanted is None:
            return max(
                settings,
                key=lambda one: sum(defaults.get(k) == v for k, v in one.runs[0].overrides.items()),
            )
        # not at commas inside a list
        pairs = [text.partition("=") for text in re.split(r",(?=[\w.]+=)", wanted)]
        for key, sign, _ in pairs:
            if not sign or key not in self.keys:
                known = ", ".join(self.keys) or "no key except seed and held-out attack"
                raise InputError(f"--reference={wanted}: the runs differ in {known}; use KEY=VALUE")
        found = [
            setting
            for setting in settings
            if all(text in _spellings(setting.runs[0].overrides[key]) for key, _, text in pairs)
        ]
        if len(found) == 1:
            return found[0]
        labels = "; ".join(setting.label for setting in found or settings)
        raise InputError(
            f"--reference={wanted}: matches {len(found)} settings; use one of {labels}"
        )


def read_sweep(folders: Sequence[Path]) -> Sweep:
    """Read the runs under ``folders``, up to three levels deep; a folder may itself be a run.

    Raises:
        InputError: if a folder does not exist or a configuration cannot be read.
    """
    configs: dict[Path, Mapping[str, Any]] = {}
    names: dict[Path, str] = {}
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; give the folder of a sweep or a run")
        for place in [folder] if _is_run(folder) else _run_folders(folder, DEPTH):
            inside = place.relative_to(folder).as_posix()
            alone = folder.resolve().name if inside == "." else inside
            names[place] = alone if len(folders) == 1 else str(place)
            configs[place] = read_config(place / "config.yaml")
    keys = differing_keys(list(configs.values()))
    finished = [place for place in configs if (place / "metrics.json").is_file()]
    runs = [_run(names[place], place, configs[place], keys) for place in finished]
    return Sweep(
        name=" and ".join(folder.resolve().name for folder in folders),
        runs=sorted(
            runs,
            key=lambda run: (
                [_order(value) for value in run.overrides.values()],
                *(run.held_out, run.fold or 0, run.seed),
            ),
        ),
        unfinished=[names[place] for place in configs if place not in finished],
    )


def differing_keys(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys (with dots) whose values differ between ``configs``.

    Names, locations, seed, fold and held-out attacks are excluded, as are keys that follow from
    another key of their group, such as the size of a backbone from its name.
    """
    flat = [flatten(config) for config in configs]
    # for each key and run, the first run with the same value
    values: dict[str, list[int]] = {}
    for key in {key: None for config in flat for key in config}:
        spelled = [repr(config.get(key)) for config in flat]
        if len(set(spelled)) > 1 and not _is_unvaried(key):
            values[key] = [spelled.index(value) for value in spelled]
    found: list[str] = []
    for key in sorted(values, key=_by_clarity):
        group = [known for known in found if known.split(".")[0] == key.split(".")[0]]
        if not any(_determines(values[known], values[key]) for known in group):
            found.append(key)
    return [key for key in values if key in found]


def _by_clarity(key: str) -> tuple[int, str]:
    """Return a sort key that puts names first, because other keys of a group follow from them."""
    last = key.split(".")[-1]
    return NAMES.index(last) if last in NAMES else len(NAMES), key


def _determines(one: Sequence[int], other: Sequence[int]) -> bool:
    """Return whether runs with equal values in ``one`` have equal values in ``other``."""
    return len(set(zip(one, other, strict=True))) == len(set(one))


def _grouped(runs: Sequence[Run], label: Callable[[Run], str]) -> list[Setting]:
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(label(run), []).append(run)
    return [Setting(name, members) for name, members in found.items()]


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


def _run(name: str, folder: Path, config: Mapping[str, Any], keys: Sequence[str]) -> Run:
    metrics = read_metrics(folder / "metrics.json")
    flat = flatten(config)
    test = metrics["test"]
    baselines = metrics.get("baseline_by_fold", {}).get("unseen") or metrics.get("baseline", {})
    held_out = flat.get(HELD_OUT) or []
    validation = metrics.get("validation") or {}
    origin = metrics.get("provenance", {})
    seconds = origin.get("seconds", {})
    steps = (flat.get("epochs") or 0) * (flat.get("steps") or 0)
    timed = steps and seconds.get("train") is not None and not origin.get("resumed")
    return Run(
        name=name,
        folder=folder,
        overrides={key: flat.get(key) for key in keys},
        config=flat,
        held_out=held_out if isinstance(held_out, str) else ", ".join(held_out),
        seed=flat.get(SEED, 0),
        fold=flat.get(FOLD) if flat.get("split.name") == "source_folds" else None,
        values={
            f"{part}/{key}": value_of(test[part], key)
            for part in ("unseen", "seen")
            for key in KEYS
        },
        attacks=test.get("attack") or {},
        all_fake_f1=baselines.get("all_fake", {}).get("segment_f1_20ms"),
        objective=metrics.get("objective"),
        objective_keys=tuple(key for key in OBJECTIVE if validation.get(key) is not None),
        parameters=origin.get("parameters"),
        seconds=sum(seconds.values()),
        step_seconds=float(seconds["train"]) / steps if timed else None,
    )


def _is_unvaried(key: str) -> bool:
    return key in (HELD_OUT, SEED, FOLD) or any(
        key == name or key.startswith(f"{name}.") for name in UNVARIED
    )


def _order(value: object) -> tuple[int, float, str]:
    """Return a sort key: numbers by value, then other values as text."""
    return (0, float(value), "") if isinstance(value, int | float) else (1, 0.0, str(value))


def _spellings(value: object) -> tuple[str, ...]:
    return str(value), written(value), str(value).replace(" ", "")
