import subprocess
import sys

import pytest
import soundfile

from .inference.conftest import RATE, checkpoint, sound  # noqa: F401


def explain(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "fakesound.explain", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_picture_is_drawn(checkpoint, sound, tmp_path):  # noqa: F811
    soundfile.write(tmp_path / "a.wav", sound[:RATE], RATE)
    done = explain(tmp_path / "a.wav", "--checkpoint", checkpoint, "--out", tmp_path / "a.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "score" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.wav", "--manifest", "m"], "give either"),
        (["a.wav", "--out", "a.txt"], "--out=a.txt"),
        (["a.wav", "--clips", "0"], "--clips=0"),
    ],
)
def test_wrong_arguments_are_said_in_a_line(arguments, said):
    done = explain(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
