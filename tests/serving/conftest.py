"""A server of the default detector with small limits, in another process."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
EXAMPLE = Path(__file__).parents[2] / "docs" / "example.flac"


@pytest.fixture(scope="session")
def server():
    """Return address, port and process id of a server."""
    command = [sys.executable, "-u", "-m", "fakesound.serve", "--port", "0"]
    limits = ["--max-megabytes", "1", "--max-minutes", "0.1", "--max-waiting", "3"]
    with subprocess.Popen(
        [*command, *limits], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            lines = []
            for line in process.stdout:
                lines.append(line)
                if result := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
                    break
            else:
                pytest.fail("".join(lines))
            port = int(result[1])
            yield SimpleNamespace(
                url=f"http://127.0.0.1:{port}", port=port, pid=process.pid, process=process
            )
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def example() -> bytes:
    """Return a recording of three seconds in which two parts are fake."""
    return EXAMPLE.read_bytes()
