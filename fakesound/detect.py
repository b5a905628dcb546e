"""Detect whether recordings are fake, and which parts of them.

fakesound detect FILE|FOLDER|MANIFEST|URL|- ... [--html FILE] [--json FILE] ...
fakesound detect FOLDER|MANIFEST|URL ... --out DIR --workers N|ray|slurm
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from fakesound import command_line
from fakesound.command_line import entry_point, print_results
from fakesound.errors import InputError
from fakesound.files import check_folder
from fakesound.progress import console, print_line, progress_bar
from fakesound.provenance import software_version

if TYPE_CHECKING:
    from fakesound.data.location import Location
    from fakesound.inference import Detector
    from fakesound.inference.batch import BatchJournal
    from fakesound.inference.formats import Result

SOME_UNREADABLE, SOME_FAKE = 1, 3
LONG = 30.0  # seconds of audio from which on a progress bar is shown
EVERY = 2.0  # seconds between two scans of a watched folder
DESCRIPTION = """\
Detect whether recordings are fake, and which parts of them. Reads WAV, FLAC, MP3, Ogg, AIFF and
more; with the extra "formats" or ffmpeg also M4A, WebM, WMA and video. Any sample rate, number of
channels and length; offline, on a CPU.

The score is the probability that a recording is fake if --prior is the share of fakes among your
recordings. A verdict is "uncertain" if its probability is below --confidence. The score is
evidence, not proof: read docs/scores.md before you act on it. Results go to stdout: a table on a
terminal, else tab-separated values.
"""
EXAMPLES = """\
examples:
  fakesound detect interview.wav
  fakesound detect recordings/ --html page.html --csv table.csv
  ffmpeg -i film.mkv -f wav - | fakesound detect - --json -
  fakesound detect inbox/ --watch --csv found.csv
  fakesound detect manifest.jsonl --out results --workers 8
  fakesound detect a.flac --audacity a.txt        # a label track to open in Audacity
  fakesound detect a.flac --checkpoint outputs/mt_vim/2026-01-31_12-00-00

