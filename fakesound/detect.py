"""Tell whether recordings are fake, and which parts of them.

python -m fakesound.detect FILE|FOLDER|- ... [--html FILE] [--json FILE] ...
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from fakesound import command_line
from fakesound.command_line import guarded
from fakesound.errors import InputError
from fakesound.progress import console, progress_bar

if TYPE_CHECKING:
    from fakesound.inference import Detector
    from fakesound.inference.writing import Result

SOME_UNREADABLE, SOME_FAKE = 1, 3
EVERY = 2.0  # seconds between two looks at a watched folder
SPANS = 4  # regions of a recording that the table lists
COLOURS = {"fake": "bold red", "uncertain": "yellow", "genuine": "green"}
DESCRIPTION = """\
Is a recording fake, and which parts of it? Any format that libsndfile reads (WAV, FLAC, MP3, Ogg,
AIFF ...), any rate, any number of channels, any length; offline, on a CPU.

The score is the probability that the recording is fake, if half of your recordings are. A verdict
whose own probability is below --confidence is "uncertain". The score is evidence, not proof: read
docs/scores.md before you act on it.
"""
EXAMPLES = """\
examples:
  python -m fakesound.detect interview.wav
  python -m fakesound.detect recordings/ --html page.html --csv table.csv
  ffmpeg -i film.mkv -f wav - | python -m fakesound.detect - --json -
  python -m fakesound.detect inbox/ --watch --csv found.csv
  python -m fakesound.detect a.flac --audacity a.txt        # a label track to open in Audacity
  python -m fakesound.detect a.flac --checkpoint outputs/mt_vim/2026-01-31_12-00-00

