"""Detect in millions of files: workers score shards of files, which are merged into one file.

The results of a shard are a file in ``OUT/shards``, named by a hash of its files and settings and
written atomically, so that the same command resumes an interrupted one. Within a shard, the journal
of `fakesound.inference.batch.BatchJournal` keeps the results of a worker that is killed.
"""

import hashlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock

from fakesound.data.location import Location, file_state
from fakesound.errors import InputError, OutsideError, shown, unicode_name
from fakesound.files import atomic_write, clear_remains, lock_folder, write_whole
from fakesound.inference.batch import BatchJournal, detect_files, journal_path
from fakesound.inference.detector import Detector
from fakesound.inference.formats import to_csv, to_jsonl
from fakesound.inference.workers import workers_of
from fakesound.provenance import software_version

FILES = 256  # per shard
ATTEMPTS = 3  # crashed processes, for one file or in a row before any file is read
SHARDS, LOGS = "shards", "logs"
RESULTS, TABLE = "detections.jsonl", "detections.csv"


@dataclass(frozen=True)
class Settings:
    """Everything the results depend on besides the files.

    Attributes:
        checkpoint: detector, as for `Detector.from_checkpoint`.
        sha256: SHA-256 of the file of the detector.
        backend: "onnx" or "torch".
        device: torch device.
        confidence: lowest probability of a certain verdict.
        prior: share of fakes among the recordings.
        channels: "mix", "each", or the number of a channel, from 1.
        frames: whether frame scores are written.
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
        results: JSON Lines file of the results; complete if it exists.
        files: name for messages, and path or location, of each file.
    """

    results: Path
    files: tuple[tuple[str, Path | Location], ...]

    @property
    def table(self) -> Path:
        """CSV file of the results; complete if ``results`` exists."""
        return self.results.with_suffix(".csv")


class _Row(msgspec.Struct):
    path: str
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
    """Write the results of all files to ``out``; return the number of each verdict and of errors.

    Args:
        files: name for messages, and path or location, of each file; all workers must see them.
        out: folder to write to; all workers must see it.
        settings: detector and options.
        workers: number of local processes, "ray" or "slurm".
        options: arguments of ``ray.init``, or parameters of submitit's executor.
        progress: function called with the number of finished files and their total.

    Raises:
        InputError: for a folder in use, or workers that cannot be started.
        OutsideError: if workers crash repeatedly before they read a file.
    """
    gpus = int(settings.device.startswith("cuda"))
    crew = workers_of(workers, options, out / LOGS, gpus)
    lock_folder(out, "--out")
    _check_same_batch(files, out)
    clear_remains(out)
    shards = plan_shards(files, out, settings)
    unfinished = [shard for shard in shards if not shard.results.exists()]
    done = len(files) - sum(len(shard.files) for shard in unfinished)
    progress(done, len(files))
    crashes = _Crashes()
    with crew:
        pending = dict(
            zip(
                crew.submit(score_shard, [(s, settings) for s in unfinished]),
                unfinished,
                strict=True,
            )
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
                    crashes.count(shard, lost)
                    pending[crew.submit(score_shard, [(shard, settings)])[0]] = shard
                    continue
                if error is not None:
                    raise error
                done += len(shard.files)
                progress(done, len(files))
    return merge(shards, out)


def _check_same_batch(files: Sequence[tuple[str, Path | Location]], out: Path) -> None:
    """Raise `InputError` if ``out`` holds finished results, none of them of ``files``."""
    if not (out / RESULTS).exists():
        return
    names = {unicode_name(name) for name, _ in files}
    with (out / RESULTS).open("rb") as file:
        decode = msgspec.json.Decoder(_Line).decode
        rows = [row for line in islice(file, FILES) for row in decode(line).results]
    # with --channels each, a name ends with the number of the channel
    if not any({row.path, row.path.rpartition("#")[0]} & names for row in rows):
        raise InputError(f"--out={out}: holds results of other recordings; name another folder")


def plan_shards(
    files: Sequence[tuple[str, Path | Location]], out: Path, settings: Settings
) -> list[Shard]:
    """Divide ``files`` into shards, in order; a changed file gives a new shard."""
    shards = []
    for first in range(0, len(files), FILES):
        part = files[first : first + FILES]
        content = [
            (software_version(), settings),
            *((name, file_state(path)) for name, path in part),
        ]
        digest = hashlib.sha256(repr(content).encode(errors="surrogateescape")).hexdigest()
        # workers may have another working folder
        absolute = tuple((n, p.absolute() if isinstance(p, Path) else p) for n, p in part)
        shards.append(Shard((out / SHARDS / f"{digest[:24]}.jsonl").absolute(), absolute))
    return shards


def score_shard(shard: Shard, settings: Settings) -> InputError | OSError | None:
    """Score the files of a shard in a worker; return the error that stopped it, if any."""
    try:
        detector = _detector(settings)
        shard.results.parent.mkdir(parents=True, exist_ok=True)
        # a job may outlive the program that submitted it
        with FileLock(shard.results.with_suffix(".lock")):
            if not shard.results.exists():
                journal = BatchJournal(shard.results, repr(settings), ATTEMPTS)
                results = list(detect_files(detector, shard.files, settings.channels, journal))
                record = detector.record()
                write_whole(shard.table, to_csv(results, record))
                write_whole(shard.results, to_jsonl(results, record, settings.frames))
                journal.remove()
    except (InputError, OSError) as error:
        return error
    return None


def merge(shards: Sequence[Shard], out: Path) -> Counter[str]:
    """Merge the results of all shards; return the number of each verdict and of errors."""
    counts: Counter[str] = Counter()
    decode = msgspec.json.Decoder(_Line).decode
    with atomic_write(out / RESULTS) as results, atomic_write(out / TABLE) as table:
        for number, shard in enumerate(shards):
            lines = shard.results.read_bytes()
            results.write(lines)
            # not splitlines: a name may contain other line separators of Unicode
            for line in lines.split(b"\n")[:-1]:
                counts.update(row.verdict or "error" for row in decode(line).results)
            header, _, rows = shard.table.read_bytes().partition(b"\n")
            table.write(rows if number else header + b"\n" + rows)
    current = {path for shard in shards for path in (shard.results, shard.table)}
    for path in (out / SHARDS).absolute().iterdir():
        if path not in current:
            path.unlink(missing_ok=True)
    shutil.rmtree(out / LOGS, ignore_errors=True)
    return counts


class _Crashes:
    """Number of workers that crashed, by shard."""

    def __init__(self) -> None:
        self.seen: dict[Path, tuple[int, int]] = {}

    def count(self, shard: Shard, error: BaseException) -> None:
        """Count a crashed worker.

        Raises:
            OutsideError: if several in a row did not start another file.
        """
        journal = journal_path(shard.results)
        size = journal.stat().st_size if journal.exists() else 0
        before, times = self.seen.get(shard.results, (0, 0))
        times = times + 1 if size == before else 1
        self.seen[shard.results] = size, times
        if times == ATTEMPTS:
            reason = shown((str(error).strip() or type(error).__name__).splitlines()[-1])
            raise OutsideError(
                f"{shard.results}: {ATTEMPTS} workers crashed before they read a file ({reason}); "
                "if memory ran out, use fewer --workers; the same command resumes"
            )


@lru_cache(maxsize=1)
def _detector(settings: Settings) -> Detector:
    """Read the detector, once per process."""
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
            f"{settings.checkpoint}: changed, or differs between hosts; run the command again"
        )
    return detector