exit codes: 0 done; 1 some files could not be read, or an output could not be written; 2 wrong
arguments; 3 a recording is fake (with --exit-code, also if others could not be read)
"""


@entry_point
def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_args()
    _check(options)
    if sys.stdout.encoding.lower().replace("-", "") == "utf8":
        sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    else:
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # imported after the checks: slow
    from fakesound.inference.inputs import named_files
    from fakesound.inference.outputs import check_output_paths, write_outputs

    if options.watch:
        check_output_paths(options, [])
        detector = _detector(options)
        _watch(options, detector)
        return
    with named_files(options.recordings) as files:
        check_output_paths(options, [path for _, path in files if isinstance(path, Path)])
        detector = _detector(options)
        if options.out is not None:
            _detect_in_shards(options, files, detector)
            return
        journal = _journal(options, detector)
        results, stopped = _detect(options, detector, files, journal)
        write_outputs(options, results, detector)
        if journal is not None and not stopped:
            journal.remove()
    if stopped:
        sys.exit("stopped; the same command resumes" if journal is not None else "stopped")
    if options.exit_code and any(r.detection and r.detection.verdict == "fake" for r in results):
        sys.exit(SOME_FAKE)
    if any(result.error for result in results):
        sys.exit(SOME_UNREADABLE)


def _detector(options: argparse.Namespace) -> "Detector":
    from fakesound.inference import Detector

    return Detector.from_checkpoint(
        options.checkpoint,
        options.confidence,
        options.device,
        backend=options.backend,
        prior=options.prior,
    )


def _detect(
    options: argparse.Namespace,
    detector: "Detector",
    files: "Sequence[tuple[str, Path | Location]]",
    journal: "BatchJournal | None" = None,
    header: bool = True,
) -> tuple[list["Result"], bool]:
    """Return the results, and whether the user interrupted the program."""
    from fakesound.inference.batch import detect_files
    from fakesound.inference.outputs import print_table

    results: list[Result] = []
    stopped = False
    with progress_bar("seconds of audio" if len(files) == 1 else "detecting") as progress:
        bar: dict[str, Any] = {"progress": progress}
        if len(files) == 1:
            bar = {"seconds": _seconds_bar(files[0][1], progress)}
        try:
            for result in detect_files(detector, files, options.channels, journal, **bar):
                results.append(result)
                if result.error is not None:
                    message = f"skipped: {result.error}"
                    print_line(message)
        except KeyboardInterrupt:
            stopped = True
    print_table(options, results, header)
    return results, stopped


def _seconds_bar(
    path: "Path | Location", progress: Callable[[int, int | None], None]
) -> Callable[[float], None]:
    """Return a function of the seconds read that updates the progress bar of a long recording."""
    declared = 0.0
    if isinstance(path, Path) and path.is_file():
        import soundfile

        with suppress(soundfile.LibsndfileError):
            declared = soundfile.info(path).duration

    def update(seconds: float) -> None:
        if max(declared, seconds) >= LONG:
            # a header may declare a shorter duration, or none
            progress(round(seconds), round(max(declared, seconds)) if declared else None)

    return update


def _detect_in_shards(
    options: argparse.Namespace,
    files: "Sequence[tuple[str, Path | Location]]",
    detector: "Detector",
) -> None:
    """Detect with workers, print the number of files of each verdict, and exit."""
    from fakesound.inference.sharded import RESULTS, Settings, detect_in_shards

    settings = Settings(
        options.checkpoint,
        detector.model.sha256,
        detector.model.backend,
        options.device,
        options.confidence,
        options.prior,
        options.channels,
        options.frames,
    )
    worker_options = dict(options.worker_option)
    try:
        with progress_bar("detecting") as progress:
            counts = detect_in_shards(
                files, options.out, settings, options.workers, worker_options, progress
            )
    except KeyboardInterrupt:
        sys.exit("stopped; the same command resumes")
    table = Table("verdict", "recordings", box=None)
    for verdict in ("fake", "uncertain", "genuine", "error"):
        table.add_row(verdict, str(counts[verdict]))
    print_results(table)
    print_line(f"results: {options.out / RESULTS}")
    if counts["error"]:
        message = f"{counts['error']} could not be scored; column error has the reasons"
        print_line(message)
    if options.exit_code and counts["fake"]:
        sys.exit(SOME_FAKE)
    if counts["error"]:
        sys.exit(SOME_UNREADABLE)


def _journal(options: argparse.Namespace, detector: "Detector") -> "BatchJournal | None":
    """Return the journal of a batch; None without an output file."""
    from fakesound.inference.batch import BatchJournal
    from fakesound.inference.outputs import output_files

    first = next(iter(output_files(options).values()), None)
    if first is None or (first.exists() and not first.is_file()):
        return None
    model = detector.model
    settings = (model.sha256, model.backend, options.confidence, options.prior, options.channels)
    return BatchJournal(first, repr((software_version(), *settings)))


def _watch(options: argparse.Namespace, detector: "Detector") -> None:
    """Detect in new and changed files of the folders until the user stops the program."""
    from fakesound.inference.outputs import write_outputs

    console.print("watching; stop with Ctrl-C")
    results: dict[str, Result] = {}
    try:
        for path in _arrivals(options.recordings):
            fresh, stopped = _detect(options, detector, [(str(path), path)], header=not results)
            # with --channels each, a changed file may have fewer channels
            for name in [*results]:
                if str(path) in (name, name.rpartition("#")[0]):
                    del results[name]
            results |= {result.path: result for result in fresh}
            write_outputs(options, list(results.values()), detector)
            if stopped:
                break
    except KeyboardInterrupt:
        pass


def _arrivals(folders: Sequence[str]) -> Iterator[Path]:
    """Yield new and changed files once their size and modification time no longer change."""
    from fakesound.data.folders import audio_files

    done: dict[Path, tuple[int, int]] = {}
    waiting: dict[Path, tuple[int, int]] = {}
    while True:
        for path in (path for folder in folders for path in audio_files(Path(folder))):
            try:
                stat = path.stat()
            except OSError:  # removed meanwhile
                continue
            state = stat.st_size, stat.st_mtime_ns
            if done.get(path) != state and waiting.get(path) == state and stat.st_size:
                done[path] = state
                yield path
            waiting[path] = state
        time.sleep(EVERY)


def _check(options: argparse.Namespace) -> None:
    if not 0.5 <= options.confidence < 1:
        raise InputError(f"--confidence={options.confidence}: must be from 0.5 to below 1")
    if not 0 < options.prior < 1:
        raise InputError(f"--prior={options.prior}: must be above 0 and below 1")
    channels = options.channels
    if channels not in ("mix", "each") and not (channels.isdecimal() and int(channels) > 0):
        raise InputError(f"--channels={channels}: must be mix, each, or a number from 1")
    if options.out is None and options.workers != "1":
        raise InputError(f"--workers={options.workers}: needs --out DIR")
    if options.out is None and options.worker_option:
        raise InputError(f"--worker-option={options.worker_option[0][0]}: needs --out DIR")
    if options.out is not None:
        check_folder("--out", options.out, options.out)
        others = ("json", "jsonl", "csv", "rttm", "html", "audacity", "watch")
        for key in (key for key in others if getattr(options, key)):
            raise InputError(f"--{key}: cannot be combined with --out; remove one of them")
    for name in options.recordings:
        if options.watch and not Path(name).is_dir():
            raise InputError(f"--watch: {name} is not a folder; name folders only")
    if [options.json, options.jsonl, options.csv, options.rttm].count("-") > 1:
        raise InputError("--json, --jsonl, --csv, --rttm: only one can go to standard output")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this verb."""
    parser = command_line.parser("detect", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "recordings",
        nargs="+",
        metavar="FILE|FOLDER|MANIFEST|URL|-",
        help="audio files, folders and manifests, local or at a URL; - for stdin",
    )
    command_line.add_detector(parser)
    parser.add_argument(
        "--channels", default="mix", metavar="mix|each|N", help="channels to use (mix)"
    )
    parser.add_argument(
        "--prior",
        type=float,
        default=0.5,
        metavar="P",
        help="assumed share of fakes among your recordings (0.5)",
    )
    parser.add_argument("--json", metavar="FILE", help="all results as JSON; - for stdout")
    parser.add_argument(
        "--jsonl", metavar="FILE", help="one JSON object per line and recording; - for stdout"
    )
    parser.add_argument("--frames", action="store_true", help="include frame scores in the JSON")
    parser.add_argument("--csv", metavar="FILE", help="one row per recording; - for stdout")
    parser.add_argument("--rttm", metavar="FILE", help="regions as RTTM; - for stdout")
    parser.add_argument(
        "--audacity", type=Path, metavar="FILE|FOLDER", help="regions as label tracks"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="a web page with players")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for detections.jsonl and .csv, written in shards, for millions of files",
    )
    parser.add_argument(
        "--workers",
        default="1",
        metavar="N|ray|slurm",
        help="with --out: local processes, a Ray cluster, or an array of Slurm jobs (1)",
    )
    parser.add_argument(
        "--worker-option",
        type=_worker_option,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="argument of ray.init or of submitit, such as slurm_partition=gpu",
    )
    parser.add_argument(
        "--watch", action="store_true", help="keep detecting new files in the folders"
    )
    parser.add_argument(
        "--exit-code", action="store_true", help="exit with 3 if a recording is fake"
    )
    parser.add_argument(
        "--backend",
        choices=("auto", "onnx", "torch"),
        default="auto",
        help="runtime: onnx, or torch for checkpoints and GPUs (auto)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (auto)")
    return parser


def _worker_option(text: str) -> tuple[str, int | str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, int(value) if value.isdecimal() else value


if __name__ == "__main__":
    main()
