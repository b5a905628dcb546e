"""Commands that are killed and restarted at random have the results of undisturbed ones.

Where a command is killed is drawn: before its n-th change of a file, which are all the states that
a kill can leave on disk, or after some time.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SMALL

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks processes")

TINY = (
    *SMALL, "data.prepared=prepared", "epochs=2", "steps=3", "checkpoint_steps=2",
    "report.draws=20", "report.examples=1", "logger=disabled", "optim.ema=0.9",
    "features.mask=0.5", "resume=auto",
)  # fmt: skip
SHARE_TIMED = 0.3
# starts of one command without its end, after which it will never end
MOST_STARTS = 200


class Commands:
    """Start commands and kill them."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("killing.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, folder, command, at=None, after=None):
        module, *arguments = command
        order = {"module": module, "arguments": arguments, "folder": str(folder)}
        print(json.dumps(order | {"at": at, "after": after}), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.communicate()


@pytest.fixture(scope="module")
def commands():
    started = Commands()
    yield started
    started.close()


def figures(folder):
    """Return all numbers of all runs and evaluations under ``folder``."""
    result = {}
    for path in sorted(folder.rglob("metrics.json")):
        metrics = json.loads(path.read_text())
        metrics.pop("provenance")
        # the time in a folder's name differs
        result[len(result)] = metrics
    return result


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".wav", ".jsonl") and path.name != "journal.jsonl"
    }


@pytest.fixture(scope="module")
def jobs(recordings, tmp_path_factory):
    """Commands by name, and functions that read their results."""
    labelled = tmp_path_factory.mktemp("labelled")
    for number, path in enumerate(sorted(recordings.glob("*.wav"))):
        kind = "genuine" if number % 2 else "fake/vocoder/world"
        place = labelled / kind / f"clip {number}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    return {
        "run": (("run", *TINY, f"data.root={recordings}"), figures),
        "sweep": (("run", "-m", *TINY, "seed=0,1", f"data.root={recordings}"), figures),
        "forge": (
            ("forge", str(recordings), "forged", "--workers", "1", "--train-fakes", "1",
             "--attacks", "edit/splice", "codec/adpcm"),
            files,
        ),
        "prepare": (("prepare", "folder", str(labelled), "--out=prepared"), files),
    }  # fmt: skip


def disturb(commands, job, kills, folder, seed):
    """Kill a command ``kills`` times in all, and restart it whenever it is done.

    Return how often it was done.
    """
    command, kept = job
    undisturbed = folder / "undisturbed"
    first = commands.start(undisturbed, command)
    assert first["code"] == 0, (undisturbed / "log.txt").read_text()
    expected = kept(undisturbed)
    assert expected
    rng = random.Random(seed)
    killed, done, starts = 0, 0, 0
    while killed < kills or starts:
        place = folder / f"disturbed {done}"
        at = after = None
        if killed < kills:
            if rng.random() < SHARE_TIMED:
                after = rng.uniform(0, first["seconds"])
            else:
                at = rng.randint(1, first["events"])
        end = commands.start(place, command, at, after)
        print(f"{folder.name} {killed=} {done=} {at=} {after=} {end}")
        starts += 1
        assert starts < MOST_STARTS
        if end["code"] == -signal.SIGKILL:
            killed += 1
            continue
        assert end["code"] == 0, (place / "log.txt").read_text()
        assert kept(place) == expected
        done, starts = done + 1, 0
    return done


@pytest.mark.parametrize(("name", "kills"), [("run", 2), ("prepare", 1)])
def test_a_few_kills_change_nothing(commands, jobs, name, kills, tmp_path):
    assert disturb(commands, jobs[name], kills, tmp_path, seed=1) >= 1


def test_a_killed_evaluation_leaves_the_one_before_and_ends_like_an_undisturbed_one(
    commands, finished, tmp_path
):
    evaluations(commands, finished, tmp_path, kills=1)


def evaluations(commands, finished, folder, kills):
    scores = finished / "scores.jsonl"
    command = ("evaluate", "--scores", str(scores), "--out", "out", "--draws", "20")
    assert disturb(commands, (command, figures), kills, folder, seed=2) >= 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("name", "kills"), [("run", 22), ("sweep", 12), ("forge", 7), ("prepare", 3)]
)
def test_many_kills_change_nothing(commands, jobs, name, kills, tmp_path):
    assert disturb(commands, jobs[name], kills, tmp_path, seed=3) >= 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_kills_of_an_evaluation_change_nothing(commands, finished, tmp_path):
    evaluations(commands, finished, tmp_path, kills=6)
