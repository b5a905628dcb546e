"""Run forge jobs in parallel, with a journal from which a killed forge resumes."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakesound.data.location import parse_location
from fakesound.data.manifest import Clip, clip_row, read_rows
from fakesound.errors import InputError, OutsideError
from fakesound.files import Journal, clear_remains
from fakesound.forging.plan import Job
from fakesound.forging.work import UnusableError, do_job, inherit
from fakesound.processes import one_thread_each, process_pool
from fakesound.progress import console

JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class Forged:
    """Results of the jobs.

    Attributes:
        clips: Rows of all usable results, in the order of the jobs.
        left_out: Reason for each job without a result, by clip id.
        seconds: Length of the audio written by this call, in seconds.
    """

    clips: list[Clip]
    left_out: dict[str, str]
    seconds: float


def forge(
    jobs: Sequence[Job],
    folder: Path,
    rate: int,
    workers: int | None = None,
    on_bad_audio: str = "error",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Forged:
    """Return the clips of ``jobs``; those that are not in ``folder`` yet are made.

    Every finished job is one line of ``folder/journal.jsonl``, so that a killed forge resumes;
    audio is written whole or not at all. ``progress(done, total)`` is called after each job.

    Raises:
        InputError: for the first recording that cannot be used, unless ``on_bad_audio`` is "skip".
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = _known(jobs, folder)
    twins = [job for job in jobs if job.attack is None and job.clip_id not in known]
    fakes = [job for job in jobs if job.attack is not None and job.clip_id not in known]
    total, done, seconds = len(twins) + len(fakes), 0, 0.0
    if total:
        clear_remains(folder)
        journal = Journal(folder / JOURNAL)
        with _Crew(workers or os.cpu_count() or 1) as crew:
            for stage in (twins, fakes):
                ready = [job for job in stage if not _twin_left_out(job, known)]
                if len(ready) < len(stage):
                    done += len(stage) - len(ready)
                    progress(done, total)
                for job, result in _work(crew, ready, folder, rate):
                    if isinstance(result, InputError) and on_bad_audio == "error":
                        raise InputError(f"{result}, or set data.on_bad_audio=skip")
                    known[job.clip_id] = result if isinstance(result, Clip) else str(result)
                    if not isinstance(result, InputError):  # the user may fix a bad file
                        journal.append(_row(job, result, folder))
                    seconds += result.duration if isinstance(result, Clip) else 0.0
                    done += 1
                    progress(done, total)
    found = [(job.clip_id, known.get(job.clip_id, "its twin is left out")) for job in jobs]
    return Forged(
        clips=[result for _, result in found if isinstance(result, Clip)],
        left_out={clip_id: result for clip_id, result in found if isinstance(result, str)},
        seconds=seconds,
    )


class _Crew:
    """Worker processes, which are replaced when they are killed."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def __enter__(self) -> "_Crew":
        self.open = ExitStack()
        self.open.enter_context(one_thread_each())
        self.pool = self.open.enter_context(process_pool(self.workers))
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)
        self.open.close()

    def renew(self) -> None:
        """Start new processes."""
        self.__exit__()
        self.__enter__()


def _work(
    crew: _Crew, jobs: Sequence[Job], folder: Path, rate: int
) -> Iterator[tuple[Job, Clip | UnusableError | InputError]]:
    """Yield each job with its result, in the order in which they finish.

    If a worker is killed, new ones continue, as long as any job gets done.

    Raises:
        OutsideError: if workers are killed again and again.
    """
    left = {job.clip_id: job for job in jobs}
    while left:
        before = len(left)
        waiting: dict[Future[Clip | UnusableError | InputError], str] = {
            crew.pool.submit(_attempt, job, folder, rate): name for name, job in left.items()
        }
        try:
            while waiting:
                finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
                # finished results count, also if another job failed
                for future in sorted(finished, key=lambda each: each.exception() is not None):
                    result = future.result()
                    yield left.pop(waiting.pop(future)), result
        except BrokenProcessPool:
            if len(left) == before:
                raise OutsideError(
                    f"{folder}: the worker processes are killed again and again; if memory ran "
                    "out, use fewer (data.forge_workers or --workers); a new start resumes"
                ) from None
            console.print("a worker process was killed; its jobs are repeated")
            crew.renew()


def _attempt(job: Job, folder: Path, rate: int) -> Clip | UnusableError | InputError:
    try:
        return do_job(job, folder, rate)
    except (UnusableError, InputError) as error:
        return error


def _twin_left_out(job: Job, known: dict[str, Clip | str]) -> bool:
    needed = [job.twin_id] if job.donor_id is None else [job.twin_id, job.donor_id]
    return job.attack is not None and any(not isinstance(known.get(i), Clip) for i in needed)


def _row(job: Job, result: Clip | Exception, folder: Path) -> dict[str, Any]:
    if isinstance(result, Clip):
        return clip_row(result, folder)
    return {"clip_id": job.clip_id, "left_out": str(result)}


def _known(jobs: Sequence[Job], folder: Path) -> dict[str, Clip | str]:
    """Return the results of ``jobs`` in the journal, with splits and the like as they are now.

    Added or removed recordings may have moved others to another split, and may have given a fake
    another donor: such a fake is made again.
    """
    journal = _read_journal(folder)
    known: dict[str, Clip | str] = {}
    for job in jobs:
        found = journal.get(job.clip_id)
        if isinstance(found, Clip):
            if found.donor_ids == ((job.donor_source,) if job.donor_source else ()):
                known[job.clip_id] = inherit(found, job.genuine)
        elif found is not None and job.donor_id is None:
            known[job.clip_id] = found
    return known


def _read_journal(folder: Path) -> dict[str, Clip | str]:
    path = folder / JOURNAL
    rows = [row for _, row in Journal(path).entries() if row is not None]
    known: dict[str, Clip | str] = {}
    for row in rows:
        if "left_out" in row:
            known[row["clip_id"]] = row["left_out"]
    for clip in read_rows([row for row in rows if "left_out" not in row], folder, str(path)):
        if parse_location(clip.location).is_file():
            known[clip.clip_id] = clip
    return known
