"""Time `fakesound detect` with the bundled detector on noise of several lengths.

Each measurement runs a separate command, with the start of Python. "s CPU" is the processor time of
all its threads. With --against, another checkout of the repository is timed in turn.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import soundfile

from benchmarks.common import (
    CommandCost,
    command_record,
    make_parser,
    measure_command,
    method_of,
    numbers,
    progress,
    report,
)
from fakesound.command_line import guarded
from fakesound.timeline import GRID

RATE = 16_000
OURS, OTHER = "this", "other"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this script."""
    parser = make_parser(__doc__ or "", 3)
    parser.add_argument(
        "--lengths",
        type=numbers(),
        default="3,300,1200",
        metavar="S,S",
        help="seconds of the recordings (3,300,1200)",
    )
    parser.add_argument(
        "--against", type=Path, metavar="FOLDER", help="another checkout of the repository"
    )
    return parser


def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_args()
    checkouts: dict[str, Path | None] = {OURS: None}
    if options.against is not None:
        checkouts[OTHER] = options.against.resolve()
    records = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.wav"
        for length in options.lengths:
            noise = np.random.default_rng(0).normal(0, 0.1, length * RATE).clip(-1, 1)
            soundfile.write(path, noise, RATE)
            command = ("detect", str(path), "--csv", str(Path(folder) / "table.csv"))
            costs: dict[str, list[CommandCost]] = {name: [] for name in checkouts}
            for _ in progress(range(method_of(options).rounds)):
                for name, checkout in checkouts.items():
                    costs[name].append(measure_command(*command, checkout=checkout))
            for name, rounds in costs.items():
                record = command_record("detection", name, 1, GRID.count(length), rounds)
                ratio = record["seconds"] / median(cost.seconds for cost in costs[OURS])
                speed = length / record["seconds"]
                records.append(record | {"length": length, "speed": speed, "ratio": ratio})
    columns = {
        "checkout": "backend",
        "seconds of audio": "length",
        "ms": "seconds",
        "x this": "ratio",
        "s CPU": "processor_seconds",
        "x real time": "speed",
        "MiB": "peak_bytes",
    }
    report(options, records, columns)


if __name__ == "__main__":
    guarded(main)
