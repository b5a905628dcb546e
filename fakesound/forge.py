"""Generate labelled fakes from genuine recordings, with laundered genuine twins and a manifest.

fakesound forge FOLDER OUT [options]
"""

import argparse
from pathlib import Path

from rich.table import Table

from fakesound import command_line
from fakesound.attacks import ATTACKS, choose_attacks
from fakesound.attacks.weights import set_weights
from fakesound.clip import SPLITS, Clip
from fakesound.command_line import check_least, entry_point
from fakesound.corpora.audit import Audit, shortcut_audit
from fakesound.data.manifest import write_manifest
from fakesound.errors import InputError
from fakesound.files import lock_folder
from fakesound.forging import ForgeSettings, embedded_clips, folder_clips, forge, plan_jobs
from fakesound.forging.sources import check_apart
from fakesound.progress import ResultConsole, console, print_line, progress_bar

DESCRIPTION = """\
Generate a labelled corpus from genuine recordings: genuine clips, partial and whole fakes with
exact regions, and a manifest. Sources are split first, so that no recording is in two of train,
validation and test. The same command continues after an interruption.
"""
EXAMPLES = """\
examples:
  fakesound forge embedded prepared/embedded
  fakesound forge recordings/ prepared/mine --source folder --on-bad-audio skip
  fakesound forge recordings/ prepared/codecs --attacks 'codec/*' --complete
"""


@entry_point
def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_args()
    if options.list:
        _list_attacks()
        return
    if options.out is None:
        build_parser().error("OUT is missing: the folder to write to")
    _check(options)
    set_weights(_weights(options.weights), "--weights")
    attacks = choose_attacks(options.attacks, "--attacks")
    problems: list[str] = []
    if options.folder == "embedded":
        genuine = embedded_clips("FOLDER=embedded")
    else:
        root = Path(options.folder)
        check_apart(root, options.out, "OUT")
        genuine, problems = folder_clips(
            root, options.clip_seconds, options.source, options.on_bad_audio
        )
    settings = ForgeSettings(
        options.sample_rate,
        options.train_fakes,
        options.evaluation_fakes,
        options.seed,
        options.fixed_training,
    )
    complete = {"validation": attacks, "test": attacks} if options.complete else {}
    jobs = plan_jobs(genuine, settings, attacks, complete)
    lock_folder(options.out, "OUT")
    with progress_bar("forging") as progress:
        forged = forge(
            jobs, options.out, settings.sample_rate, options.workers, options.on_bad_audio, progress
        )
    write_manifest(options.out / "manifest.jsonl", forged.clips)
    with progress_bar("audit") as progress:
        evaluated = [clip for clip in forged.clips if clip.split != "train"]
        audit = shortcut_audit(evaluated)
        progress(1, 1)
    _summarise(forged.clips, audit, [*problems, *forged.left_out.values()])
    print(options.out / "manifest.jsonl")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this verb."""
    parser = command_line.parser("forge", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "folder",
        nargs="?",
        default="embedded",
        metavar="FOLDER",
        help="folder of genuine recordings; embedded uses those of the training data",
    )
    parser.add_argument("out", nargs="?", type=Path, metavar="OUT", help="folder to write to")
    parser.add_argument("--list", action="store_true", help="list the attacks and stop")
    parser.add_argument(
        "--attacks", nargs="+", default=["*"], metavar="NAME", help="attacks, by name or glob (all)"
    )
    parser.add_argument(
        "--weights",
        nargs="+",
        default=[],
        metavar="NETWORK=DIR",
        help="folders of the weights of published networks, for optional attacks",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of all draws (0)")
    parser.add_argument(
        "--train-fakes", type=int, default=4, metavar="N", help="fakes per training clip (4)"
    )
    parser.add_argument(
        "--evaluation-fakes",
        type=int,
        default=2,
        metavar="N",
        help="fakes per validation or test clip (2)",
    )
    parser.add_argument(
        "--complete",
        action="store_true",
        help="apply every attack to every validation and test clip",
    )
    parser.add_argument(
        "--fixed-training",
        action="store_true",
        help="give training fakes fixed regions too; otherwise they are fake throughout, and "
        "`fakesound run` cuts regions from them during training",
    )
    parser.add_argument(
        "--source",
        choices=("file", "folder"),
        default="file",
        help="what one source is: a file, or a folder, such as one per speaker (file)",
    )
    parser.add_argument(
        "--clip-seconds", type=float, default=10.0, help="length of the longest clip (10)"
    )
    parser.add_argument(
        "--sample-rate", type=int, default=16_000, help="sample rate of the clips in Hz (16000)"
    )
    parser.add_argument(
        "--workers", type=int, default=None, help="number of processes (one per core)"
    )
    parser.add_argument(
        "--on-bad-audio",
        choices=("error", "skip"),
        default="error",
        help="stop at an unusable file, or skip it (error)",
    )
    return parser


def _check(options: argparse.Namespace) -> None:
    check_least(options, seed=0, train_fakes=0, evaluation_fakes=0)
    check_least(options, clip_seconds=1, sample_rate=8_000, workers=1)
    if options.folder != "embedded" and not Path(options.folder).is_dir():
        raise InputError(
            f"FOLDER={options.folder}: no such folder; give a folder of genuine recordings, or the "
            "word embedded"
        )
    if options.out.exists() and not options.out.is_dir():
        raise InputError(f"OUT={options.out}: is a file; name a folder to write to")


def _weights(options: list[str]) -> dict[str, str]:
    for text in options:
        if "=" not in text:
            raise InputError(f"--weights {text}: must be NETWORK=DIR, such as lyra=DIR")
    return dict(text.split("=", 1) for text in options)


def _list_attacks() -> None:
    table = Table("attack", "what it does", box=None)
    for attack in ATTACKS.values():
        first = (attack.function.__doc__ or "").strip().splitlines()[0]
        text = first.replace("``", "").rstrip(".")
        table.add_row(attack.name, f"{text} (optional)" if attack.optional else text)
    ResultConsole().print(table)


def _summarise(clips: list[Clip], audit: Audit, problems: list[str]) -> None:
    table = Table("split", "genuine", "fakes", "minutes", "share of time fake", box=None)
    for split in SPLITS:
        part = [clip for clip in clips if clip.split == split]
        fakes = sum(clip.is_fake for clip in part)
        seconds = sum(clip.duration for clip in part)
        fake = sum(region.duration for clip in part for region in clip.regions)
        table.add_row(
            split,
            str(len(part) - fakes),
            str(fakes),
            f"{seconds / 60:.1f}",
            f"{fake / seconds:.0%}" if seconds else "",
        )
    console.print(table)
    if audit.auc is not None:
        console.print(
            f"shortcut audit: AUC {audit.auc:.2f} from length, level, bandwidth and the like on "
            "validation and test clips (0.5: they reveal nothing)"
        )
    for problem in problems[:20]:
        print_line(f"left out: {problem}")
    if len(problems) > 20:
        console.print(f"... and {len(problems) - 20} more")


if __name__ == "__main__":
    main()
