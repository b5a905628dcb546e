"""Time opening a large manifest, and reading crops from single files and from shards.

The manifest is read in a separate process, whose peak memory is measured. Crops are read in random
order, as in training, from the disk of --folder. After the first round the clips are in the page
cache, both as files and as shards. All clips are generated, and removed afterwards.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from torch.utils.data import DataLoader, Dataset

from benchmarks.common import (
    Record,
    at_least,
    interleave,
    make_parser,
    method_of,
    numbers,
    progress,
    report,
)
from fakesound.clip import Clip
from fakesound.command_line import guarded
from fakesound.data.audio import write_wav
from fakesound.data.compose import Pcm
from fakesound.data.dataset import read_clip
from fakesound.data.location import HEADER
from fakesound.data.manifest import read_manifest
from fakesound.data.shards import write_shards
from fakesound.errors import InputError
from fakesound.timeline import Region

RATE = 16_000
CROP_SECONDS = 2
BATCH = 32
SHARD_BYTES = 2**24
FAKES = 3  # for each genuine clip
ATTACKS = ("edit/splice", "vocoder/world", "codec/opus")
CLIPS_PER_SHARD, LONGEST = 2_000, 2**17

# getrusage includes the process that started this one; /proc/self/status does not
OPEN = """
import sys, time
from pathlib import Path
from fakesound.data.manifest import read_manifest
start, busy = time.perf_counter(), time.process_time()
clips = read_manifest(Path(sys.argv[1]))
seconds, busy = time.perf_counter() - start, time.process_time() - busy
try:
    peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
except (OSError, IndexError):
    peak = -1
