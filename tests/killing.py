"""Start commands repeatedly and kill them at chosen moments.

It has imported everything once and forks, since starting anew would take most of the time. For
each line on stdin, a command as JSON, it answers with a line: how the command ended, and how many
events of the file system it had caused under its folder.
"""

import contextlib
import importlib
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

HEAVY = (
    "fakesound.run",
    "fakesound.training.experiment",
    "fakesound.evaluation.task",
    "fakesound.forge",
    "fakesound.prepare",
    "fakesound.corpora.check",
    "fakesound.corpora.report",
)
WRITING = os.O_WRONLY | os.O_RDWR


class Killer:
    """Count the changes of files under ``folder``, and kill before number ``at``."""

    def __init__(self, folder: str, at: int | None) -> None:
        self.folder, self.at, self.events = folder, at, 0

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            if not (isinstance(arguments[2], int) and arguments[2] & WRITING):
                return
        elif event not in ("os.rename", "os.remove", "os.mkdir"):
            return
        path = arguments[0]
        if isinstance(path, str | os.PathLike) and os.path.abspath(path).startswith(self.folder):
            self.events += 1
            if self.events == self.at:
                os.killpg(0, signal.SIGKILL)
                time.sleep(60)


def child(order: dict, counts: int) -> int:
    os.setsid()
    os.chdir(order["folder"])
    log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.argv = [f"fakesound {order['module']}", *order["arguments"]]
    killer = Killer(order["folder"], order["at"])
    sys.addaudithook(killer)
    try:
        importlib.import_module(f"fakesound.{order['module']}").main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        if not isinstance(end.code, int):
            print(end.code)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(counts, str(killer.events).encode())
    return code


def obey(order: dict) -> dict:
    """Run one command; kill it and all it started after ``order["after"]`` seconds, if given."""
    reading, writing = os.pipe()
    start = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        os._exit(child(order, writing))
    os.close(writing)
    status = 0
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        if order["after"] is not None and time.monotonic() - start > order["after"]:
            with contextlib.suppress(ProcessLookupError):  # it has no group of its own yet
                os.killpg(pid, signal.SIGKILL)
        time.sleep(0.005)
    events = os.read(reading, 100).decode()
    os.close(reading)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "events": int(events or 0),
        "seconds": time.monotonic() - start,
    }


def main() -> None:
    answers = os.dup(1)
    for name in HEAVY:
        importlib.import_module(name)
    with os.fdopen(answers, "w") as out:
        for line in sys.stdin:
            order = json.loads(line)
            Path(order["folder"]).mkdir(parents=True, exist_ok=True)
            print(json.dumps(obey(order)), file=out, flush=True)


if __name__ == "__main__":
    main()
