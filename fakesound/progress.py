"""Progress bars on the terminal, for anything that takes longer than a second."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# progress and messages go to stderr, so that results on stdout can be piped
console = Console(stderr=True)
if not console.is_terminal:
    # a file has no width; tables fit this one
    console = Console(stderr=True, width=100)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a function of (done, total) that moves a bar; the bar shows with its first call.

    A total of None is unknown.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(title, total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)
