"""Progress: bars on a terminal, occasional lines in a file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# stderr: results on stdout can be piped
console = Console(stderr=True)
if not console.is_terminal:
    # files have no width; tables are at most this wide
    console = Console(stderr=True, width=100)
LINE_SECONDS = 30


class ResultConsole(Console):
    """Console for results on stdout. A closed pipe raises BrokenPipeError, as of `print`."""

    def on_broken_pipe(self) -> None:
        """Raise, where rich would exit with code 1."""
        raise BrokenPipeError


def print_line(line: str, output: Console = console) -> None:
    """Print ``line`` as it is: without markup, colours and line breaks."""
    output.print(line, markup=False, highlight=False, soft_wrap=True)


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
    last = monotonic()

    def update(done: int, total: int | None) -> None:
        nonlocal last
        now = monotonic()
        if now - last >= LINE_SECONDS:
            last = now
            print_line(f"{title}: {done}" + (f" of {total}" if total else ""), console)

    return update
