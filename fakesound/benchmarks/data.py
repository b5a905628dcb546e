"""Data at scale: opening a manifest of a million clips, and crops out of shards and out of files.

Crops are read in an order at random, as training reads them, from the disk that holds them; after
the first round the clips are in the memory of the operating system, on both sides alike.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from torch.utils.data import DataLoader, Dataset

from fakesound.benchmarks.records import Record
from fakesound.benchmarks.timing import in_turn, timed
from fakesound.data.audio import write_wav
from fakesound.data.compose import Pcm
from fakesound.data.dataset import read_clip
from fakesound.data.manifest import Clip, read_manifest
from fakesound.data.places import HEADER
from fakesound.data.shards import write_shards
from fakesound.progress import progress_bar
from fakesound.timeline import Region

RATE = 16_000
CROP_SECONDS = 2
BATCH = 32
SHARD_BYTES = 2**24
FAKES = 3  # of each genuine clip
ATTACKS = ("edit/splice", "vocoder/world", "codec/opus")
IN_A_SHARD, LONGEST = 2_000, 2**17

# of the process itself: what getrusage tells includes the process that started it
_OPEN = """
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


@dataclass(frozen=True)
class DataSizes:
    """What is measured.

    Attributes:
        rows: of the manifest.
        clips: to read crops of.
        seconds: of a clip.
        workers: numbers of processes that read crops.
    """

    rows: int
    clips: int
    seconds: int
    workers: tuple[int, ...]


def bench_data(sizes: DataSizes, rounds: int, folder: Path | None) -> list[Record]:
    """Return the records of opening a manifest, and of crops from files and from shards.

    Args:
        sizes: of all.
        rounds: of each, medians of which are taken.
        folder: on the disk to measure; where temporary files are by default.
    """
    with tempfile.TemporaryDirectory(dir=folder) as made, progress_bar("timing") as bar:
        total = rounds + 2 * (rounds + 1) * len(sizes.workers)
        done = 0

        def step() -> None:
            nonlocal done
            done += 1
            bar(done, total)

        records = [_manifest(sizes.rows, rounds, Path(made) / "large", step)]
        return records + _crops(sizes, rounds, Path(made), step)


def _manifest(rows: int, rounds: int, folder: Path, step: Callable[[], None]) -> Record:
    path = write_large(rows, folder)
    found = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", _OPEN, str(path)], capture_output=True, text=True, check=True
        )
        count, seconds, busy, peak = done.stdout.split()
        assert int(count) == rows
        found.append((float(seconds), float(busy), int(peak)))
        step()
    peak_kib = max(peak for *_, peak in found)
    return Record(
        what="data manifest",
        backend="manifest",
        direction="read",
        B=rows,
        L=0,
        E=0,
        N=0,
        seconds=median(seconds for seconds, *_ in found),
        peak_bytes=2**10 * peak_kib if peak_kib > 0 else None,
        extra=_extra(min(seconds for seconds, *_ in found), None, None, rounds)
        # what it takes of a processor, whatever else the machine does
        | {"processor_seconds": median(busy for _, busy, _ in found)},
    )


def write_large(rows: int, folder: Path) -> Path:
    """Write a manifest of so many ``rows`` into shards that are there but hold nothing."""
    shards = folder / "shards"
    shards.mkdir(parents=True)
    for number in range(-(-rows // IN_A_SHARD)):
        with (shards / f"{number:05}.tar").open("wb") as file:
            file.truncate(IN_A_SHARD * LONGEST)  # takes no room on the disk
    path = folder / "manifest.jsonl"
    with path.open("w") as lines:
        for number in range(rows):
            lines.write(json.dumps(_large_row(number)) + "\n")
    return path


def _large_row(number: int) -> dict[str, object]:
    genuine = number - number % (FAKES + 1)
    fake, place = number != genuine, number % IN_A_SHARD
    offset = place * LONGEST + HEADER
    row: dict[str, object] = {
        "clip_id": f"clip-{number:08}",
        "path": f"shards/{number // IN_A_SHARD:05}.tar::{number:08}.flac@{offset}+{40_000 + place}",
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


class _Crops(Dataset[Pcm]):
    """A crop of each clip, at a place of its own, in an order at random."""

    def __init__(self, clips: list[Clip], seconds: int) -> None:
        rng = np.random.default_rng(0)
        self.clips = [clips[index] for index in rng.permutation(len(clips))]
        self.samples = min(CROP_SECONDS, seconds) * RATE
        self.starts = rng.integers(0, seconds * RATE - self.samples + 1, len(clips)).tolist()

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Pcm:
        return read_clip(self.clips[index], RATE, self.starts[index], self.samples)


def _crops(sizes: DataSizes, rounds: int, folder: Path, step: Callable[[], None]) -> list[Record]:
    rng, clips = np.random.default_rng(0), []
    for number in range(sizes.clips):
        path = folder / "files" / f"{number:06}.wav"
        pcm = rng.integers(-9_000, 9_000, sizes.seconds * RATE, dtype=np.int16)
        write_wav(path, pcm, RATE)
        regions = (Region(0.0, float(sizes.seconds)),)
        clips.append(
            Clip(path.stem, path, path.stem, "fake", "x/y", regions, sizes.seconds, RATE, "made")
        )
    write_shards(clips, folder / "sharded", SHARD_BYTES)
    crops = {
        "files": _Crops(clips, sizes.seconds),
        "shards": _Crops(read_manifest(folder / "sharded" / "manifest.jsonl"), sizes.seconds),
    }
    cases = [(backend, workers) for workers in sizes.workers for backend in crops]
    calls = {case: _pass(crops[case[0]], case[1]) for case in cases}
    for case in cases:  # a first round, not counted
        calls[case]()
        step()
    found: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
    for _, case in in_turn(cases, rounds):
        found[case].append(timed(calls[case], perf_counter))
        step()
    return [
        Record(
            what="data crops",
            backend=backend,
            direction="read",
            B=sizes.clips,
            L=crops[backend].samples,
            E=0,
            N=0,
            seconds=median(found[backend, workers]),
            extra=_extra(
                min(found[backend, workers]),
                workers,
                median(found[backend, workers]) / median(found["files", workers]),
                rounds,
            ),
        )
        for backend, workers in cases
    ]


def _pass(crops: _Crops, workers: int) -> Callable[[], None]:
    # the workers stay, as in training, so that their start is not measured
    loader = DataLoader(
        crops, BATCH, num_workers=workers, collate_fn=len, persistent_workers=workers > 0
    )

    def read() -> None:
        assert sum(loader) == len(crops)

    return read


def _extra(best: float, workers: int | None, ratio: float | None, rounds: int) -> dict[str, object]:
    return {
        "seconds_min": best,
        "workers": workers,
        "ratio": ratio,
        "rounds": rounds,
        "dtype": "int16",
    }
