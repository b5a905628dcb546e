"""Export a trained detector as one file.

fakesound export RUN --to onnx|onnx-windows|safetensors [--out FILE]
fakesound export RUN [--average RUN ... | --calibrate MANIFEST ...] --to safetensors
"""

import argparse
import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fakesound import command_line
from fakesound.command_line import entry_point
from fakesound.errors import InputError
from fakesound.files import check_outputs, write_whole
from fakesound.progress import console, print_line, progress_bar
from fakesound.scoring.metadata import DEFAULT, PRETRAINED

if TYPE_CHECKING:
    from fakesound.scoring.checkpoint import Checkpoint

SUFFIXES = {"onnx": ".onnx", "onnx-windows": ".windows.onnx", "safetensors": ".safetensors"}
NEEDED = {
    "onnx": ("onnx", "onnxscript"),
    "onnx-windows": ("onnx", "onnxscript"),
    "safetensors": ("safetensors",),
}
COMPARED = "largest difference from the detector's scores on random audio: {:.1e}"
DESCRIPTION = """\
Export the detector of a run as one file.

onnx          takes a waveform of any length, returns the scores of the clip and of its frames;
              compared with the detector on random audio before it is written
onnx-windows  takes windows of a waveform, returns the frame outputs of all heads; for `detect`
              with onnxruntime, without torch; compared with the detector likewise
safetensors   weights, configuration and thresholds, for this package; contains no code

With --average, the weights are the mean of several runs that have the same architecture and started
from the same weights; they are calibrated on the validation clips of the first run.

With --calibrate, scores are calibrated and thresholds selected on the clips of manifests, for
example recordings of your own that the detector should be used on. No clip may be in training.
"""
EXAMPLES = """\
examples:
  fakesound export outputs/mt_vim/2026-01-31_12-00-00 --to onnx
  fakesound export RUN/checkpoints/last.ckpt --to safetensors --out detector.safetensors
  fakesound export RUN1 --average RUN2 RUN3 --to safetensors
  fakesound export default --calibrate my_recordings.jsonl --to safetensors --out mine.safetensors

use the file of --to onnx; audio is mono, at the rate of the training (16000 Hz), of any length:
  session = onnxruntime.InferenceSession("detector.onnx")
  score, logit, frame_scores = session.run(None, {"waveform": audio.astype("float32")})
  session.get_modelmeta().custom_metadata_map   # sample_rate, frame_step, thresholds, config

use the file of --to onnx-windows:
  fakesound detect recording.wav --checkpoint detector.windows.onnx

use the safetensors file:
  detector, config = fakesound.scoring.checkpoint.load_detector("detector.safetensors")
"""


@entry_point
def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_args()
    source: Path = PRETRAINED if str(options.run) == DEFAULT else options.run
    out: Path = options.out or _default_out(options.run, options.to)
    _check(source, out, options.to)
    for name in ("average", "calibrate"):
        if getattr(options, name) and options.to != "safetensors":
            raise InputError(
                f"--to={options.to}: --{name} writes only safetensors; export that file afterwards"
            )

    # imported after the checks: slow
    from fakesound.scoring.checkpoint import read_checkpoint, write_safetensors

    if options.average:
        from fakesound.exporting.average import average_runs

        with progress_bar("scoring validation") as progress:
            checkpoint = average_runs(source, options.average, progress)
    elif options.calibrate:
        from fakesound.exporting.calibrate import calibrate_on_manifests

        with progress_bar("scoring clips") as progress:
            checkpoint = calibrate_on_manifests(
                read_checkpoint(source), options.calibrate, progress
            )
    else:
        checkpoint = read_checkpoint(source)
    if options.to == "onnx":
        _write_onnx(checkpoint, out)
    elif options.to == "onnx-windows":
        _write_onnx_windows(checkpoint, out)
    else:
        # raises for weights that do not fit the configuration
        checkpoint.detector()
        write_safetensors(out, checkpoint)
    if options.calibrate and checkpoint.sources is None:
        print_line("the checkpoint does not list its training: it may contain these recordings")
    if not checkpoint.thresholds:
        print_line("the checkpoint has no thresholds: choose your own or use 0.5")
    print(out)


def _write_onnx(checkpoint: "Checkpoint", out: Path) -> None:
    from fakesound.exporting import WaveformScorer, largest_difference, onnx_bytes

    rate, seconds = checkpoint.config.data.sample_rate, checkpoint.config.data.window_seconds
    detector = checkpoint.detector()
    calibrator = checkpoint.calibrator
    with console.status("exporting"):
        scorer = WaveformScorer(detector, rate, seconds, calibrator)
        exported = onnx_bytes(scorer, checkpoint.metadata())
        difference = _difference(largest_difference, exported, detector, rate, seconds, calibrator)
        write_whole(out, exported)
    print_line(COMPARED.format(difference))
    if others := [task for task in detector.tasks if task not in ("clip", "frame")]:
        heads = f"the outputs of other heads ({', '.join(others)}) are not in the file"
        print_line(f"the file scores clips and frames; {heads}")


def _write_onnx_windows(checkpoint: "Checkpoint", out: Path) -> None:
    from fakesound.exporting import WindowScorer, largest_window_difference, window_onnx_bytes
    from fakesound.inference.model import WEIGHTS_KEY

    data = checkpoint.config.data
    metadata = checkpoint.metadata()
    # only evaluations need these, and they read the weights
    for key in ("attacks", "selected_on", "sources"):
        metadata.pop(key, None)
    metadata[WEIGHTS_KEY] = hashlib.sha256(checkpoint.path.read_bytes()).hexdigest()
    with console.status("exporting"):
        scorer = WindowScorer(checkpoint.detector(), data.sample_rate, data.window_seconds)
        exported = window_onnx_bytes(scorer, metadata)
        difference = _difference(largest_window_difference, exported, checkpoint.path)
        write_whole(out, exported)
    print_line(COMPARED.format(difference))


def _difference(compare: Callable[..., float], *arguments: object) -> float:
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
    check_outputs({"--out": out}, [source])


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this verb."""
    parser = command_line.parser("export", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "run",
        type=Path,
        metavar="RUN",
        help="folder of a run (for its best checkpoint), a checkpoint, a .safetensors file, or "
        "default (the detector of the package)",
    )
    parser.add_argument("--to", choices=tuple(SUFFIXES), required=True, help="format to write")
    recalibration = parser.add_mutually_exclusive_group()
    recalibration.add_argument(
        "--average",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="folders of runs whose weights are averaged with those of RUN",
    )
    recalibration.add_argument(
        "--calibrate",
        type=Path,
        nargs="+",
        metavar="MANIFEST",
        help="manifests of genuine and fake clips on which scores are calibrated and thresholds "
        "selected",
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
