"""Trained detectors on disk: checkpoints of runs, and our safetensors file.

No code in a file is run: checkpoints are read as plain values and tensors.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from jaxtyping import Float32
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fakesound.config import RunConfig
from fakesound.errors import InputError
from fakesound.files import write_whole
from fakesound.models.build import build_detector
from fakesound.models.detector import Detector
from fakesound.models.heads import Outputs
from fakesound.models.weights.read import BEST
from fakesound.scoring.calibration import Calibrator
from fakesound.scoring.clip_score import FurtherHeads
from fakesound.scoring.hypotheses import Hypotheses
from fakesound.scoring.metadata import (
    DEFAULT,
    HEADS_KEY,
    PRETRAINED,
    Metadata,
    learnt_fields,
    parse_config,
    parse_metadata,
)
from fakesound.scoring.windows import Forward

# key of a checkpoint, with `HEADS_KEY` beside those of Lightning, which ignores them
KEY = "fakesound"
_PREFIX = "detector."
_AGAIN = "give the folder of a run, its checkpoints/best.ckpt or an exported .safetensors file"


@dataclass(frozen=True, kw_only=True)
class Checkpoint(Metadata):
    """A trained detector with all that its scores depend on.

    Attributes:
        path: file that it was read from.
        weights: tensors by their names in the `Detector`.
    """

    path: Path
    weights: Mapping[str, Tensor]

    def detector(self, kernel: str = "auto") -> Detector:
        """Return the detector, ready to score.

        Args:
            kernel: kernel of the selective scan, whatever the one of the training was.

        Raises:
            InputError: if weights and configuration do not fit together.
        """
        detector = build_detector(replace(self.config, kernel=kernel), self.heads.families)
        try:
            detector.load_state_dict(dict(self.weights), strict=True)
        except RuntimeError as error:
            first = str(error).splitlines()[1:2] or [str(error)]
            raise InputError(
                f"{self.path}: its weights do not fit its configuration ({first[0].strip()}); "
                f"{_AGAIN}"
            ) from error
        return detector.eval()


def source_hash(source_id: str) -> str:
    """Return the hash by which a checkpoint recognises a recording of its training."""
    return hashlib.sha256(source_id.encode()).hexdigest()[:16]


def numpy_outputs(outputs: Outputs) -> dict[str, Float32[np.ndarray, "window frame ..."]]:
    """Return the outputs of heads as arrays."""
    return {name: values.float().cpu().numpy() for name, values in outputs.items()}


def forward_of(detector: Detector, device: str = "cpu") -> Forward:
    """Return the function that computes the frame outputs of a batch of windows on ``device``."""

    @torch.inference_mode()
    def forward(
        windows: Float32[np.ndarray, "window sample"],
    ) -> Mapping[str, Float32[np.ndarray, "window frame ..."]]:
        return numpy_outputs(detector(torch.from_numpy(windows).to(device)))

    return forward


def torch_device(name: str) -> str:
    """Return the device called ``name``; "auto" is a GPU of CUDA if there is one, else the CPU.

    Raises:
        InputError: if it cannot be used.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        if "device type at start" in reason:
            # a list of a dozen that are not built in
            reason = "no such device"
        raise InputError(f"--device={name}: cannot be used ({reason}); use cpu") from None
    return name


def load_detector(path: str | Path, kernel: str = "auto") -> tuple[Detector, RunConfig]:
    """Return the detector at ``path``, ready to score, and the configuration of its run.

    Args:
        path: folder of a run, one of its checkpoints, or a file of `write_safetensors`.
        kernel: kernel of the selective scan.

    Raises:
        InputError: naming the file and the fix.
    """
    checkpoint = read_checkpoint(path)
    return checkpoint.detector(kernel), checkpoint.config


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Return the checkpoint at ``path``; see `load_detector`.

    Raises:
        InputError: naming the file and the fix.
    """
    path = checkpoint_path(path)
    try:
        with path.open("rb") as file:
            # a safetensors file begins with the length of its header, which is JSON
            is_safetensors = file.read(9)[8:] == b"{"
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {_AGAIN}") from error
    return _read_safetensors(path) if is_safetensors else _read_lightning(path)


def checkpoint_path(path: str | Path) -> Path:
    """Return the file at ``path``: the best checkpoint of a run, or that of the package: "default".

    Raises:
        InputError: if there is none.
    """
    path = PRETRAINED if str(path) == DEFAULT else Path(path)
    if path.is_dir():
        if not (path / BEST).is_file():
            raise InputError(
                f"{path}: holds no {BEST}; give the folder of a run that has finished an epoch"
            )
        return path / BEST
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder; {_AGAIN}")
    return path


def write_safetensors(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoint`` to ``path`` at once, for `load_detector` to read back bit by bit."""
    # tensors that share memory are not taken
    weights = {name: tensor.clone().contiguous() for name, tensor in checkpoint.weights.items()}
    write_whole(path, safetensors.torch.save(weights, checkpoint.metadata()))


