"""Evaluate a detector, ours or any other, on labelled clips.

fakesound evaluate --checkpoint RUN --manifest M [M ...] --out DIR
fakesound evaluate --scores A.jsonl [B.jsonl] --out DIR
"""

import argparse
import shlex
import sys
from pathlib import Path

from fakesound import command_line
from fakesound.command_line import check_least, entry_point
from fakesound.data.location import parse_location
from fakesound.errors import InputError

FORMATS = ("jsonl", "asvspoof", "partialspoof", "csv")
DESCRIPTION = """\
Evaluate a detector on labelled clips: metrics of clips (AUC, EER, minDCF, actDCF, Cllr, ECE) and of
frames and regions (segment and event F1, range EER, segment EERs, average precision, false alarms
per hour), with confidence intervals and trivial baselines, by attack, family, region length, corpus
and official subset. Writes metrics.json, scores.jsonl, report.html and tables/*.csv to --out.
"""
EXAMPLES = """\
examples:
  a trained detector on a corpus, with the calibration and thresholds of the checkpoint
    fakesound evaluate --checkpoint outputs/mt_vim/TIME --manifest M --out DIR
  the same, also with codecs, noise, clipping and room acoustics
    fakesound evaluate --checkpoint RUN --manifest M --robustness --out DIR
  the score file of any detector, with thresholds from validation
    fakesound evaluate --scores S.jsonl --validation-scores V.jsonl --out DIR
  two detectors on the same clips, with a paired test
    fakesound evaluate --scores OURS.jsonl THEIRS.jsonl --out DIR
  scores in another format, with labels from a manifest
    fakesound evaluate --scores cm.txt --format asvspoof --manifest M --out DIR

a score file holds one JSON object per line: clip_id, score (P(fake)), label, attack, corpus,
source_id, regions ([[onset, offset], ...] in seconds), duration and, for localisation, frame_step
and frame_scores. With a manifest, clip_id and score are enough.
--format csv reads a table with a header and commas or tabs between the columns: clip_id, score,
frame_scores (numbers with spaces or semicolons between them) and label. clip_id and one of the
scores are enough; other columns are ignored.
"""
# files that an evaluation writes to --out
REPLACED = ("scores.jsonl", "validation_scores.jsonl", "manifest.jsonl")
MOST_DRAWS = 100_000


