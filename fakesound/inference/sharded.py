"""Detection in millions of files: shards of files, scored by workers, merged into one file.

A shard is a file of results in ``OUT/shards``, named by the hash of its files and settings. It is
written whole, so the same command continues where an interrupted one ended. Within a shard, the
journal of `fakesound.inference.batch.Finished` keeps what is done when a worker is killed.
"""

import hashlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock

from fakesound import __version__
from fakesound.data.location import Location
from fakesound.errors import InputError, OutsideError, shown
from fakesound.files import atomic_write, clear_remains, lock_folder, write_whole
from fakesound.inference.batch import Finished, detect_files, file_state
from fakesound.inference.detector import Detector
from fakesound.inference.workers import workers_of
from fakesound.inference.writing import to_csv, to_jsonl

FILES = 256  # of a shard
# processes that may be killed while they read one file, or before they read any
ATTEMPTS = 3
SHARDS, LOGS = "shards", "logs"
RESULTS, TABLE = "detections.jsonl", "detections.csv"


@dataclass(frozen=True)
class Settings:
    """What the results depend on beside the files.

    Attributes:
        checkpoint: detector, as `Detector.from_checkpoint` takes it.
        sha256: SHA-256 of its file.
        backend: what computes.
        device: device of torch.
        confidence: lowest probability of a certain verdict.
        prior: share of fakes among the recordings.
        channels: "mix", "each", or the number of a channel, from 1.
        frames: whether the scores of all frames are written.
    """

    checkpoint: str
    sha256: str
    backend: str
    device: str
    confidence: float
    prior: float
    channels: str
    frames: bool


@dataclass(frozen=True)
class Shard:
    """Files that one worker scores.

    Attributes:
        results: JSON Lines of the results; complete if it exists.
        files: names for messages, and where the files are.
    """

    results: Path
    files: tuple[tuple[str, Path | Location], ...]

    @property
    def table(self) -> Path:
        """CSV of the results; complete before ``results`` exists."""
        return self.results.with_suffix(".csv")


class _Row(msgspec.Struct):
    verdict: str | None
    error: str | None


class _Line(msgspec.Struct):
    results: list[_Row]


