"""Write a trained detector as one file, for use without this package or without its run.

fakesound export RUN --to onnx|onnx-windows|safetensors [--out FILE]
fakesound export RUN --average RUN [RUN ...] --to safetensors
"""

import argparse
import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fakesound import command_line
from fakesound.command_line import guarded
from fakesound.errors import InputError
from fakesound.progress import console, progress_bar
from fakesound.scoring.metadata import DEFAULT, PRETRAINED

if TYPE_CHECKING:
    from fakesound.scoring.checkpoint import Checkpoint

SUFFIXES = {
    "onnx": ".onnx",
    "onnx-windows": ".windows.onnx",
    "safetensors": ".safetensors",
}
NEEDED = {
    "onnx": ("onnx", "onnxscript"),
    "onnx-windows": ("onnx", "onnxscript"),
    "safetensors": ("safetensors",),
}
COMPARED = "largest difference from the detector's scores on random audio: {:.1e}"
DESCRIPTION = """\
The detector of a run as one file.

onnx          waveform of any length in, scores of the clip and of its frames out, with features and
              windows inside; compared with the detector on random audio before it is written
onnx-windows  windows of a waveform in, frame outputs of all heads out: what `detect` scores
              with onnxruntime, without torch; compared likewise
safetensors   weights, configuration and thresholds, for this package to load; cannot run code

With --average the weights are the mean of several runs of one architecture that started from the
same weights, calibrated again on the validation clips of the first.
"""
EXAMPLES = """\
examples:
  fakesound export outputs/mt_vim/2026-01-31_12-00-00 --to onnx
  fakesound export RUN/checkpoints/last.ckpt --to safetensors --out detector.safetensors
  fakesound export RUN1 --average RUN2 RUN3 --to safetensors

use the file of --to onnx; audio is mono, at the rate of the training (16000 Hz), of any length:
  session = onnxruntime.InferenceSession("detector.onnx")
  score, logit, frame_scores = session.run(None, {"waveform": audio.astype("float32")})
  session.get_modelmeta().custom_metadata_map   # sample_rate, frame_step, thresholds, config

use the file of --to onnx-windows:
  fakesound detect recording.wav --checkpoint detector.windows.onnx

use the safetensors file:
  detector, config = fakesound.scoring.checkpoint.load_detector("detector.safetensors")
"""


def main() -> None:
    """Run from the command line."""
    guarded(_main)


def _main() -> None:
    options = _parser().parse_args()
    source: Path = PRETRAINED if str(options.run) == DEFAULT else options.run
    out: Path = options.out or _default_out(options.run, options.to)
    _check(source, out, options.to)
    if options.average and options.to != "safetensors":
        raise InputError(
            f"--average with --to={options.to}: writes safetensors; export that file next"
        )

    # after the checks: these imports take seconds
    from fakesound.scoring.checkpoint import read_checkpoint, write_safetensors

    if options.average:
        from fakesound.exporting.average import average_runs

        with progress_bar("scoring validation") as progress:
            checkpoint = average_runs(source, options.average, progress)
    else:
        checkpoint = read_checkpoint(source)
    if options.to == "onnx":
        _write_onnx(checkpoint, out)
    elif options.to == "onnx-windows":
        _write_onnx_windows(checkpoint, out)
    else:
        # refuse a checkpoint that makes no detector
        checkpoint.detector()
        write_safetensors(out, checkpoint)
    if not checkpoint.thresholds:
        console.print(
            "the checkpoint has no thresholds: choose your own, or use 0.5", highlight=False
        )
    print(out)


def _write_onnx(checkpoint: "Checkpoint", out: Path) -> None:
    from fakesound.exporting import WaveformScorer, largest_difference, onnx_bytes
    from fakesound.files import write_whole

    rate, seconds = checkpoint.config.data.sample_rate, checkpoint.config.data.window_seconds
    detector = checkpoint.detector()
    calibrator = checkpoint.calibrator
    with progress_bar("exporting") as progress:
        progress(0, 2)
        scorer = WaveformScorer(detector, rate, seconds, calibrator)
        exported = onnx_bytes(scorer, checkpoint.metadata())
        progress(1, 2)
        difference = _compared(largest_difference, exported, detector, rate, seconds, calibrator)
        write_whole(out, exported)
        progress(2, 2)
    console.print(COMPARED.format(difference), highlight=False)
    if further := [task for task in detector.tasks if task not in ("clip", "frame")]:
        heads = f"it has no outputs of the heads {' and '.join(further)}"
        console.print(f"the file scores clips and frames; {heads}", highlight=False)


def _write_onnx_windows(checkpoint: "Checkpoint", out: Path) -> None:
    from fakesound.exporting import (
        WindowScorer,
        largest_window_difference,
        window_onnx_bytes,
    )
    from fakesound.files import write_whole
    from fakesound.inference.model import WEIGHTS_KEY

    data = checkpoint.config.data
    metadata = checkpoint.metadata()
    # of use for evaluations alone, which read the weights
    for key in ("attacks", "selected_on", "sources"):
        metadata.pop(key, None)
    metadata[WEIGHTS_KEY] = hashlib.sha256(checkpoint.path.read_bytes()).hexdigest()
    with progress_bar("exporting") as progress:
        progress(0, 2)
        scorer = WindowScorer(checkpoint.detector(), data.sample_rate, data.window_seconds)
        exported = window_onnx_bytes(scorer, metadata)
        progress(1, 2)
        difference = _compared(largest_window_difference, exported, checkpoint.path)
        write_whole(out, exported)
        progress(2, 2)
    console.print(COMPARED.format(difference), highlight=False)


def _compared(compare: Callable[..., float], *arguments: object) -> float:
    from fakesound.exporting import DifferenceError

    try:
        return compare(*arguments)
    except DifferenceError as error:
        sys.exit(f"error: {error}")


def _default_out(source: Path, to: str) -> Path:
    if source.is_dir():
        return source / f"detector{SUFFIXES[to]}"
    return source.with_suffix(SUFFIXES[to])


def _check(source: Path, out: Path, to: str) -> None:
    if not source.exists():
        raise InputError(
            f"RUN={source}: no such file or folder; give the folder of a run, or a checkpoint"
        )
    missing = [name for name in NEEDED[to] if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"--to={to}: needs {', '.join(missing)}; pip install 'fakesound[export]'")
    if out.is_dir():
        raise InputError(f"--out={out}: is a folder; name a file")
    if out.exists() and source.exists() and out.samefile(source):
        raise InputError(f"--out={out}: is the file to export; name another")
    above = next(folder for folder in out.absolute().parents if folder.exists())
    if not above.is_dir():
        raise InputError(f"--out={out}: {above} is a file; name another path")


def _parser() -> argparse.ArgumentParser:
    parser = command_line.parser("export", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "run",
        type=Path,
        metavar="RUN",
        help="folder of a run (its best checkpoint is taken), a checkpoint, a .safetensors file, "
        "or default, the detector of the package",
    )
    parser.add_argument("--to", choices=tuple(SUFFIXES), required=True, help="format to write")
    parser.add_argument(
        "--average",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="folders of more runs, whose weights are averaged with those of the first",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="file to write (detector.onnx, .windows.onnx or .safetensors in the folder of the "
        "run, else beside the checkpoint)",
    )
    return parser


if __name__ == "__main__":
    main()
