"""One detector from several runs: the mean of their weights, calibrated again.

Where runs started from the same weights, their mean often generalises better than each of them, at
the cost of one (Wortsman et al., "Model soups", ICML 2022).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from fakesound.clip import Clip
from fakesound.data.manifest import read_manifest
from fakesound.errors import InputError
from fakesound.evaluation.results import apply_calibration
from fakesound.evaluation.scorer import score_clips
from fakesound.scoring.checkpoint import Checkpoint, read_checkpoint, with_hypotheses
from fakesound.scoring.clip_score import FurtherHeads, head_thresholds
from fakesound.scoring.thresholds import OperatingPoint

# every run learns this head from its own random weights, so that a mean has no meaning
FIRST_ALONE = "attribution_head."


def average_runs(
    first: Path,
    others: Sequence[Path],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Checkpoint:
    """Return the detector whose weights are the mean over runs.

    Calibration and thresholds are fitted on the validation clips of the first run. Its
    configuration and its head of attack families are kept.

    Args:
        first: Folder of the run whose validation clips are used.
        others: Folders of the other runs.
        progress: Function called with the number of validation clips scored and of all.

    Raises:
        InputError: naming the folder, if it is not that of a finished run, has other weights, or
            trained on a recording that validates the first.
    """
    validation = [clip for clip in _clips(first) if clip.split == "validation"]
    used = {source for clip in validation for source in clip.sources}
    for folder in others:
        trained = {s for clip in _clips(folder) if clip.split == "train" for s in clip.sources}
        if shared := sorted(used & trained):
            raise InputError(
                f"--average={folder}: was trained on {shared[0]!r}, which validates {first} "
                f"({len(shared)} such recordings); use runs with one split"
            )
    runs = [read_checkpoint(folder) for folder in (first, *others)]
    checkpoint = replace(runs[0], weights=mean_weights(runs))
    config = checkpoint.config
    scores, _ = score_clips(
        checkpoint.detector(),
        validation,
        config.data.sample_rate,
        config.data.window_seconds,
        progress=progress,
    )
    point = OperatingPoint(**vars(config.decision))
    calibrated = apply_calibration([], scores, config.calibration, point=point)
    assert calibrated.thresholds is not None
    attacks = {attack for run in runs for attack in run.attacks or ()}
    return replace(
        checkpoint,
        weights=with_hypotheses(checkpoint.weights, calibrated.hypotheses),
        thresholds={"clip": calibrated.thresholds.clip, "frame": calibrated.thresholds.frame},
        calibrator=calibrated.calibrator,
        attacks=tuple(sorted(attacks)),
        selected_on=tuple(sorted({a for run in runs for a in run.selected_on} - attacks)),
        heads=FurtherHeads(checkpoint.heads.families, head_thresholds(calibrated.validation)),
        sources=frozenset(source for run in runs for source in run.sources or ()),
    )


def mean_weights(runs: Sequence[Checkpoint]) -> Mapping[str, Tensor]:
    """Return the mean of each tensor over ``runs``; those of `FIRST_ALONE` are the first run's.

    Raises:
        InputError: naming the run whose tensors are not those of the first.
    """
    first = runs[0].weights
    for run in runs[1:]:
        differing = sorted(
            name
            for name in first.keys() | run.weights.keys()
            if not name.startswith(FIRST_ALONE) and _shape(first, name) != _shape(run.weights, name)
        )
        if differing:
            raise InputError(
                f"--average={run.path}: {differing[0]} is {_shape(run.weights, differing[0])} and "
                f"{_shape(first, differing[0])} in {runs[0].path}; use runs of one architecture"
            )
    return {
        name: tensor
        if name.startswith(FIRST_ALONE) or not tensor.is_floating_point()
        else torch.stack([run.weights[name].double() for run in runs]).mean(0).to(tensor.dtype)
        for name, tensor in first.items()
    }


def _clips(folder: Path) -> list[Clip]:
    """Return the clips of a run."""
    manifest = folder / "manifest.jsonl"
    if not manifest.is_file():
        raise InputError(f"{folder}: has no manifest.jsonl; give the folder of a finished run")
    return read_manifest(manifest, check_files=False)


def _shape(weights: Mapping[str, Tensor], name: str) -> str:
    return "x".join(map(str, weights[name].shape)) or "a number" if name in weights else "missing"
