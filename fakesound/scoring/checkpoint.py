"""Read and write trained detectors: Lightning checkpoints of runs and safetensors files.

Nothing in a file is executed: checkpoints are read as plain values and tensors.
"""

import hashlib
import io
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
from fakesound.scoring.clip_score import HeadCalibration
from fakesound.scoring.hypotheses import Hypotheses
from fakesound.scoring.metadata import (
    DEFAULT,
    HEADS_KEY,
    PRETRAINED,
    Metadata,
    fitted_fields,
    parse_config,
    parse_metadata,
)
from fakesound.scoring.windows import Forward

# key that is added, with `HEADS_KEY`, to a Lightning checkpoint; Lightning ignores both
KEY = "fakesound"
_PREFIX = "detector."
_AGAIN = "give the folder of a run, its checkpoints/best.ckpt or an exported .safetensors file"


@dataclass(frozen=True, kw_only=True)
class Checkpoint(Metadata):
    """Trained detector with everything its scores depend on.

    Attributes:
        path: file of the checkpoint.
        weights: tensors by their names in the `Detector`.
    """

    path: Path
    weights: Mapping[str, Tensor]

    def detector(self, kernel: str = "auto") -> Detector:
        """Return the detector, ready to score.

        Args:
            kernel: kernel of the selective scan; it may differ from the one used in training.

        Raises:
            InputError: if the weights do not fit the configuration.
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
    """Return the hash under which a checkpoint lists a recording of its training."""
    return hashlib.sha256(source_id.encode()).hexdigest()[:16]


def numpy_outputs(outputs: Outputs) -> dict[str, Float32[np.ndarray, "window frame ..."]]:
    """Convert outputs of heads to arrays."""
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
    """Return a usable torch device; "auto" is a CUDA GPU if there is one, else the CPU.

    Raises:
        InputError: if the device cannot be used.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        if "device type at start" in reason:
            # instead of torch's list of all device types
            reason = "no such device"
        raise InputError(f"--device={name}: cannot be used ({reason}); use cpu") from None
    return name


def load_detector(path: str | Path, kernel: str = "auto") -> tuple[Detector, RunConfig]:
    """Return the detector at ``path``, ready to score, and the configuration of its run.

    Args:
        path: "default", the folder of a run, a checkpoint, or a file of `write_safetensors`.
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
            # a safetensors file starts with the length of its header in 8 bytes, then JSON
            is_safetensors = file.read(9)[8:] == b"{"
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {_AGAIN}") from error
    return _read_safetensors(path) if is_safetensors else _read_lightning(path)


def checkpoint_path(path: str | Path) -> Path:
    """Return the checkpoint file that ``path`` names.

    Args:
        path: a file, the folder of a run (its best checkpoint), or "default" (the detector of the
            package).

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
    """Write ``checkpoint`` to ``path`` atomically; `load_detector` reads it back bit by bit."""
    # cloned: safetensors refuses tensors that share memory
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
    """Add thresholds, calibration and training data to the checkpoint at ``path``.

    Replaces what an earlier call added. Lightning loads the checkpoint as before.

    Args:
        path: Lightning checkpoint.
        thresholds: thresholds of calibrated "clip" and "frame" scores.
        calibrator: calibrator of clip logits.
        attacks: attacks in the training set.
        selected_on: attacks used only to select the model and its thresholds.
        hypotheses: calibrators of a two-way detector; they are merged into its weights.
        sources: recordings used in training and validation, donors included.

    Raises:
        InputError: naming the file, if it is not such a checkpoint.
    """
    content = _read_lightning_content(path)
    if hypotheses is not None:
        content["state_dict"] = with_hypotheses(content["state_dict"], hypotheses, _PREFIX)
    content[KEY] = {
        "thresholds": dict(thresholds),
        "calibrator": calibrator.to_plain(),
        "attacks": list(attacks),
        "selected_on": list(selected_on),
        "sources": sorted(map(source_hash, set(sources))),
    }
    write_whole(path, checkpoint_bytes(content))


def with_hypotheses(
    weights: Mapping[str, Tensor], hypotheses: Hypotheses, prefix: str = ""
) -> dict[str, Tensor]:
    """Return ``weights`` with ``hypotheses`` composed onto the maps of a two-way detector.

    Args:
        weights: tensors of a detector.
        hypotheses: calibrators that were fitted to the scores of the detector.
        prefix: prefix of the names of the detector's tensors.
    """
    composed, name = dict(weights), f"{prefix}clip_head.maps"
    if name in composed:
        (slope, intercept), new = composed[name].T, torch.tensor(hypotheses.maps).T
        composed[name] = torch.stack((slope * new[0], intercept * new[0] + new[1]), 1)
    return composed


def checkpoint_bytes(state: Mapping[str, Any]) -> bytes:
    """Serialise ``state`` as a torch checkpoint, with a checksum of each tensor."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _read_lightning_content(path: Path) -> dict[str, Any]:
    """Return the content of the Lightning checkpoint at ``path``."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many types for a file that is no checkpoint
        raise InputError(f"{path}: is not a checkpoint, or is damaged; {_AGAIN}") from error
    plain = content.get("hyper_parameters") if isinstance(content, dict) else None
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(plain, dict) or not isinstance(state, dict) or "backbone" not in plain:
        raise InputError(f"{path}: is not a checkpoint of fakesound; {_AGAIN}")
    return content


def _read_lightning(path: Path) -> Checkpoint:
    content = _read_lightning_content(path)
    weights = {
        name.removeprefix(_PREFIX): tensor
        for name, tensor in content["state_dict"].items()
        if name.startswith(_PREFIX)
    }
    config = parse_config(path, content["hyper_parameters"])
    try:
        heads = HeadCalibration.from_plain(content.get(HEADS_KEY, {}))
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its key {HEADS_KEY!r} is damaged ({error}); {_AGAIN}") from error
    fitted: dict[str, Any] = {}
    if KEY in content:
        try:
            required = {key: content[KEY][key] for key in ("thresholds", "calibrator", "attacks")}
            fitted = fitted_fields(content[KEY] | required)
        except (AttributeError, KeyError, TypeError, ValueError, InputError) as error:
            raise InputError(f"{path}: its key {KEY!r} is damaged ({error}); {_AGAIN}") from error
    return Checkpoint(path=path, weights=weights, config=config, heads=heads, **fitted)


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    except SafetensorError as error:
        raise InputError(f"{path}: is damaged or cut short; {_AGAIN}") from error
    return Checkpoint(path=path, weights=weights, **vars(parse_metadata(path, metadata)))
