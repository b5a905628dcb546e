"""Read the results of a finished run or evaluation, and divide them into parts and groups."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fakesound.config.saved import renamed
from fakesound.data.manifest import Clip, read_manifest
from fakesound.errors import InputError
from fakesound.metrics import (
    MIN_SOURCES,
    ClipScore,
    has_frames,
    read_scores,
    segment_f1,
    subgroups,
    subsets,
)
from fakesound.metrics.subgroups import Subgroups, Subsets
from fakesound.report.glossary import PART_TITLES

STEP = 20_000  # microseconds
# metrics that mean nothing for the always-fake baseline
WITHOUT_BASELINE = ("clip/cllr", "clip/ece", "clip/min_dcf", "clip/act_dcf")


@dataclass(frozen=True)
class Value:
    """Value of a metric and its 95 % interval; None if undefined."""

    value: float | None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class RunResults:
    """Results of a run, or of an evaluation of scores.

    Attributes:
        folder: folder of the run.
        config: resolved configuration; empty for an evaluation.
        metrics: content of ``metrics.json``.
        test_scores: scores of the test clips.
        validation_scores: scores of the validation clips.
        clips: manifest rows by clip id; clips without a row are shown without audio.
        epochs: logged values of each epoch.
        overrides: command-line arguments of the run; None if unknown.
        command: command that reproduces the results; None for a run with ``overrides``.
        title: name of the page; None for the name of the run.
    """

    folder: Path
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    test_scores: Sequence[ClipScore]
    validation_scores: Sequence[ClipScore] = ()
    clips: Mapping[str, Clip] = field(default_factory=dict)
    epochs: Sequence[Mapping[str, Any]] = ()
    overrides: Sequence[str] | None = None
    command: str | None = None
    title: str | None = None

    @cached_property
    def subsets(self) -> Subsets:
        """Parts of the test."""
        return subsets(self.test_scores)

    @cached_property
    def subgroups(self) -> Subgroups:
        """Subgroups of the test by kind."""
        return subgroups(self.test_scores)

    @property
    def trained(self) -> bool:
        """Whether this run trained the detector, so that the held-out attacks are known."""
        return bool(self.config)

    @property
    def name(self) -> str:
        """Name on the page."""
        return str(self.title or self.config.get("name") or self.folder.name)


@dataclass(frozen=True)
class Part:
    """Clips whose metrics are shown together, such as a fold, an attack or a region length.

    Attributes:
        name: "unseen", "seen", "all" or "validation"; or the name of the group.
        scores: scores of the clips.
        block: metrics block, with intervals under "ci" if there are enough sources.
        all_fake: metrics of the always-fake baseline, except calibration; empty if unknown.
    """

    name: str
    scores: Sequence[ClipScore]
    block: Mapping[str, Any]
    all_fake: Mapping[str, Any]

    @property
    def title(self) -> str:
        """Heading of the part."""
        return PART_TITLES.get(self.name, self.name)

    @property
    def attacks(self) -> list[str]:
        """Attacks among its clips, sorted."""
        return sorted({clip.attack for clip in self.scores if clip.attack is not None})

    @cached_property
    def fakes(self) -> int:
        """Number of its fake clips."""
        return sum(clip.fake for clip in self.scores)

    @property
    def genuine(self) -> int:
        """Number of its genuine clips."""
        return len(self.scores) - self.fakes

    @cached_property
    def fold(self) -> str | None:
        """Common fold of all fakes, "seen" or "unseen"; None if they differ."""
        folds = {clip.fold for clip in self.scores if clip.fake}
        return folds.pop() if len(folds) == 1 else None

    @property
    def enough_sources(self) -> bool:
        """Whether its fakes and its genuine clips each have enough sources for an interval."""
        return all(
            len({clip.source_id for clip in self.scores if clip.fake == fake}) >= MIN_SOURCES
            for fake in (False, True)
        )

    def baseline(self, key: str) -> float | None:
        """Return the value of a trivial baseline; None if there is none for ``key``."""
        return 0.5 if "auc" in key else self.all_fake.get(key)


def read_run(folder: Path, metrics: Path | None = None) -> RunResults:
    """Read the results of the run in ``folder``.

    Args:
        folder: folder with ``config.yaml``, ``metrics.json``, ``scores.jsonl``,
            ``validation_scores.jsonl``, ``manifest.jsonl`` and, for a trained model,
            ``epochs.jsonl``.
        metrics: file to read instead of ``metrics.json``.

    Raises:
        InputError: naming the file that is missing or invalid, and the fix.
    """
    scores = {
        name: read_scores(_existing(folder / f"{name}.jsonl"))
        for name in ("scores", "validation_scores")
    }
    manifest = read_manifest(_existing(folder / "manifest.jsonl"), check_files=False)
    epochs = folder / "epochs.jsonl"
    arguments = folder / ".hydra" / "overrides.yaml"
    return RunResults(
        folder=folder,
        config=read_config(folder / "config.yaml"),
        metrics=read_metrics(metrics or folder / "metrics.json"),
        test_scores=scores["scores"],
        validation_scores=scores["validation_scores"],
        clips={clip.clip_id: clip for clip in manifest},
        epochs=_lines(epochs) if epochs.is_file() else (),
        overrides=yaml.safe_load(arguments.read_text("utf-8")) if arguments.is_file() else None,
    )


def read_config(path: Path) -> dict[str, Any]:
    """Read the resolved configuration at ``path``, renamed keys updated.

    Raises:
        InputError: if it is missing or not YAML.
    """
    try:
        config = yaml.safe_load(_existing(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not YAML ({reason}); start the run again") from None
    return renamed(config or {})


def read_metrics(path: Path) -> dict[str, Any]:
    """Read the metrics at ``path``.

    Raises:
        InputError: if they are missing or not JSON.
    """
    try:
        metrics: dict[str, Any] = json.loads(_existing(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON ({error.msg}); evaluate the run again") from None
    return metrics


def shown_parts(results: RunResults) -> list[Part]:
    """Return the unseen and the seen part of the test, or the whole test without folds."""
    whole = results.subsets
    test = results.metrics["test"]
    baselines = dict(results.metrics.get("baseline_by_fold") or {})
    baselines["all"] = results.metrics.get("baseline") or {}

    def part(name: str, scores: Sequence[ClipScore]) -> Part:
        block = baselines.get(name, {}).get("all_fake") or {}
        shown = {key: value for key, value in block.items() if key not in WITHOUT_BASELINE}
        return Part(name, scores, test[name], shown)

    # unseen first
    parts = [part(name, scores) for name, scores in reversed(whole.folds.items())]
    return parts or [part("all", whole.all)]


def validation_part(results: RunResults) -> Part | None:
    """Return the validation clips; None if there are none."""
    scores = results.validation_scores
    block = results.metrics.get("validation")
    if not (scores and block):
        return None
    return Part("validation", scores, block, {})


def attack_groups(results: RunResults) -> list[Part]:
    """Return the attacks of the test, by family and then by descending clip AUC."""
    groups = _groups(results.metrics["test"].get("attack"), results.subsets.attack)

    def order(group: Part) -> tuple[str, float, str]:
        auc = group.block.get("clip/auc") or group.block.get("frame/auc") or 0.0
        return group.name.split("/")[0], -float(auc), group.name

    return sorted(groups, key=order)


def partition_groups(results: RunResults, kind: str) -> list[Part]:
    """Return the groups of the test by "family", "region_length", "corpus" or "subset"."""
    blocks = (results.metrics.get("partition") or {}).get(kind)
    return _groups(blocks, results.subgroups[kind]) if blocks else []


def interval(block: Mapping[str, Any], key: str) -> tuple[float, float] | None:
    """Return the 95 % interval of a metric; None if it has none."""
    ends = (block.get("ci") or {}).get(key)
    return None if ends is None else (float(ends[0]), float(ends[1]))


def value_of(block: Mapping[str, Any], key: str) -> Value:
    """Return a metric of ``block`` with its interval."""
    value = block.get(key)
    return Value(None if value is None else float(value), interval(block, key))


def all_fake_f1(scores: Sequence[ClipScore]) -> float | None:
    """Return segment F1 at 20 ms of the always-fake baseline; None without frame scores."""
    if not has_frames(scores):
        return None
    marked = [
        replace(clip, frame_scores=np.ones_like(clip.frame_scores), frame_threshold=0.5)
        for clip in scores
    ]
    return segment_f1(marked, STEP)


def _groups(
    blocks: Mapping[str, Mapping[str, Any]] | None, clips: Mapping[str, Sequence[ClipScore]]
) -> list[Part]:
    groups = []
    for name, members in clips.items():
        block = (blocks or {}).get(name)
        if block and any(clip.fake for clip in members):
            groups.append(Part(name, members, block, {"segment_f1_20ms": all_fake_f1(members)}))
    return groups


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(
            f"{path}: missing; give the folder of a finished run, or finish this run with "
            "resume=auto"
        )
    return path


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON Lines ({error.msg}); delete it") from None