def annotate_checkpoint(
    path: Path,
    thresholds: Mapping[str, float],
    calibrator: Calibrator,
    attacks: Sequence[str],
    selected_on: Sequence[str] = (),
    hypotheses: Hypotheses | None = None,
    sources: Iterable[str] = (),
) -> None:
    """Add thresholds, calibration and the data of the training to the checkpoint at ``path``.

    `read_checkpoint` reads them, and Lightning loads the checkpoint as before.

    Args:
        path: checkpoint of Lightning; annotated before or not.
        thresholds: thresholds of calibrated "clip" and "frame" scores.
        calibrator: map of clip logits.
        attacks: attacks in the training.
        selected_on: attacks that only served to choose the model and its thresholds.
        hypotheses: maps of a two-way detector, which are among its weights.
        sources: recordings in the training and the validation, with donors.

    Raises:
        InputError: naming the file, if it is not such a checkpoint.
    """
    held = _held(path)
    if hypotheses is not None:
        held["state_dict"] = with_hypotheses(held["state_dict"], hypotheses, _PREFIX)
    held[KEY] = {
        "thresholds": dict(thresholds),
        "calibrator": calibrator.to_plain(),
        "attacks": list(attacks),
        "selected_on": list(selected_on),
        "sources": sorted(map(source_hash, set(sources))),
    }
    write_whole(path, checkpoint_bytes(held))


def with_hypotheses(
    weights: Mapping[str, Tensor], hypotheses: Hypotheses, prefix: str = ""
) -> dict[str, Tensor]:
    """Return ``weights`` with the maps of a two-way detector followed by those of ``hypotheses``.

    Args:
        weights: tensors of a detector.
        hypotheses: maps that were fitted to the scores of the detector.
        prefix: what the names of the detector's tensors begin with.
    """
    found, name = dict(weights), f"{prefix}clip_head.maps"
    if name in found:
        (slope, intercept), new = found[name].T, torch.tensor(hypotheses.maps).T
        found[name] = torch.stack((slope * new[0], intercept * new[0] + new[1]), 1)
    return found


def checkpoint_bytes(state: Mapping[str, Any]) -> bytes:
    """Return ``state`` as the bytes of a checkpoint, with a checksum of each tensor."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _held(path: Path) -> dict[str, Any]:
    """Return the content of the checkpoint of Lightning at ``path``."""
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no checkpoint fail in every way there is
        raise InputError(f"{path}: is no checkpoint, or is damaged; {_AGAIN}") from error
    plain = held.get("hyper_parameters") if isinstance(held, dict) else None
    state = held.get("state_dict") if isinstance(held, dict) else None
    if not isinstance(plain, dict) or not isinstance(state, dict) or "backbone" not in plain:
        raise InputError(f"{path}: is not a checkpoint of fakesound; {_AGAIN}")
    return held


def _read_lightning(path: Path) -> Checkpoint:
    held = _held(path)
    weights = {
        name.removeprefix(_PREFIX): tensor
        for name, tensor in held["state_dict"].items()
        if name.startswith(_PREFIX)
    }
    config = parse_config(path, held["hyper_parameters"])
    try:
        heads = FurtherHeads.from_plain(held.get(HEADS_KEY, {}))
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its key {HEADS_KEY!r} is damaged ({error}); {_AGAIN}") from error
    learnt: dict[str, Any]
    if KEY not in held:
        learnt = {"thresholds": _thresholds(path)}
    else:
        try:
            written = {key: held[KEY][key] for key in ("thresholds", "calibrator", "attacks")}
            learnt = learnt_fields(held[KEY] | written)
        except (AttributeError, KeyError, TypeError, ValueError, InputError) as error:
            raise InputError(f"{path}: its key {KEY!r} is damaged ({error}); {_AGAIN}") from error
    return Checkpoint(path=path, weights=weights, config=config, heads=heads, **learnt)


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    except SafetensorError as error:
        raise InputError(f"{path}: is damaged or cut short; {_AGAIN}") from error
    return Checkpoint(path=path, weights=weights, **vars(parse_metadata(path, metadata)))


def _thresholds(path: Path) -> dict[str, float]:
    """Return the thresholds of the run that ``path`` is the best checkpoint of, if it has them."""
    metrics = path.parent.parent / "metrics.json"
    # they were chosen for the best checkpoint
    if path.name != BEST.name or not metrics.is_file():
        return {}
    try:
        found = json.loads(metrics.read_text(encoding="utf-8")).get("thresholds") or {}
    except (ValueError, AttributeError):
        raise InputError(f"{metrics}: is damaged; do the run again, or remove the file") from None
    return {
        level: float(found[level]) for level in ("clip", "frame") if found.get(level) is not None
    }
