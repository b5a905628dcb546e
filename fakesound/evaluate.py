"""Measure a detector, ours or a peer's, on labelled clips.

fakesound evaluate --checkpoint RUN --manifest M [M ...] --out DIR
fakesound evaluate --scores A.jsonl [B.jsonl] --out DIR
"""

import argparse
import shlex
import sys
from pathlib import Path

from fakesound import command_line
from fakesound.command_line import guarded
from fakesound.data.location import parse_location
from fakesound.errors import InputError

FORMATS = ("jsonl", "asvspoof", "partialspoof", "csv")
DESCRIPTION = """\
Measure a detector on labelled clips: metrics of clips (AUC, EER, minDCF, actDCF, Cllr, ECE) and of
frames and regions (segment and event F1, range EER, segment EERs, average precision, false alarms
per hour), with intervals, by attack, family, region length, corpus and official subset, beside
trivial baselines. Writes metrics.json, scores.jsonl, report.html and tables/*.csv to --out.
"""
EXAMPLES = """\
examples:
  a trained detector on a corpus; calibration and thresholds are in the checkpoint
    fakesound evaluate --checkpoint outputs/mt_vim/TIME --manifest M --out DIR
  the same, also through codecs, noise, clipping and rooms
    fakesound evaluate --checkpoint RUN --manifest M --robustness --out DIR
  the score file of any detector, thresholds from validation
    fakesound evaluate --scores S.jsonl --validation-scores V.jsonl --out DIR
  two detectors on the same clips, with a paired test
    fakesound evaluate --scores OURS.jsonl THEIRS.jsonl --out DIR
  scores in the format of others, the truth in a manifest
    fakesound evaluate --scores cm.txt --format asvspoof --manifest M --out DIR

a score file holds one JSON object a line: clip_id, score (P(fake)), label, attack, corpus,
source_id, regions ([[onset, offset], ...] in seconds), duration and, for localisation, frame_step
and frame_scores. With a manifest, clip_id and score are enough.
"""


def main() -> None:
    """Run from the command line."""
    guarded(_main)


def _main() -> None:
    options = _parser().parse_args()
    _check(options)
    command = shlex.join(["python", "-m", "fakesound.evaluate", *sys.argv[1:]])
    # after the checks: these imports take seconds
    from fakesound.evaluation.task import evaluate

    evaluate(options, command)


def _parser() -> argparse.ArgumentParser:
    parser = command_line.parser("evaluate", DESCRIPTION, EXAMPLES)
    what = parser.add_argument_group("what to measure")
    what.add_argument(
        "--checkpoint", type=Path, metavar="RUN", help="folder of a run, checkpoint or safetensors"
    )
    what.add_argument(
        "--manifest", type=parse_location, nargs="+", default=[], metavar="M", help="labelled clips"
    )
    what.add_argument(
        "--scores",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="a score file, or two of the same clips to compare",
    )
    what.add_argument(
        "--validation-scores",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="scores of validation clips, one file for each of --scores: thresholds come from them",
    )
    what.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    which = parser.add_argument_group("which clips")
    which.add_argument(
        "--split",
        choices=("train", "validation", "test", "all"),
        help="rows of the manifests (test where a manifest has test rows, else all)",
    )
    which.add_argument("--subset", metavar="NAME", help="an official test subset, such as zeroshot")
    which.add_argument(
        "--allow-missing",
        action="store_true",
        help="skip clips without scores or readable audio, and report their number",
    )
    which.add_argument(
        "--drop-training-sources",
        action="store_true",
        help="skip clips of recordings in the training of the checkpoint",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--calibrate",
        choices=("none", "logistic", "isotonic"),
        default="none",
        help="fit on --validation-scores (none)",
    )
    how.add_argument(
        "--confidence",
        type=float,
        metavar="P",
        help="lowest probability of a certain verdict, such as 0.8",
    )
    how.add_argument(
        "--robustness",
        nargs="*",
        metavar="NAME",
        help="also measure under these conditions, by name or glob (all)",
    )
    how.add_argument(
        "--draws", type=int, default=1000, help="bootstrap draws; 0 leaves intervals out (1000)"
    )
    how.add_argument("--seed", type=int, default=0, help="seed of the draws (0)")
    how.add_argument("--examples", type=int, default=8, help="clips shown in the report (8)")
    how.add_argument("--device", default="auto", help="auto, cpu or cuda (auto)")
    how.add_argument("--kernel", default="auto", help="kernel of the selective scan (auto)")
    others = parser.add_argument_group("scores of others")
    others.add_argument(
        "--format", choices=FORMATS, default="jsonl", help="format of --scores (jsonl)"
    )
    others.add_argument(
        "--higher-is",
        choices=("fake", "genuine"),
        help="class that high scores stand for (by --format)",
    )
    others.add_argument(
        "--scale",
        choices=("logit", "probability"),
        help="scale of the scores (by --format)",
    )
    others.add_argument(
        "--frame-step", type=float, default=0.02, metavar="S", help="seconds of a frame (0.02)"
    )
    return parser


def _check(options: argparse.Namespace) -> None:
    """Check the options against each other, before anything is read.

    Raises:
        InputError: naming the option and the fix.
    """
    if (options.checkpoint is None) == (not options.scores):
        raise InputError("give either --checkpoint with --manifest, or --scores")
    if options.checkpoint is not None:
        _check_checkpoint(options)
    else:
        _check_scores(options)
    if options.calibrate != "none" and not options.validation_scores:
        raise InputError(
            f"--calibrate={options.calibrate}: is fitted on validation; give --validation-scores"
        )
    for name, low in (("draws", 0), ("seed", 0), ("examples", 0)):
        if getattr(options, name) < low:
            raise InputError(f"--{name}={getattr(options, name)}: must be at least {low}")
    if options.confidence is not None and not 0.5 <= options.confidence < 1:
        raise InputError(f"--confidence={options.confidence}: must be from 0.5 to below 1")
    if options.out.exists() and not options.out.is_dir():
        raise InputError(f"--out={options.out}: is a file; name a folder to write to")
    for path in (*options.manifest, *options.scores, *options.validation_scores):
        if not path.is_file():
            raise InputError(f"{path}: no such file")


def _check_checkpoint(options: argparse.Namespace) -> None:
    if not options.manifest:
        raise InputError("--checkpoint: scores clips; name them with --manifest")
    if options.format != "jsonl":
        raise InputError(f"--format={options.format}: is for --scores; remove it")
    if len(options.validation_scores) > 1:
        raise InputError("--validation-scores: one file is enough for one checkpoint")
    if options.calibrate != "none":
        raise InputError(
            f"--calibrate={options.calibrate}: the checkpoint holds its own calibration; remove it"
        )
    if options.robustness is not None:
        # light, unlike what comes later
        from fakesound.augmentation.conditions import match_conditions

        match_conditions(options.robustness or ["*"])


def _check_scores(options: argparse.Namespace) -> None:
    if len(options.scores) > 2:
        raise InputError(f"--scores: {len(options.scores)} files; give one, or two to compare")
    if options.validation_scores and len(options.validation_scores) != len(options.scores):
        raise InputError(
            f"--validation-scores: {len(options.validation_scores)} files for "
            f"{len(options.scores)} of --scores; give one for each"
        )
    if options.format != "jsonl" and not options.manifest:
        raise InputError(f"--format={options.format}: holds no truth; name it with --manifest")
    if options.robustness is not None:
        raise InputError("--robustness: needs the detector; give --checkpoint, not --scores")
    if options.drop_training_sources:
        raise InputError("--drop-training-sources: is for --checkpoint; remove it")


if __name__ == "__main__":
    main()
