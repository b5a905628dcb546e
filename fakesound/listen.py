"""Run a listening test in the browser and write its answers as score files.

fakesound listen MANIFEST [MANIFEST ...] --out DIR
"""

import argparse
import os
import signal
import sys
import webbrowser
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from fakesound import command_line
from fakesound.command_line import check_least, entry_point
from fakesound.errors import InputError
from fakesound.files import lock_folder

if TYPE_CHECKING:
    from fakesound.listening_test import AnswerLog, ListeningTest

DESCRIPTION = """\
Run a blind listening test. Listeners play clips one by one, decide whether each is genuine or fake
and how sure they are, and mark the parts that sound fake. The test runs in the browser on this
machine and sends nothing elsewhere. Half of the clips are genuine, attacks alternate, no source
occurs twice, and all clips are WAV files of the same rate whose names reveal nothing. All listeners
get the same clips in different orders. Each answer is saved immediately: to continue later, run the
command with the same --out and enter the same name.
"""
EXAMPLES = """\
examples:
  a test of 24 clips; the URL is printed and opened in the browser
    fakesound listen prepared/mine/manifest.jsonl --out listening
  20 genuine clips, 20 partial and 20 whole fakes of attacks that RUN did not train on, at one level
    fakesound listen RUN/manifest.jsonl --left-out RUN --thirds --match-level --out people
  continue the test, or start with another listener
    fakesound listen --out listening
  compare listeners with a detector on the same clips, with a paired test
    fakesound evaluate --checkpoint default --manifest listening/clips.jsonl --out model
    fakesound evaluate --scores model/scores.jsonl listening/scores/listeners.jsonl \\
      --out compared                 # with --allow-missing while some clips have no answer
  on a remote machine: run the first command there, the second here, and open the URL here
    fakesound listen --out listening --port 8765 --no-browser
    ssh -L 8765:127.0.0.1:8765 MACHINE

files in DIR: listening_test.json, clips.jsonl (a manifest with labels) and audio/, fixed at the
first start; answers.jsonl, an append-only log (the last answer to a clip counts); and the score
files scores/NAME.jsonl of each listener and scores/listeners.jsonl, the mean over all listeners.
From a guess to certain, "fake" scores 0.55, 0.65, 0.75, 0.85 or 0.95, and "genuine" 0.45, 0.35,
0.25, 0.15 or 0.05; frames outside the marks of a fake score one minus that.
"""