@entry_point
def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_args()
    _check(options)
    command = shlex.join(["fakesound", "evaluate", *sys.argv[1:]])
    # imported after the checks: slow
    from fakesound.evaluation.task import evaluate

    evaluate(options, command)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this verb."""
    parser = command_line.parser("evaluate", DESCRIPTION, EXAMPLES)
    what = parser.add_argument_group("input and output")
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
        help="a score file, or two for a comparison on the same clips",
    )
    what.add_argument(
        "--validation-scores",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="scores of validation clips, one file for each of --scores, to select thresholds",
    )
    what.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    which = parser.add_argument_group("clips")
    which.add_argument(
        "--split",
        choices=("train", "validation", "test", "all"),
        help="rows of the manifests (test where a manifest has test rows, else all)",
    )
    which.add_argument("--subset", metavar="NAME", help="an official test subset, such as zeroshot")
    which.add_argument(
        "--allow-missing",
        action="store_true",
        help="skip and count clips without scores or readable audio",
    )
    which.add_argument(
        "--drop-training-sources",
        action="store_true",
        help="skip recordings that the checkpoint was trained on",
    )
    how = parser.add_argument_group("method")
    how.add_argument(
        "--calibrate",
        choices=("none", "logistic", "isotonic"),
        default="none",
        help="calibration to fit on --validation-scores (none)",
    )
    how.add_argument(
        "--confidence",
        type=float,
        metavar="P",
        help='probability below which a verdict is "uncertain", such as 0.8',
    )
    how.add_argument(
        "--robustness",
        nargs="*",
        metavar="NAME",
        help="also evaluate under these conditions, by name or glob (all)",
    )
    how.add_argument(
        "--draws", type=int, default=1000, help="bootstrap draws; 0 for no intervals (1000)"
    )
    how.add_argument("--seed", type=int, default=0, help="seed of the draws (0)")
    how.add_argument("--examples", type=int, default=8, help="clips shown in the report (8)")
    how.add_argument(
        "--device", default="auto", help="device of --checkpoint: auto, cpu or cuda (auto)"
    )
    how.add_argument(
        "--kernel", default="auto", help="kernel of the selective scan of --checkpoint (auto)"
    )
    others = parser.add_argument_group("other score formats")
    others.add_argument(
        "--format", choices=FORMATS, default="jsonl", help="format of --scores (jsonl)"
    )
    others.add_argument(
        "--higher-is",
        choices=("fake", "genuine"),
        help="class with higher scores (default depends on --format)",
    )
    others.add_argument(
        "--scale",
        choices=("logit", "probability"),
        help="scale of the scores (default depends on --format)",
    )
    others.add_argument(
        "--frame-step",
        type=float,
        default=0.02,
        metavar="S",
        help="frame length in seconds, where the file has none (0.02)",
    )
    return parser


def _check(options: argparse.Namespace) -> None:
    """Check the options before any file is read.

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
            f"--calibrate={options.calibrate}: needs validation clips; give --validation-scores"
        )
    check_least(options, draws=0, seed=0, examples=0)
    if options.draws > MOST_DRAWS:
        raise InputError(f"--draws={options.draws}: must be at most {MOST_DRAWS}")
    if options.confidence is not None and not 0.5 <= options.confidence < 1:
        raise InputError(f"--confidence={options.confidence}: must be from 0.5 to below 1")
    if options.out.exists() and not options.out.is_dir():
        raise InputError(f"--out={options.out}: is a file; name a folder to write to")
    for path in options.manifest:
        if not path.is_file():
            raise InputError(f"{path}: no such file")
    for path in (*options.scores, *options.validation_scores, *options.manifest):
        path = Path(str(path))
        if path.name in REPLACED and path.resolve().parent == options.out.resolve():
            raise InputError(f"--out={options.out}: {path} would be replaced; name another folder")
    # a pipe is allowed, since each file is read once
    for path in (*options.scores, *options.validation_scores):
        if path.is_dir() or not path.exists():
            what = "is a folder; name a score file" if path.is_dir() else "no such file"
            raise InputError(f"{path}: {what}")


def _check_checkpoint(options: argparse.Namespace) -> None:
    if not options.manifest:
        raise InputError("--checkpoint: needs clips; name them with --manifest")
    if options.format != "jsonl":
        raise InputError(f"--format={options.format}: only for --scores; remove it")
    if len(options.validation_scores) > 1:
        raise InputError("--validation-scores: give only one file for a checkpoint")
    if options.calibrate != "none":
        raise InputError(
            f"--calibrate={options.calibrate}: a checkpoint has its own calibration; remove it"
        )
    if options.robustness is not None:
        # imported here: fast, unlike the later imports
        from fakesound.augmentation.conditions import match_conditions

        match_conditions(options.robustness or ["*"])


def _check_scores(options: argparse.Namespace) -> None:
    if len(options.scores) > 2:
        raise InputError(f"--scores: {len(options.scores)} files; give one, or two to compare")
    if options.validation_scores and len(options.validation_scores) != len(options.scores):
        raise InputError(
            f"--validation-scores: {len(options.validation_scores)} files, but "
            f"{len(options.scores)} of --scores; give one for each"
        )
    if options.format != "jsonl" and not options.manifest:
        raise InputError(f"--format={options.format}: has no labels; give them with --manifest")
    if options.split is not None and not options.manifest:
        raise InputError(f"--split={options.split}: selects rows of manifests; give --manifest")
    for name in ("device", "kernel"):
        if getattr(options, name) != "auto":
            raise InputError(f"--{name}={getattr(options, name)}: only for --checkpoint; remove it")
    if options.robustness is not None:
        raise InputError("--robustness: needs a detector; give --checkpoint, not --scores")
    if options.drop_training_sources:
        raise InputError("--drop-training-sources: only for --checkpoint; remove it")


if __name__ == "__main__":
    main()
