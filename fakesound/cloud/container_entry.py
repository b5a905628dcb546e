"""Do one run inside a training container of Amazon SageMaker.

    python -m fakesound.cloud.container_entry [train]

Turns what SageMaker tells a container into the ordinary ``python -m fakesound.run``:
hyperparameters are overrides, channels are data, and the run is kept in
/opt/ml/checkpoints/IDENTITY, so that after an interruption it goes on where it was, and a run of
another configuration does not. Several GPUs or machines are joined by torchrun.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from hydra.types import RunMode

from fakesound.cloud.container import (
    ROOT,
    Container,
    distributed_overrides,
    launcher,
    overrides_of,
    read_container,
    variables,
)
from fakesound.cloud.printed import epoch_line, result_line
from fakesound.command_line import WRONG_INPUT, guarded
from fakesound.config.compose import compose_config, run_config
from fakesound.config.saved import identity
from fakesound.errors import InputError

# what SageMaker shows of a failure
LONGEST_REASON = 1024
KEPT_LINES = 40
# between looks at the log of epochs
SECONDS = 2.0
SECONDS_TO_READ = 10.0
# checkpoints are kept as checkpoints
NOT_RESULTS = shutil.ignore_patterns("checkpoints")


def main() -> None:
    """Run from the command line; the folder of SageMaker's files may be given, for tests."""
    guarded(_main)


def _main() -> None:
    arguments = [word for word in sys.argv[1:] if word != "train"]
    if {"--help", "-h"} & set(arguments):
        print(__doc__, end="")
        return
    root = Path(arguments[0]) if arguments else ROOT
    try:
        code = _train(read_container(root, os.environ), os.environ)
    except Exception as error:
        kind = "error" if isinstance(error, InputError) else type(error).__name__
        _tell_failure(root / "output" / "failure", f"{kind}: {error}")
        raise
    sys.exit(code)


def _train(container: Container, environment: Mapping[str, str]) -> int:
    """Do the run, keep what it leaves, and return its exit code."""
    found = variables(container)
    os.environ.update({key: value for key, value in found.items() if key not in environment})
    words = overrides_of(container)
    words += distributed_overrides(container, words)
    if not any(word.lstrip("+").startswith("data.prepared=") for word in words):
        # made again after an interruption, since it is quicker made than brought back
        words.append(f"data.prepared={Path(tempfile.gettempdir(), 'fakesound', 'prepared')}")
    composed = compose_config(words, with_hydra=True)
    if composed.hydra.mode == RunMode.MULTIRUN:
        raise InputError(
            "sweep: a job does one run; python -m fakesound.launch sagemaker -m makes a job of each"
        )
    config = run_config(composed)
    folder = container.checkpoints / identity(config)
    for place in (container.checkpoints, container.results, container.model):
        _check_writable(place)
    words += [f"hydra.run.dir='{folder}'", "resume=auto"]
    start = launcher(container, config.trainer.get("devices"))
    command = [sys.executable, *start, "-m", "fakesound.run", *words]
    print(f"{'going on' if folder.is_dir() else 'beginning'}: {' '.join(command[1:])}", flush=True)
    code, stopped, last = _watched(command, folder)
    if code == 0 and stopped and not (folder / "metrics.json").is_file():
        # it ended in order, but not done
        return 128 + signal.SIGTERM
    if code == 0 and container.leads:
        print(result_line(folder), flush=True)
        code, last = _keep(container, folder)
    if code != 0 and not stopped:
        _tell_failure(container.failure, _reason(code, last))
    return code


def _watched(command: Sequence[str], folder: Path) -> tuple[int, bool, list[str]]:
    """Do ``command``, print the figures of its epochs, and pass on what SageMaker signals.

    Returns:
        Its exit code, whether it was told to stop, and the last lines of its errors.
    """
    told: list[int] = []
    process = subprocess.Popen(command, stderr=subprocess.PIPE)

    def stop(number: int, _: object) -> None:
        told.append(number)
        process.send_signal(number)

    # SageMaker sends it before it takes a machine away or when a job is stopped, and waits for two
    # minutes; the run ends as if it was stopped by hand
    before = signal.signal(signal.SIGTERM, stop)
    last: deque[str] = deque(maxlen=KEPT_LINES)
    assert process.stderr is not None
    reader = threading.Thread(target=_pass_on, args=(process.stderr, last), daemon=True)
    reader.start()
    seen = len(_epochs(folder))
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS)
        epochs = _epochs(folder)
        for row in epochs[seen:]:
            print(epoch_line(row), flush=True)
        seen = max(seen, len(epochs))
        if process.returncode is not None:
            break
    # workers of a killed run may hold the stream open a little longer, or for good
    reader.join(SECONDS_TO_READ)
    signal.signal(signal.SIGTERM, before)
    code = process.returncode
    # as a shell says that a signal ended it
    return (128 - code if code < 0 else code), bool(told), list(last)


def _pass_on(stream: IO[bytes], last: deque[str]) -> None:
    with stream:
        for line in stream:
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
            if text := line.decode(errors="replace").strip():
                last.append(text)


def _epochs(folder: Path) -> list[dict[str, float]]:
    path = folder / "epochs.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _keep(container: Container, folder: Path) -> tuple[int, list[str]]:
    """Copy the results of the run in ``folder`` and write its model, for SageMaker to take."""
    shutil.copytree(folder, container.results, dirs_exist_ok=True, ignore=NOT_RESULTS)
    model = container.model / "detector.safetensors"
    done = subprocess.run(
        [sys.executable, "-m", "fakesound.export", folder, "--to", "safetensors", "--out", model],
        stderr=subprocess.PIPE,
        text=True,
    )
    sys.stderr.write(done.stderr)
    return done.returncode, done.stderr.splitlines()


def _check_writable(place: Path) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
        writable = os.access(place, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise InputError(
            f"{place}: cannot be written by this user; build the image with --build-arg RUN_AS=root"
        )


def _reason(code: int, last: Sequence[str]) -> str:
    said = [line for line in last if line.startswith("error: ")]
    if code == WRONG_INPUT and said:
        return said[-1]
    start = f"exit code {code}: "
    return start + "\n".join(last)[len(start) - LONGEST_REASON :]


def _tell_failure(path: Path, reason: str) -> None:
    """Write why the job failed where SageMaker looks for it; it is no matter if that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(reason[:LONGEST_REASON], encoding="utf-8")
    except OSError as error:
        print(f"{path}: {error.strerror}", file=sys.stderr)


if __name__ == "__main__":
    main()