@entry_point
def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_args()
    _check(options)
    lock_folder(options.out, "--out")
    _run(options)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this verb."""
    parser = command_line.parser("listen", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "manifest",
        type=Path,
        nargs="*",
        metavar="MANIFEST",
        help="labelled clips to draw from; not needed to continue a test",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the test")
    which = parser.add_argument_group("which clips (fixed at the first start)")
    which.add_argument(
        "--clips", type=int, metavar="N", help="number of clips (24; with --thirds 60)"
    )
    which.add_argument(
        "--thirds",
        action="store_const",
        const=True,
        help="a third each of genuine clips, partial fakes and whole fakes",
    )
    which.add_argument(
        "--left-out",
        type=Path,
        metavar="RUN",
        help="only fakes of attacks that this run did not train on, as in its scores.jsonl",
    )
    which.add_argument(
        "--match-level",
        action="store_const",
        const=True,
        help="give all clips the same level, -26 dBFS or lower",
    )
    which.add_argument("--seed", type=int, help="seed of the draw and of the orders (0)")
    which.add_argument(
        "--split",
        choices=("train", "validation", "test", "all"),
        help="rows of the manifests (test where a manifest has test rows, else all)",
    )
    which.add_argument(
        "--max-seconds", type=float, metavar="S", help="duration of the longest clip (30)"
    )
    which.add_argument(
        "--sample-rate", type=int, metavar="HZ", help="sample rate of all clips (16000)"
    )
    how = parser.add_argument_group("how")
    how.add_argument("--listener", default="", metavar="NAME", help="name to suggest on the page")
    how.add_argument(
        "--reveal",
        action="store_true",
        help="show listeners their own result at the end; afterwards they cannot change answers",
    )
    how.add_argument(
        "--port", type=int, default=0, help="port on 127.0.0.1; 0 for any free port (0)"
    )
    how.add_argument("--no-browser", action="store_true", help="only print the URL")
    how.add_argument(
        "--collect",
        action="store_true",
        help="write scores/ from answers.jsonl, print the number of answers, and exit",
    )
    return parser


def _check(options: argparse.Namespace) -> None:
    """Check the options before anything is read.

    Raises:
        InputError: naming the option and the fix.
    """
    check_least(options, seed=0, max_seconds=1, sample_rate=8_000)
    if options.sample_rate is not None and options.sample_rate > 96_000:
        raise InputError(f"--sample-rate={options.sample_rate}: must be at most 96000")
    kinds = 3 if options.thirds else 2
    if options.clips is not None and (options.clips < kinds or options.clips % kinds):
        raise InputError(f"--clips={options.clips}: must be a multiple of {kinds} above 0")
    if options.left_out is not None and not (options.left_out / "scores.jsonl").is_file():
        raise InputError(f"--left-out={options.left_out}: holds no scores.jsonl; give a run")
    if not 0 <= options.port <= 65_535:
        raise InputError(f"--port={options.port}: must be from 0 to 65535")
    for path in options.manifest:
        if not path.is_file():
            raise InputError(f"{path}: no such manifest; give the path of a manifest.jsonl")
    if options.out.exists() and not options.out.is_dir():
        raise InputError(f"--out={options.out}: is a file; name a folder to write to")
    if not options.manifest and not (options.out / "listening_test.json").is_file():
        raise InputError(f"--out={options.out}: holds no test yet; name a MANIFEST to draw from")


def _run(options: argparse.Namespace) -> None:
    # imported after the checks: slow
    from fakesound.listening_test import (
        AnswerLog,
        Settings,
        make_test,
        open_test,
        write_listener_scores,
    )
    from fakesound.listening_test.listening_test import listener_name
    from fakesound.progress import console

    if options.listener:
        options.listener = listener_name(options.listener)
    wanted = {field.name: getattr(options, field.name) for field in fields(Settings)}
    if options.left_out is not None:
        wanted["left_out"] = _unseen_attacks(options.left_out)
    test = open_test(options.out, wanted, options.manifest)
    if test is None:
        settings = {name: value for name, value in wanted.items() if value is not None}
        if options.thirds:
            settings.setdefault("clips", 60)
        test = make_test(options.manifest, options.out, Settings(**settings))
    log = AnswerLog(options.out / "answers.jsonl", list(test.clips.values()))
    for number in log.cut:
        console.print(f"note: {log.path}, row {number}: truncated and ignored")
    write_listener_scores(test, log)
    if not options.collect:
        _serve(options, test, log)
        write_listener_scores(test, log)
    _summarise(test, log)


def _unseen_attacks(run: Path) -> list[str]:
    """Return the attacks in the test of ``run`` that were not in its training."""
    from fakesound.metrics import read_scores

    scores = read_scores(run / "scores.jsonl")
    attacks = {clip.attack for clip in scores if clip.attack and clip.fold == "unseen"}
    if not attacks:
        raise InputError(f"--left-out={run}: all attacks of its test were in training")
    return sorted(attacks)


def _serve(options: argparse.Namespace, test: "ListeningTest", log: "AnswerLog") -> None:
    """Serve the test until SIGINT (Ctrl-C) or SIGTERM."""
    from fakesound.listening_test.server import ListeningServer
    from fakesound.listening_test.session import Session
    from fakesound.progress import console

    server = ListeningServer(Session(test, log, options.reveal), options.port, options.listener)

    def stop(*_: Any) -> NoReturn:  # noqa: ANN401
        raise KeyboardInterrupt

    # SIGINT too: background processes of a shell script ignore it by default
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with server:
        print(server.address, flush=True)
        console.print(f"{len(test.clips)} clips; Ctrl-C ends the test, answers are saved")
        try:
            if not options.no_browser and _has_screen():
                webbrowser.open(server.address)
            server.serve_forever()
        except KeyboardInterrupt:
            console.print()


def _has_screen() -> bool:
    """Return whether a browser can open a window, unlike a text browser in this terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _summarise(test: "ListeningTest", log: "AnswerLog") -> None:
    from rich.table import Table

    from fakesound.progress import console, print_line

    if not log.answers:
        console.print("no answers yet")
        return
    table = Table("listener", "clips answered", box=None)
    for answers in log.answers.values():
        name = next(iter(answers.values())).listener
        table.add_row(name, f"{len(answers)} of {len(test.clips)}")
    console.print(table)
    print_line(f"scores: {test.folder / 'scores' / 'listeners.jsonl'}")


if __name__ == "__main__":
    main()
