"""Completion of a shell: what bash completes with the script that is printed."""

import re
import shutil
import subprocess

import pytest

from fakesound.config.compose import configuration_folder

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
COMPLETE = """
eval "$1"; shift
COMP_LINE="$1"; COMP_POINT=${#1}; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_fakesound
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def script(run_verb):
    code, script, stderr = run_verb("completion", "bash")
    assert code == 0, stderr
    return script


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (("det",), {"detect"}),
        (("detect", "--ht"), {"--html"}),
        (("detect", "--backend", ""), {"auto", "onnx", "torch"}),
        (("export", "--to", "onnx"), {"onnx", "onnx-windows"}),
        # bash has split the words at "=", so only the value is replaced
        (("run", "experiment=smo"), {"smoke"}),
        (("run", "seed=1", "experiment=frame"), {"frame_vim"}),
        (
            ("run", "sweep="),
            {path.stem for path in (configuration_folder() / "sweep").glob("*.yaml")},
        ),
        (("run", "--rep"), {"--reproduce"}),
        (("prepare", "asv"), {"asvspoof2019_la"}),
        (("prepare", "--shard-"), {"--shard-size"}),
    ],
)
def test_words_are_completed(script, words, completed):
    line = " ".join(("fakesound", *words))
    # as bash splits it
    split = re.findall(r"=|[^ =]+|(?<= )$", line)
    command = ["bash", "-c", COMPLETE, "bash", script, line, *split]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert set(done.stdout.split()) == completed, done.stderr


def test_a_missing_library_is_named(run_verb, monkeypatch):
    monkeypatch.setattr("fakesound.completion.find_spec", lambda name: None)
    code, _, stderr = run_verb("completion", "zsh")
    assert code == 2
    assert "shtab" in stderr