exit codes: 0 done; 1 some files could not be read, the others are done; 2 wrong arguments;
3 with --exit-code, a recording is fake
"""


def main() -> None:
    """Run from the command line."""
    guarded(_main)


def _main() -> None:
    options = _parser().parse_args()
    _check(options)
    # after the checks: these imports take seconds
    from fakesound.inference import Detector
    from fakesound.inference.inputs import named_files

    detector = Detector.from_checkpoint(options.checkpoint, options.confidence, options.device)
    with named_files(options.recordings) as files:
        results = _detect(detector, files)
        _write(options, results, detector)
    _print_table(results)
    if options.watch:
        _watch(options, detector, results)
    if any(result.error for result in results):
        sys.exit(SOME_UNREADABLE)
    if options.exit_code and any(r.detection and r.detection.verdict == "fake" for r in results):
        sys.exit(SOME_FAKE)


def _detect(detector: "Detector", files: Sequence[tuple[str, Path]]) -> list["Result"]:
    """Return one result per file. Unreadable files are reported and skipped."""
    from fakesound.inference.writing import Result

    results = []
    with progress_bar("detecting") as progress:
        for number, (name, path) in enumerate(files):
            try:
                results.append(Result(name, detector.detect(path)))
            except InputError as error:
                message = str(error).replace(str(path), name)
                console.print(f"skipped: {message}", highlight=False, markup=False)
                results.append(Result(name, error=message))
            if len(files) > 1:
                progress(number + 1, len(files))
    return results


def _write(options: argparse.Namespace, results: Sequence["Result"], detector: "Detector") -> None:
    from fakesound.files import write_whole
    from fakesound.inference import writing

    texts = {
        options.json: lambda: writing.to_json(results, options.frames),
        options.csv: lambda: writing.to_csv(results),
        options.rttm: lambda: writing.to_rttm(results),
    }
    for place, text in texts.items():
        if place == "-":
            sys.stdout.write(text())
        elif place is not None:
            write_whole(Path(place), text())
    if options.audacity is not None:
        single = len(results) == 1
        for result in results:
            if result.detection is None:
                continue
            name = Path(result.path).stem if result.path != "-" else "standard_input"
            place = options.audacity if single else options.audacity / f"{name}.txt"
            write_whole(place, writing.to_audacity(result.detection))
    if options.html is not None:
        # only here: it imports matplotlib
        from fakesound.inference.page import write_page

        with progress_bar("drawing") as progress:
            own = options.checkpoint != "default"
            model = options.checkpoint if own else "the one that comes with fakesound"
            write_page(results, options.html, detector.frame_threshold, model, progress)
        console.print(f"page: {options.html}")


def _print_table(results: Sequence["Result"]) -> None:
    table = Table(
        "recording", "verdict", "score", "fake parts, seconds", "most similar to", box=None
    )
    for result in results:
        found = result.detection
        if found is None:
            table.add_row(result.path, "[dim]not read", "", "", "")
            continue
        spans = [f"{r.onset:.2f}-{r.offset:.2f}" for r in found.regions[:SPANS]]
        more = len(found.regions) - SPANS
        regions = ", ".join(spans) + (f" and {more} more" if more > 0 else "")
        colour = COLOURS[found.verdict]
        table.add_row(
            result.path,
            f"[{colour}]{found.verdict}",
            f"{found.score:.2f}",
            regions,
            found.attack_family or "",
        )
    console.print(table)


def _watch(options: argparse.Namespace, detector: "Detector", results: list["Result"]) -> None:
    """Detect new files in the folders until the program is stopped."""
    console.print("watching; stop with Ctrl-C")
    known = {result.path for result in results}
    for path in _arrivals(options.recordings, known):
        fresh = _detect(detector, [(str(path), path)])
        results += fresh
        _print_table(fresh)
        _write(options, results, detector)


def _arrivals(folders: Sequence[str], known: set[str]) -> Iterator[Path]:
    """Yield new files once their size no longer changes."""
    from fakesound.data.audio import audio_files

    sizes: dict[str, int] = {}
    while True:
        time.sleep(EVERY)
        for path in (path for folder in folders for path in audio_files(Path(folder))):
            if str(path) in known:
                continue
            try:
                size = path.stat().st_size
            except OSError:  # gone again
                continue
            if size and sizes.get(str(path)) == size:
                known.add(str(path))
                yield path
            sizes[str(path)] = size


def _check(options: argparse.Namespace) -> None:
    if not 0.5 <= options.confidence < 1:
        raise InputError(f"--confidence={options.confidence}: must be from 0.5 to below 1")
    for name in options.recordings:
        if options.watch and not Path(name).is_dir():
            raise InputError(f"--watch: {name} is not a folder; name folders only")
    folders = any(Path(name).is_dir() for name in options.recordings)
    several = folders or len(options.recordings) > 1
    if options.audacity is not None and several and options.audacity.is_file():
        raise InputError(
            f"--audacity={options.audacity}: is a file; name a folder for several recordings"
        )
    for key in ("html", "json", "csv", "rttm"):
        place = getattr(options, key)
        if place not in (None, "-") and Path(place).is_dir():
            raise InputError(f"--{key}={place}: is a folder; name a file")
    if [options.json, options.csv, options.rttm].count("-") > 1:
        raise InputError("--json, --csv, --rttm: only one of them can go to standard output")


def _parser() -> argparse.ArgumentParser:
    parser = command_line.parser("detect", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "recordings", nargs="+", metavar="FILE|FOLDER|-", help="audio, folders of it, or stdin"
    )
    parser.add_argument(
        "--checkpoint", default="default", metavar="PATH", help="a detector of your own"
    )
    parser.add_argument(
        "--confidence",
        type=float,
        default=0.6,
        help="lowest probability of a certain verdict (0.6)",
    )
    parser.add_argument("--json", metavar="FILE", help="all results as JSON; - for stdout")
    parser.add_argument("--frames", action="store_true", help="scores of all frames in the JSON")
    parser.add_argument("--csv", metavar="FILE", help="one row a recording; - for stdout")
    parser.add_argument("--rttm", metavar="FILE", help="regions as RTTM; - for stdout")
    parser.add_argument(
        "--audacity", type=Path, metavar="FILE|FOLDER", help="regions as label tracks"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="a page to look at and listen to")
    parser.add_argument(
        "--watch", action="store_true", help="also detect files that arrive in the folders"
    )
    parser.add_argument(
        "--exit-code", action="store_true", help="exit with 3 if a recording is fake"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps (cpu)")
    return parser


if __name__ == "__main__":
    main()
