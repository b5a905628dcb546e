"""Completion of a shell: what bash completes with the script that is printed."""

import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
COMPLETE = """
eval "$1"; shift
COMP_WORDS=(fakesound "$@"); COMP_CWORD=$#
_shtab_fakesound
printf '%s\\n' "${COMPREPLY[@]}"
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
        (("run", "experiment=smo"), {"experiment=smoke"}),
        (("run", "--rep"), {"--reproduce"}),
        (("prepare", "corpus=asv"), {"corpus=asvspoof2019_la"}),
        (("prepare", "roo"), {"root="}),
    ],
)
def test_words_are_completed(script, words, completed):
    command = ["bash", "-c", COMPLETE, "bash", script, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert set(done.stdout.split()) == completed, done.stderr


def test_a_missing_library_is_named(run_verb, monkeypatch):
    monkeypatch.setattr("fakesound.completion.find_spec", lambda name: None)
    code, _, stderr = run_verb("completion", "zsh")
    assert code == 2
    assert "shtab" in stderr
