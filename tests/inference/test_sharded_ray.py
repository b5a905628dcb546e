"""Detection on a local Ray cluster, one worker of which is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE, FILES = 16_000, 600


def descendants(pid):
    """Return the command of each descendant of process ``pid``, by its id."""
    parents, commands = {}, {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(place.name)] = int(
                (place / "stat").read_text().rpartition(")")[2].split()[1]
            )
            commands[int(place.name)] = (place / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue
    result = {}
    for child in parents:
        above = child
        while above in parents and above != pid:
            above = parents[above]
        if above == pid and child != pid:
            result[child] = commands.get(child, b"")
    return result


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_of_ray_is_killed(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    rng = np.random.default_rng(0)
    for number in range(FILES):
        samples = rng.normal(0, 0.1, RATE // 2)
        soundfile.write(tmp_path / f"{number:03d}.wav", samples, RATE)
    command = [sys.executable, "-m", "fakesound.detect", str(tmp_path)]
    subprocess.run([*command, "--jsonl", tmp_path / "one.jsonl"], check=True, capture_output=True)
    out = tmp_path / "out"
    options = ("--out", out, "--workers", "ray", "--worker-option", "num_cpus=2")
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE) as driver:
        killed = None
        while killed is None and driver.poll() is None:
            journals = list(out.glob("shards/.*.unfinished"))
            if any(path.read_bytes().count(b"detection") > 20 for path in journals):
                working = [
                    p for p, name in descendants(driver.pid).items() if b"score_shard" in name
                ]
                killed = working[0]
                os.kill(killed, signal.SIGKILL)
            time.sleep(0.05)
        assert killed is not None, driver.communicate()
        assert driver.wait() == 0, driver.communicate()
    result, wanted = (
        [json.loads(line) | {"created": None} for line in path.read_text().splitlines()]
        for path in (out / "detections.jsonl", tmp_path / "one.jsonl")
    )
    assert result == wanted
