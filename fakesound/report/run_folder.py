"""A finished run, read from its folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fakesound.config.saved import renamed
from fakesound.data.manifest import Clip, read_manifest
from fakesound.errors import InputError
from fakesound.metrics import ClipScore, read_scores


@dataclass(frozen=True)
class RunResults:
    """What a run left behind, or what an evaluation of scores found.

    Attributes:
        folder: where it lies.
        config: its resolved configuration; empty for an evaluation.
        metrics: what ``metrics.json`` holds.
        test_scores: of the test clips.
        validation_scores: of the validation clips.
        clips: rows of the manifest by clip id; a clip without one is shown without its audio.
        epochs: what was logged in each epoch.
        overrides: arguments the run was started with; None if they are not known.
        command: that gives the same again, where it is not a run with ``overrides``.
        title: name of the page, where it is not the run's.
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

    @property
    def trained(self) -> bool:
        """Whether the detector was trained here, so that what was held out is known."""
        return bool(self.config)

    @property
    def name(self) -> str:
        """Its name on the page."""
        return str(self.title or self.config.get("name") or self.folder.name)


def read_run(folder: Path, metrics: Path | None = None) -> RunResults:
    """Return the run in ``folder``.

    Args:
        folder: holds ``config.yaml``, ``metrics.json``, ``scores.jsonl``,
            ``validation_scores.jsonl``, ``manifest.jsonl`` and, of a trained model,
            ``epochs.jsonl``.
        metrics: file to read in place of ``metrics.json``.

    Raises:
        InputError: naming the file that is missing or cannot be read, and the mend.
    """
    scores = {
        name: read_scores(_there(folder / f"{name}.jsonl"))
        for name in ("scores", "validation_scores")
    }
    manifest = read_manifest(_there(folder / "manifest.jsonl"), check_files=False)
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
    """Return the resolved configuration at ``path``, with the keys of today.

    Raises:
        InputError: if it is missing or not YAML.
    """
    try:
        config = yaml.safe_load(_there(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({_first_line(error)}); do the run again") from None
    return renamed(config or {})


def read_metrics(path: Path) -> dict[str, Any]:
    """Return the figures at ``path``.

    Raises:
        InputError: if they are missing or not JSON.
    """
    try:
        metrics: dict[str, Any] = json.loads(_there(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON ({error.msg}); evaluate the run again") from None
    return metrics


def _there(path: Path) -> Path:
    if not path.is_file():
        raise InputError(
            f"{path}: missing; give the folder of a finished run, or finish this one with "
            "resume=auto"
        )
    return path


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON Lines ({error.msg}); delete it") from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
