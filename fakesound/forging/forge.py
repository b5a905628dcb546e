"""Run the jobs of the forge in parallel, with a journal to resume from."""

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
class ForgedClips:
    """Results of the jobs.

    Attributes:
        clips: rows of all usable results, in the order of the jobs.
        left_out: reason for each job without a result, by clip id.
        seconds: seconds of audio that this call wrote.
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
) -> ForgedClips:
    """Make the clips of ``jobs`` that ``folder`` does not hold yet, and return all of them.

    Every finished job is a line of ``folder/journal.jsonl``, so that a killed forge resumes; audio
    is written atomically. ``progress(done, total)`` is called after each job.

    Raises:
        InputError: for the first unusable recording, unless ``on_bad_audio`` is "skip".
    """
    folder.mkdir(parents=True, exist_ok=True)
    results = _known_results(jobs, folder)
    twins = [job for job in jobs if job.attack is None and job.clip_id not in results]
    fakes = [job for job in jobs if job.attack is not None and job.clip_id not in results]
    total, done, seconds = len(twins) + len(fakes), 0, 0.0
    if total:
        clear_remains(folder)
        journal = Journal(folder / JOURNAL)
        with _Workers(workers or os.cpu_count() or 1) as pool:
            for stage in (twins, fakes):
                ready = [job for job in stage if not _input_left_out(job, results)]
                if len(ready) < len(stage):
                    done += len(stage) - len(ready)
                    progress(done, total)
                for job, result in _run_jobs(pool, ready, folder, rate):
                    if isinstance(result, InputError) and on_bad_audio == "error":
                        raise InputError(f"{result}, or set data.on_bad_audio=skip")
                    results[job.clip_id] = result if isinstance(result, Clip) else str(result)
                    if not isinstance(result, InputError):  # the user may fix a bad file
                        journal.append(_row(job, result, folder))
                    seconds += result.duration if isinstance(result, Clip) else 0.0
                    done += 1
                    progress(done, total)
    all_results = [(job.clip_id, results.get(job.clip_id, "its twin is left out")) for job in jobs]
    return ForgedClips(
        clips=[result for _, result in all_results if isinstance(result, Clip)],
        left_out={clip_id: result for clip_id, result in all_results if isinstance(result, str)},
        seconds=seconds,
    )


class _Workers:
    """Worker processes that can be replaced when they are killed."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def __enter__(self) -> "_Workers":
        self.stack = ExitStack()
        self.stack.enter_context(one_thread_each())
        self.pool = self.stack.enter_context(process_pool(self.workers))
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)
        self.stack.close()

    def restart(self) -> None:
        """Start new processes."""
        self.__exit__()
        self.__enter__()


def _run_jobs(
    workers: _Workers, jobs: Sequence[Job], folder: Path, rate: int
) -> Iterator[tuple[Job, Clip | UnusableError | InputError]]:
    """Yield each job with its result, in the order in which they finish.

    If a worker is killed, new ones continue, as long as at least one job was finished before.

    Raises:
        OutsideError: if workers are killed repeatedly.
    """
    unfinished = {job.clip_id: job for job in jobs}
    while unfinished:
        before = len(unfinished)
        waiting: dict[Future[Clip | UnusableError | InputError], str] = {
            workers.pool.submit(_attempt, job, folder, rate): name
            for name, job in unfinished.items()
        }
        try:
            while waiting:
                finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
                # results come before errors, so that none is lost
                for future in sorted(finished, key=lambda each: each.exception() is not None):
                    result = future.result()
                    yield unfinished.pop(waiting.pop(future)), result
        except BrokenProcessPool:
            if len(unfinished) == before:
                raise OutsideError(
                    f"{folder}: worker processes were killed repeatedly; if memory ran out, use "
                    "fewer (data.forge_workers or --workers); the same command resumes"
                ) from None
            console.print("a worker process was killed; its jobs are repeated")
            workers.restart()


def _attempt(job: Job, folder: Path, rate: int) -> Clip | UnusableError | InputError:
    try:
        return do_job(job, folder, rate)
    except (UnusableError, InputError) as error:
        return error


def _input_left_out(job: Job, results: dict[str, Clip | str]) -> bool:
    needed = [job.twin_id] if job.donor_id is None else [job.twin_id, job.donor_id]
    return job.attack is not None and any(not isinstance(results.get(i), Clip) for i in needed)


def _row(job: Job, result: Clip | Exception, folder: Path) -> dict[str, Any]:
    if isinstance(result, Clip):
        return clip_row(result, folder)
    return {"clip_id": job.clip_id, "left_out": str(result)}


def _known_results(jobs: Sequence[Job], folder: Path) -> dict[str, Clip | str]:
    """Return the results of ``jobs`` in the journal, with the current splits and labels.

    Added or removed recordings may have moved others to another split, or changed the donor of a
    fake; such a fake is made again.
    """
    journal = _read_journal(folder)
    results: dict[str, Clip | str] = {}
    for job in jobs:
        result = journal.get(job.clip_id)
        if isinstance(result, Clip):
            if result.donor_ids == ((job.donor_source,) if job.donor_source else ()):
                results[job.clip_id] = inherit(result, job.genuine)
        elif result is not None and job.donor_id is None:
            results[job.clip_id] = result
    return results


def _read_journal(folder: Path) -> dict[str, Clip | str]:
    path = folder / JOURNAL
    rows = [row for _, row in Journal(path).entries() if row is not None]
    results: dict[str, Clip | str] = {}
    for row in rows:
        if "left_out" in row:
            results[row["clip_id"]] = row["left_out"]
    for clip in read_rows([row for row in rows if "left_out" not in row], folder, str(path)):
        if parse_location(clip.location).is_file():
            results[clip.clip_id] = clip
    return results
