"""Progress in a file: occasional lines instead of a bar."""

import io

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
    assert written.getvalue().splitlines() == ["reading: 2 of 10", "reading: 4"]