print(len(clips), seconds, busy, peak)
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this script."""
    parser = make_parser(__doc__ or "", 5)
    parser.add_argument(
        "--rows", type=at_least(1), default=1_000_000, help="rows of the manifest (1,000,000)"
    )
    parser.add_argument(
        "--clips", type=at_least(1), default=400, help="number of clips to read crops from (400)"
    )
    parser.add_argument(
        "--seconds", type=at_least(1), default=6, help="length of a clip in seconds (6)"
    )
    parser.add_argument(
        "--workers",
        type=numbers(0),
        default="0,2",
        metavar="W,W",
        help="numbers of processes that load crops (0,2)",
    )
    parser.add_argument("--folder", type=Path, help="folder on the disk to measure (/tmp)")
    return parser


def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_args()
    if options.folder is not None and not options.folder.is_dir():
        raise InputError(
            f"--folder={options.folder}: no such folder; create it or name another one"
        )
    rounds = method_of(options).rounds
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        records = [bench_manifest(options.rows, rounds, Path(folder) / "large")]
        records += bench_crops(
            options.clips, options.seconds, options.workers, rounds, Path(folder)
        )
    columns = {
        "what": "what",
        "from": "backend",
        "workers": "workers",
        "rows or crops": "B",
        "ms": "seconds",
        "x files": "ratio",
        "MiB": "peak_bytes",
    }
    report(options, records, columns)


def bench_manifest(rows: int, rounds: int, folder: Path) -> Record:
    """Return the record of opening a manifest of ``rows`` rows."""
    path = write_large(rows, folder)
    opened = []
    for _ in progress(range(rounds)):
        done = subprocess.run(
            [sys.executable, "-c", OPEN, str(path)], capture_output=True, text=True, check=True
        )
        count, seconds, busy, peak_kib = done.stdout.split()
        assert int(count) == rows
        opened.append((float(seconds), float(busy), int(peak_kib)))
    durations = [seconds for seconds, _, _ in opened]
    peak = 2**10 * max(peak for _, _, peak in opened)
    record = _record("data manifest", "manifest", rows, 0, durations, rounds)
    # processor time does not depend on other programs
    return record | {
        "peak_bytes": peak if peak > 0 else None,
        "processor_seconds": median(busy for _, busy, _ in opened),
    }


def write_large(rows: int, folder: Path) -> Path:
    """Write a manifest of ``rows`` rows, which refer to empty shards."""
    shards = folder / "shards"
    shards.mkdir(parents=True)
    for number in range(-(-rows // CLIPS_PER_SHARD)):
        with (shards / f"{number:05}.tar").open("wb") as file:
            file.truncate(CLIPS_PER_SHARD * LONGEST)  # sparse
    path = folder / "manifest.jsonl"
    with path.open("w") as lines:
        for number in range(rows):
            lines.write(json.dumps(_large_row(number)) + "\n")
    return path


def _large_row(number: int) -> dict[str, object]:
    genuine = number - number % (FAKES + 1)
    fake, place = number != genuine, number % CLIPS_PER_SHARD
    offset = place * LONGEST + HEADER
    shard = f"shards/{number // CLIPS_PER_SHARD:05}.tar"
    row: dict[str, object] = {
        "clip_id": f"clip-{number:08}",
        "path": f"{shard}::{number:08}.flac@{offset}+{40_000 + place}",
        "source_id": f"speaker{number // 400}/take{genuine}",
        "label": "fake" if fake else "genuine",
        "attack": ATTACKS[number % 3] if fake else None,
        "regions": [[0.5, 1.25], [2.0, 2.2]][: 1 + number % 2] if fake else [],
        "duration": 4 + place / 1_000,
        "sample_rate": RATE,
        "corpus": "large",
        "split": ("train", "validation", "test")[number // 400 % 3],
    }
    return row | ({"twin_id": f"clip-{genuine:08}"} if fake else {})


class Crops(Dataset[Pcm]):
    """One crop of each clip, from a random position, in random order."""

    def __init__(self, clips: list[Clip], seconds: int) -> None:
        rng = np.random.default_rng(0)
        self.clips = [clips[index] for index in rng.permutation(len(clips))]
        self.samples = min(CROP_SECONDS, seconds) * RATE
        self.starts = rng.integers(0, seconds * RATE - self.samples + 1, len(clips)).tolist()

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Pcm:
        return read_clip(self.clips[index], RATE, self.starts[index], self.samples)


def bench_crops(
    count: int, seconds: int, workers: Sequence[int], rounds: int, folder: Path
) -> list[Record]:
    """Return the records of reading crops from files and from shards, by number of workers."""
    rng, clips = np.random.default_rng(0), []
    for number in range(count):
        path = folder / "files" / f"{number:06}.wav"
        write_wav(path, rng.integers(-9_000, 9_000, seconds * RATE, dtype=np.int16), RATE)
        regions = (Region(0.0, float(seconds)),)
        clips.append(
            Clip(
                path.stem, str(path), path.stem, "fake", "x/y", regions, seconds, RATE, "generated"
            )
        )
    write_shards(clips, folder / "sharded", SHARD_BYTES)
    crops = {
        "files": Crops(clips, seconds),
        "shards": Crops(read_manifest(folder / "sharded" / "manifest.jsonl"), seconds),
    }
    cases = [(backend, number) for number in workers for backend in crops]
    timings = interleave(
        {case: _pass(crops[case[0]], case[1]) for case in cases}, rounds, perf_counter
    )
    records = []
    for backend, number in cases:
        timing, files = timings[backend, number], timings["files", number]
        record = _record(
            "data crops", backend, count, crops[backend].samples, timing.rounds, rounds
        )
        records.append(record | {"workers": number, "ratio": timing.seconds / files.seconds})
    return records


def _pass(crops: Crops, workers: int) -> Callable[[], None]:
    # workers stay, as in training, so that their start is not timed
    loader = DataLoader(
        crops, BATCH, num_workers=workers, collate_fn=len, persistent_workers=workers > 0
    )

    def read() -> None:
        assert sum(loader) == len(crops)

    return read


def _record(
    what: str, backend: str, count: int, samples: int, seconds: Sequence[float], rounds: int
) -> Record:
    return {
        "what": what,
        "backend": backend,
        "direction": "read",
        **{"B": count, "L": samples, "E": 0, "N": 0},
        "seconds": median(seconds),
        "peak_bytes": None,
        "first_call_seconds": None,
        "seconds_min": min(seconds),
        "workers": None,
        "ratio": None,
        "rounds": rounds,
        "dtype": "int16",
    }


if __name__ == "__main__":
    guarded(main)
