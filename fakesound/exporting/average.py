"""Average the weights of several runs into one detector, and calibrate it.

If the runs started from the same weights, their mean often generalises better than each of them, at
no additional cost of inference (Wortsman et al., "Model soups", ICML 2022).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from fakesound.clip import Clip
from fakesound.data.manifest import read_manifest
from fakesound.errors import InputError
from fakesound.exporting.calibrate import calibrate
from fakesound.scoring.checkpoint import Checkpoint, read_checkpoint

# prefix of the head that each run trains from other random weights, whose mean is meaningless
OWN_HEAD = "attribution_head."


def average_runs(
    first: Path,
    others: Sequence[Path],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Checkpoint:
    """Return the detector with the mean weights of several runs.

    Calibration and thresholds are fitted on the validation clips of the first run, whose
    configuration and attribution head are used.

    Args:
        first: folder of the run whose validation clips are used.
        others: folders of the other runs.
        progress: function called with the number of scored validation clips and their total.

    Raises:
        InputError: naming the folder of a run that is not finished, has another architecture, or
            was trained on a validation recording of the first run.
    """
    validation = [clip for clip in _clips(first) if clip.split == "validation"]
    sources = {source for clip in validation for source in clip.sources}
    for folder in others:
        trained = {s for clip in _clips(folder) if clip.split == "train" for s in clip.sources}
        if shared := sorted(sources & trained):
            raise InputError(
                f"--average={folder}: was trained on {shared[0]!r}, a validation recording of "
                f"{first} ({len(shared)} such recordings); use runs with the same split"
            )
    runs = [read_checkpoint(folder) for folder in (first, *others)]
    checkpoint = replace(runs[0], weights=mean_weights(runs))
    calibrated = calibrate(checkpoint, validation, progress)
    attacks = {attack for run in runs for attack in run.attacks or ()}
    return replace(
        calibrated,
        attacks=tuple(sorted(attacks)),
        selected_on=tuple(sorted({a for run in runs for a in run.selected_on} - attacks)),
        sources=frozenset(source for run in runs for source in run.sources or ()),
    )


def mean_weights(runs: Sequence[Checkpoint]) -> Mapping[str, Tensor]:
    """Return the mean of each tensor over ``runs``; `OWN_HEAD` ones are those of the first run.

    Raises:
        InputError: naming a run whose tensors differ in shape from those of the first.
    """
    first = runs[0].weights
    for run in runs[1:]:
        differing = sorted(
            name
            for name in first.keys() | run.weights.keys()
            if not name.startswith(OWN_HEAD) and _shape(first, name) != _shape(run.weights, name)
        )
        if differing:
            raise InputError(
                f"--average={run.path}: {differing[0]} is {_shape(run.weights, differing[0])} and "
                f"{_shape(first, differing[0])} in {runs[0].path}; use runs of one architecture"
            )
    return {
        name: tensor
        if name.startswith(OWN_HEAD) or not tensor.is_floating_point()
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
