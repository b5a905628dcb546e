"""Write a trained detector as one file, for use without this package or without its run.

python -m fakesound.export RUN --to onnx|safetensors [--out FILE]
"""

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fakesound import command_line
from fakesound.command_line import guarded
from fakesound.errors import InputError
from fakesound.progress import console, progress_bar

if TYPE_CHECKING:
    from fakesound.scoring.checkpoint import Checkpoint

SUFFIXES = {"onnx": ".onnx", "safetensors": ".safetensors"}
NEEDED = {"onnx": ("onnx", "onnxscript"), "safetensors": ("safetensors",)}
DESCRIPTION = """\
The detector of a run as one file.

onnx         waveform of any length in, scores of the clip and of its frames out, with features and
             windows inside; compared with the detector on random audio before it is written
safetensors  weights, configuration and thresholds, for this package to load; cannot run code
"""
EXAMPLES = """\
examples:
  python -m fakesound.export outputs/mt_vim/2026-01-31_12-00-00 --to onnx
  python -m fakesound.export RUN/checkpoints/last.ckpt --to safetensors --out detector.safetensors

use the ONNX file, audio being mono, at the rate it was trained on (16000 Hz) and of any length:
  session = onnxruntime.InferenceSession("detector.onnx")
  score, logit, frame_scores = session.run(None, {"waveform": audio.astype("float32")})
  session.get_modelmeta().custom_metadata_map   # sample_rate, frame_step, thresholds, config

use the safetensors file:
  detector, config = fakesound.scoring.checkpoint.load_detector("detector.safetensors")
"""


def main() -> None:
    """Run from the command line."""
    guarded(_main)


def _main() -> None:
    options = _parser().parse_args()
    source: Path = options.run
    out: Path = options.out or _default_out(source, options.to)
    _check(source, out, options.to)

    # after the checks: these imports take seconds
    from fakesound.scoring.checkpoint import read_checkpoint, write_safetensors

    checkpoint = read_checkpoint(source)
    if options.to == "onnx":
        _write_onnx(checkpoint, out)
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
    from fakesound.exporting import (
        DifferenceError,
        WaveformScorer,
        largest_difference,
        onnx_bytes,
    )
    from fakesound.files import write_whole

    rate, seconds = checkpoint.config.data.sample_rate, checkpoint.config.data.window_seconds
    detector = checkpoint.detector()
    with progress_bar("exporting") as progress:
        progress(0, 2)
        scorer = WaveformScorer(detector, rate, seconds, checkpoint.calibrator)
        exported = onnx_bytes(scorer, checkpoint.metadata())
        progress(1, 2)
        if importlib.util.find_spec("onnxruntime") is None:
            difference = None
        else:
            try:
                difference = largest_difference(
                    exported, detector, rate, seconds, checkpoint.calibrator
                )
            except DifferenceError as error:
                sys.exit(f"error: {error}")
        write_whole(out, exported)
        progress(2, 2)
    if difference is None:
        message = "not compared with the detector: onnxruntime is not installed"
    else:
        message = f"largest difference from the detector's scores on random audio: {difference:.1e}"
    console.print(message, highlight=False)
    if further := [task for task in detector.tasks if task not in ("clip", "frame")]:
        heads = f"it has no outputs of the heads {' and '.join(further)}"
        console.print(f"the file scores clips and frames; {heads}", highlight=False)


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
        help="folder of a run (its best checkpoint is taken), a checkpoint, or a .safetensors file",
    )
    parser.add_argument("--to", choices=tuple(SUFFIXES), required=True, help="format to write")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="file to write (detector.onnx or .safetensors in the folder of the run, else beside "
        "the checkpoint)",
    )
    return parser


if __name__ == "__main__":
    main()
