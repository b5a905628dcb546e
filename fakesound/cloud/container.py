"""Entry point of a SageMaker training container: one run, with the arguments of `fakesound.run`.

    python -m fakesound.cloud.container key=value ...

Recordings and weights in S3 are downloaded first. ``resume=auto`` resumes the run in the folder
that SageMaker restores. The reason of a failure is written to a file that SageMaker shows.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from fakesound.command_line import guarded
from fakesound.errors import InputError

ROOT = Path("/opt/ml")
# length of the reason of a failure that SageMaker shows
LONGEST_REASON = 1024
LAST_LINES = 40
# keys whose data must be local; manifests and shards are read from S3 directly
LOCAL_KEYS = ("data.root", "data.extra", "init.path")


def main() -> None:
    """Run from the command line; ``--root FOLDER`` replaces /opt/ml, for tests."""
    arguments = sys.argv[1:]
    root = ROOT
    if arguments[:1] == ["--root"]:
        root, arguments = Path(arguments[1]), arguments[2:]
    guarded(lambda: sys.exit(run(arguments, root)))


def run(arguments: Sequence[str], root: Path) -> int:
    """Do the run and return its exit code; write the reason of a failure under ``root``."""
    try:
        code, reason = _run([with_local_data(word) for word in arguments], root / "checkpoints")
    except InputError as error:
        _write_failure(root, f"error: {error}")
        raise
    if reason is not None:
        _write_failure(root, reason)
    return code


def _run(arguments: Sequence[str], checkpoints: Path) -> tuple[int, str | None]:
    if not os.access(checkpoints, os.W_OK):
        raise InputError(
            f"{checkpoints}: cannot be written by this user; build the image with --build-arg "
            "RUN_AS=root"
        )
    # forged clips are made again after an interruption, which is faster than restoring them
    prepared = f"data.prepared={Path(tempfile.gettempdir(), 'fakesound', 'prepared')}"
    command = [sys.executable, "-m", "fakesound.run", *arguments, prepared]
    stopped: list[int] = []
    last: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:

        def stop(number: int, _: object) -> None:
            # SageMaker sends SIGTERM when it withdraws the machine or a user stops the job
            stopped.append(number)
            process.send_signal(number)

        signal.signal(signal.SIGTERM, stop)
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
            last.append(line.decode(errors="replace").rstrip())
    # like a shell, report a signal as 128 and its number
    code = 128 - process.returncode if process.returncode < 0 else process.returncode
    if stopped:
        # an orderly end, but the run may not be complete
        return code or 128 + signal.SIGTERM, None
    errors = [line for line in last if line.startswith("error: ")]
    return code, None if code == 0 else errors[-1] if errors else "\n".join(last)


def with_local_data(argument: str) -> str:
    """Download the recordings or weights in ``argument`` and return it with their local paths.

    >>> with_local_data("data.manifest=s3://bucket/manifest.jsonl")
    'data.manifest=s3://bucket/manifest.jsonl'
    """
    if argument.partition("=")[0].lstrip("+") not in LOCAL_KEYS:
        return argument
    return re.sub(r"s3://[^,\]']+", lambda match: _downloaded(match[0]), argument)


def _downloaded(address: str) -> str:
    import fsspec

    target = Path(tempfile.gettempdir(), "fakesound", address.removeprefix("s3://").rstrip("/"))
    try:
        fsspec.filesystem("s3").get(address, str(target), recursive=True)
    except (OSError, ImportError) as error:
        raise InputError(
            f"{address}: cannot be read ({error}); check the permissions of the role"
        ) from error
    return str(target)


def _write_failure(root: Path, reason: str) -> None:
    path = root / "output" / "failure"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(reason[-LONGEST_REASON:], encoding="utf-8")


if __name__ == "__main__":
    main()
