"""Progress: bars on a terminal, occasional lines in a file."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# stderr: results on stdout can be piped
console = Console(stderr=True)
if not console.is_terminal:
    # files have no width; tables are at most this wide
    console = Console(stderr=True, width=100)
LINE_SECONDS = 30
# what is printed as lines; `log_file` writes it to a file
log = logging.getLogger("fakesound.progress")
log.propagate = False
log.setLevel(logging.INFO)
log.addHandler(logging.NullHandler())


class ResultConsole(Console):
    """Console for results on stdout. A closed pipe raises BrokenPipeError, as of `print`."""

    def on_broken_pipe(self) -> None:
        """Raise, where rich would exit with code 1."""
        raise BrokenPipeError


def print_line(line: str, output: Console = console) -> None:
    """Print and log ``line`` as it is: without markup, colours and line breaks."""
    output.print(line, markup=False, highlight=False, soft_wrap=True)
    log.info("%s", line)


@contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Append the lines that are printed or logged to ``path``, with their time."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a function of (done, total) that updates a bar, which appears with the first call.

    None stands for an unknown total. If stderr is not a terminal, it prints a line at most every
    30 seconds.
    """
    if not console.is_terminal:
        yield progress_lines(title)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(title, total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def progress_lines(title: str) -> Callable[[int, int | None], None]:
    """Return a function of (done, total) that prints a line at most every 30 seconds."""
    last = started = monotonic()
    # a resumed training does not begin at 0
    first: int | None = None

    def update(done: int, total: int | None) -> None:
        nonlocal last, first
        first = done if first is None else first
        now = monotonic()
        if now - last < LINE_SECONDS:
            return
        last = now
        line = f"{title}: {done}"
        if total:
            line += f" of {total}"
            if done > first:
                left = (total - done) * (now - started) / (done - first)
                line += f", {duration_text(left)} left"
        print_line(line, console)

    return update


def duration_text(seconds: float) -> str:
    """Return a duration in the largest fitting unit, such as "3 min"."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
