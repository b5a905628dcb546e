"""Load trained detectors for detection, computed by onnxruntime or by torch."""

import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from fakesound.config import RunConfig
from fakesound.config.checks import one_of
from fakesound.errors import InputError
from fakesound.provenance import usable_cores
from fakesound.scoring.calibration import Calibrator
from fakesound.scoring.clip_score import HeadCalibration
from fakesound.scoring.metadata import DEFAULT, PRETRAINED, parse_metadata
from fakesound.scoring.windows import Forward

if TYPE_CHECKING:
    from fakesound.models.detector import Detector as Module

BACKENDS = ("auto", "onnx", "torch")
PRETRAINED_ONNX = PRETRAINED.with_suffix(".onnx")
# metadata key of an exported file: hash of the file that it was exported from
WEIGHTS_KEY = "weights_sha256"
# windows that a thread scores at a time: few fit the cache, and divide short recordings evenly
PER_THREAD = 2


@dataclass(frozen=True)
class Model:
    """Trained detector with everything its scores depend on.

    Attributes:
        name: "default", or the path of the file.
        backend: "onnx" or "torch".
        sha256: SHA-256 of the file.
        weights_sha256: SHA-256 of the file that an ONNX file was exported from; else ``sha256``.
        forward: function that computes the frame outputs of a batch of windows.
        config: configuration of the training run.
        thresholds: thresholds of "clip" and "frame" scores; may be empty.
        calibrator: calibrator of clip logits.
        heads: families and thresholds of the boundary and attribution heads.
        module: torch module; None with onnxruntime.
    """

    name: str
    backend: str
    sha256: str
    weights_sha256: str
    forward: Forward = field(repr=False)
    config: RunConfig = field(repr=False)
    thresholds: Mapping[str, float]
    calibrator: Calibrator
    heads: HeadCalibration
    module: "Module | None" = field(default=None, repr=False)

    @property
    def families(self) -> tuple[str, ...]:
        """Attack families that the detector distinguishes."""
        return self.heads.families if self.config.heads.attribution else ()


def read_model(path: str | Path, backend: str = "auto", device: str = "auto") -> Model:
    """Return the detector at ``path``.

    Args:
        path: "default", the folder of a run, a checkpoint, or an exported file.
        backend: "onnx", "torch", or "auto": onnxruntime on a CPU if there is an ONNX file.
        device: torch device, or "auto": with torch a CUDA GPU if there is one, else the CPU.

    Raises:
        InputError: naming the file or the argument, and the fix.
    """
    one_of("backend", backend, BACKENDS)
    file = PRETRAINED_ONNX if str(path) == DEFAULT else Path(path)
    exported = file.suffix == ".onnx"
    on_cpu = device in ("auto", "cpu")
    if backend == "auto":
        own = exported and (on_cpu or str(path) != DEFAULT)
        backend = "onnx" if own else "torch"
    if backend == "torch":
        return _read_torch(path, device)
    if not exported:
        raise InputError(
            f"backend=onnx: {path} is not an ONNX file; export one with "
            "`fakesound export RUN --to onnx-windows`, or leave backend out"
        )
    if not on_cpu:
        raise InputError(f"device={device}: ONNX files run only on the CPU; use cpu")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); name another") from error
    return onnx_model(content, file, str(path))


def onnx_model(content: bytes, file: Path, name: str) -> Model:
    """Return the detector in an ONNX file that scores windows.

    Args:
        content: bytes of the file.
        file: path of the file, for messages.
        name: name of the detector.

    Raises:
        InputError: naming the file, if it is of another kind or damaged.
    """
    try:
        session = open_session(content)
    except Exception as error:  # errors of onnxruntime have no common class
        raise InputError(f"{file}: is not an ONNX file, or is damaged; export it again") from error
    properties = session.get_modelmeta().custom_metadata_map
    metadata = parse_metadata(file, properties)
    if [value.name for value in session.get_inputs()] != ["windows"]:
        raise InputError(
            f"{file}: scores whole recordings; export the detector with --to onnx-windows"
        )
    names = [value.name for value in session.get_outputs()]

    threads = _threads()

    def score(windows: Float32[np.ndarray, "window sample"]) -> list[np.ndarray]:
        outputs: list[np.ndarray] = session.run(names, {"windows": windows})
        return outputs

    def forward(
        windows: Float32[np.ndarray, "window sample"],
    ) -> Mapping[str, Float32[np.ndarray, "window frame ..."]]:
        parts = [windows[i : i + PER_THREAD] for i in range(0, len(windows), PER_THREAD)]
        # a new pool for each batch takes little time, and works in a forked process as well
        with ThreadPoolExecutor(threads) as pool:
            outputs = zip(*pool.map(score, parts), strict=True)
        return dict(zip(names, map(np.concatenate, outputs), strict=True))

    digest = hashlib.sha256(content).hexdigest()
    return Model(
        name=name,
        backend="onnx",
        sha256=digest,
        weights_sha256=properties.get(WEIGHTS_KEY, digest),
        forward=forward,
        config=metadata.config,
        thresholds=metadata.thresholds,
        calibrator=metadata.calibrator,
        heads=metadata.heads,
    )


def open_session(content: bytes) -> Any:  # noqa: ANN401  # onnxruntime is untyped
    """Open a session of onnxruntime on the CPU that computes in the thread that calls it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # threads that score different windows are used better than threads within an operation
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _threads() -> int:
    """Return ``OMP_NUM_THREADS`` if it is a number, else the number of usable cores."""
    # a comma-separated list has one number per level of nested parallelism
    threads = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return max(1, int(threads)) if threads.isdecimal() else usable_cores()


def _read_torch(path: str | Path, device: str) -> Model:
    # imported here: slow, and not needed with onnxruntime
    from fakesound.scoring.checkpoint import forward_of, read_checkpoint, torch_device

    if Path(path).suffix == ".onnx":
        raise InputError(f"backend=torch: {path} is an ONNX file; leave backend out")
    device = torch_device(device)
    checkpoint = read_checkpoint(path)
    module = checkpoint.detector().to(device)
    with checkpoint.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Model(
        name=str(path),
        backend="torch",
        sha256=digest,
        weights_sha256=digest,
        forward=forward_of(module, device),
        config=checkpoint.config,
        thresholds=checkpoint.thresholds,
        calibrator=checkpoint.calibrator,
        heads=checkpoint.heads,
        module=module,
    )
