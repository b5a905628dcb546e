"""Progress in a file: occasional lines instead of a bar."""

import io
import re

import pytest
from rich.console import Console

from fakesound import progress


@pytest.fixture
def written(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=file, width=100))
    return file


def test_a_short_task_writes_nothing_to_a_file(written):
    with progress.progress_bar("reading") as update:
        for done in range(10):
            update(done, 10)
    assert written.getvalue() == ""


def test_a_long_task_writes_lines_to_a_file(written, monkeypatch):
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(progress, "monotonic", lambda: next(clock))
    with progress.progress_bar("reading") as update:
        for done in range(1, 5):
            update(done, 10 if done < 4 else None)
    assert written.getvalue().splitlines() == ["reading: 2 of 10, 5 min left", "reading: 4"]


def test_printed_and_logged_lines_are_in_the_log_with_their_time(written, tmp_path):
    path = tmp_path / "run.log"
    with progress.log_file(path):
        progress.print_line("printed [0.1, 0.2]", progress.console)
        progress.log.info("logged")
    progress.print_line("after", progress.console)
    lines = path.read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["printed [0.1, 0.2]", "logged"]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines)
    assert written.getvalue().splitlines() == ["printed [0.1, 0.2]", "after"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3, "3 s"), (99, "99 s"), (200, "3 min"), (5_900, "98 min"), (7200, "2.0 h")],
)
def test_durations_have_a_fitting_unit(seconds, text):
    assert progress.duration_text(seconds) == text
