import pytest
import soundfile

from .inference.conftest import RATE, checkpoint, sound  # noqa: F401


def test_a_picture_is_drawn(checkpoint, sound, tmp_path, run_verb):  # noqa: F811
    soundfile.write(tmp_path / "a.wav", sound[:RATE], RATE)
    options = ("--checkpoint", checkpoint, "--out", tmp_path / "a.png")
    code, _, err = run_verb("explain", tmp_path / "a.wav", *options)
    assert code == 0, err
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "score" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.wav", "--manifest", "m"], "give either"),
        (["a.wav", "--out", "a.txt"], "--out=a.txt"),
        (["a.wav", "--clips", "0"], "--clips=0"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, words, run_verb):
    code, _, err = run_verb("explain", *arguments)
    assert code == 2
    assert words in err
    assert err.count("\n") == 1
