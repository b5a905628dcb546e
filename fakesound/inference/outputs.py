"""Write the results of `detect`: the table on stdout, and the output files."""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Column, Table
from rich.text import Text

from fakesound.command_line import FULL, print_results
from fakesound.errors import InputError, shown
from fakesound.files import check_folder, check_outputs, write_whole
from fakesound.inference import formats
from fakesound.progress import print_line, progress_bar
from fakesound.scoring.decision import score_text

if TYPE_CHECKING:
    from fakesound.inference.detector import Detector
    from fakesound.inference.formats import Result

SPANS = 4  # listed regions per recording, and listed recordings per note
COLOURS = {"fake": "bold red", "uncertain": "yellow", "genuine": "green"}


def output_files(options: argparse.Namespace) -> dict[str, Path]:
    """Return the output files by option."""
    keys = ("json", "jsonl", "csv", "rttm", "html")
    paths = {f"--{key}": getattr(options, key) for key in keys}
    return {key: Path(path) for key, path in paths.items() if path not in (None, "-")}


def check_output_paths(options: argparse.Namespace, inputs: Sequence[Path]) -> None:
    """Check that all outputs can be written and are distinct from each other and from ``inputs``.

    Raises:
        InputError: naming the option and the fix.
    """
    outputs = output_files(options)
    folders = options.watch or any(Path(name).is_dir() for name in options.recordings)
    if options.audacity is not None:
        if folders or len(inputs) > 1 or options.audacity.is_dir():
            if options.audacity.is_file():
                path = options.audacity
                raise InputError(f"--audacity={path}: is a file; several recordings need a folder")
            check_folder("--audacity", options.audacity, options.audacity)
        else:
            outputs["--audacity"] = options.audacity
    check_outputs(outputs, inputs)


def write_outputs(
    options: argparse.Namespace, results: Sequence["Result"], detector: "Detector"
) -> None:
    """Write all outputs, even if one of them fails.

    Raises:
        InputError: naming the first output that cannot be written.
        OSError: for a full disk.
    """
    failed: list[tuple[str, OSError]] = []
    for option, write in _writers(options, results, detector).items():
        try:
            write()
        except BrokenPipeError:
            raise
        except OSError as error:
            failed.append((option, error))
    if failed:
        option, first = failed[0]
        if first.errno in FULL:
            first.filename = first.filename or option
            raise first
        raise InputError(f"{option}: cannot be written ({first.strerror}); name another")


def _writers(
    options: argparse.Namespace, results: Sequence["Result"], detector: "Detector"
) -> dict[str, Callable[[], None]]:
    record = detector.record()

    def write(path: str, text: Callable[[], str]) -> None:
        if path == "-":
            sys.stdout.write(text())
            # flushed here, so that a closed pipe raises BrokenPipeError here
            sys.stdout.flush()
        else:
            write_whole(Path(path), text())

    def labels() -> None:
        names = formats.output_names([result.path for result in results])
        for result, name in zip(results, names, strict=True):
            if result.detection is not None:
                path = options.audacity
                if len(results) > 1 or options.audacity.is_dir():
                    path = options.audacity / f"{name}.txt"
                write_whole(path, formats.to_audacity(result.detection))

    def page() -> None:
        # imported here: it imports matplotlib
        from fakesound.inference.page import write_page

        with progress_bar("drawing") as progress:
            write_page(results, options.html, record, progress)
        print_line(f"page: {options.html}")

    texts = {
        "json": lambda: formats.to_json(results, record, options.frames),
        "jsonl": lambda: formats.to_jsonl(results, record, options.frames),
        "csv": lambda: formats.to_csv(results, record),
        "rttm": lambda: formats.to_rttm(results),
    }
    writers: dict[str, Callable[[], None]] = {
        f"--{key}={path}": partial(write, path, text)
        for key, text in texts.items()
        if (path := getattr(options, key)) is not None
    }
    if options.audacity is not None:
        writers[f"--audacity={options.audacity}"] = labels
    if options.html is not None:
        writers[f"--html={options.html}"] = page
    return writers


def print_table(options: argparse.Namespace, results: Sequence["Result"], header: bool) -> None:
    """Print the results on stdout: as a table on a terminal, else as tab-separated values."""
    if "-" in (options.json, options.jsonl, options.csv, options.rttm):
        return
    if not sys.stdout.isatty():
        sys.stdout.write(formats.to_tsv(results, header))
        sys.stdout.flush()
        return
    # long names are wrapped, not shortened: a shortened name does not identify the file
    name_column = Column("recording", overflow="fold")
    table = Table(
        name_column, "verdict", "score", "fake parts, seconds", "most similar to", box=None
    )
    for result in results:
        detection, name = result.detection, Text(shown(result.path))
        if detection is None:
            table.add_row(name, "[dim]not read", "", "", "")
            continue
        spans = [f"{r.onset:.2f}-{r.offset:.2f}" for r in detection.regions[:SPANS]]
        more = len(detection.regions) - SPANS
        regions = ", ".join(spans) + (f" and {more} more" if more > 0 else "")
        if detection.verdict == "fake" and detection.kind == "whole":
            regions = f"all of it; marked: {regions or 'none'}"
        colour = COLOURS[detection.verdict]
        table.add_row(
            name,
            f"[{colour}]{detection.verdict}",
            score_text(detection.score),
            regions,
            detection.similar_to,
        )
    print_results(table)
    names: dict[str, list[str]] = {}
    for result in results:
        for note in result.detection.notes if result.detection else ():
            names.setdefault(note, []).append(shown(result.path))
    for note, paths in names.items():
        where = ", ".join(paths) if len(paths) <= SPANS else f"{len(paths)} recordings"
        print_line(f"{where}: {note}")