def detect_in_shards(
    files: Sequence[tuple[str, Path | Location]],
    out: Path,
    settings: Settings,
    workers: str,
    options: Mapping[str, Any],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Counter[str]:
    """Write the results of all files to ``out``, and return the number of each verdict and error.

    Args:
        files: names for messages, and where the files are; workers on other hosts need them there.
        out: folder to write to, seen by all workers.
        settings: detector and options.
        workers: number of local processes, "ray" or "slurm".
        options: arguments of ``ray.init``, or parameters of submitit's executor.
        progress: function called with the number of files done and of all files.

    Raises:
        InputError: for a folder in use, or workers that cannot be started.
        OutsideError: if workers are killed again and again before they read a file.
    """
    gpus = int(settings.device.startswith("cuda"))
    crew = workers_of(workers, options, out / LOGS, gpus)
    lock_folder(out, "--out")
    clear_remains(out)
    shards = plan_shards(files, out, settings)
    left = [shard for shard in shards if not shard.results.exists()]
    done = len(files) - sum(len(shard.files) for shard in left)
    progress(done, len(files))
    deaths = _Deaths()
    with crew:
        pending = dict(
            zip(crew.submit(score_shard, [(s, settings) for s in left]), left, strict=True)
        )
        while pending:
            ended = [each for each in pending if each.done()]
            if not ended:
                time.sleep(crew.pause)
            for each in ended:
                shard = pending.pop(each)
                try:
                    error = each.result()
                except crew.lost as lost:
                    deaths.count(shard, lost)
                    pending[crew.submit(score_shard, [(shard, settings)])[0]] = shard
                    continue
                if error is not None:
                    raise error
                done += len(shard.files)
                progress(done, len(files))
    return merge(shards, out)


def plan_shards(
    files: Sequence[tuple[str, Path | Location]], out: Path, settings: Settings
) -> list[Shard]:
    """Return the shards of ``files``, in order; a file that changed is in a new shard."""
    shards = []
    for first in range(0, len(files), FILES):
        chosen = files[first : first + FILES]
        content = [(__version__, settings), *((name, file_state(path)) for name, path in chosen)]
        digest = hashlib.sha256(repr(content).encode(errors="surrogateescape")).hexdigest()
        # workers may have another working folder
        placed = tuple((n, p.absolute() if isinstance(p, Path) else p) for n, p in chosen)
        shards.append(Shard((out / SHARDS / f"{digest[:24]}.jsonl").absolute(), placed))
    return shards


def score_shard(shard: Shard, settings: Settings) -> InputError | OSError | None:
    """Score the files of a shard, in a worker, and return the error that ended it, if any."""
    try:
        detector = _detector(settings)
        shard.results.parent.mkdir(parents=True, exist_ok=True)
        # a job may outlive the program that submitted it
        with FileLock(shard.results.with_suffix(".lock")):
            if not shard.results.exists():
                finished = Finished(shard.results, repr(settings), ATTEMPTS)
                results = list(detect_files(detector, shard.files, settings.channels, finished))
                record = detector.record()
                write_whole(shard.table, to_csv(results, record))
                write_whole(shard.results, to_jsonl(results, record, settings.frames))
                finished.remove()
    except (InputError, OSError) as error:
        return error
    return None


def merge(shards: Sequence[Shard], out: Path) -> Counter[str]:
    """Write the results of all shards, and return the number of each verdict and of errors."""
    counts: Counter[str] = Counter()
    decode = msgspec.json.Decoder(_Line).decode
    with atomic_write(out / RESULTS) as results, atomic_write(out / TABLE) as table:
        for number, shard in enumerate(shards):
            lines = shard.results.read_bytes()
            results.write(lines)
            # not splitlines: a name may hold any of Unicode's line separators
            for line in lines.split(b"\n")[:-1]:
                counts.update(row.verdict or "error" for row in decode(line).results)
            header, _, rows = shard.table.read_bytes().partition(b"\n")
            table.write(rows if number else header + b"\n" + rows)
    kept = {path for shard in shards for path in (shard.results, shard.table)}
    for path in (out / SHARDS).absolute().iterdir():
        if path not in kept:
            path.unlink(missing_ok=True)
    shutil.rmtree(out / LOGS, ignore_errors=True)
    return counts


class _Deaths:
    """Workers that ended although they had a shard, by shard."""

    def __init__(self) -> None:
        self.seen: dict[Path, tuple[int, int]] = {}

    def count(self, shard: Shard, error: BaseException) -> None:
        """Count one more.

        Raises:
            OutsideError: if several in a row did not even begin another file.
        """
        journal = Finished(shard.results, "").path
        size = journal.stat().st_size if journal.exists() else 0
        before, times = self.seen.get(shard.results, (0, 0))
        times = times + 1 if size == before else 1
        self.seen[shard.results] = size, times
        if times == ATTEMPTS:
            reason = shown((str(error).strip() or type(error).__name__).splitlines()[-1])
            raise OutsideError(
                f"{shard.results}: {ATTEMPTS} workers ended before they read a file ({reason}); "
                "if memory ran out, use fewer --workers; the same command continues"
            )


@lru_cache(maxsize=1)
def _detector(settings: Settings) -> Detector:
    """Return the detector, read once in a process."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    detector = Detector.from_checkpoint(
        settings.checkpoint,
        settings.confidence,
        settings.device,
        backend=settings.backend,
        prior=settings.prior,
    )
    if detector.model.sha256 != settings.sha256:
        raise InputError(
            f"{settings.checkpoint}: changed, or differs between hosts; start the command again"
        )
    return detector
