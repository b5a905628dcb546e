import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

import fakesound
from fakesound.command_line import CLOSED_PIPE, VERBS, guarded, parser, print_results
from fakesound.errors import InputError

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["verb", "key=value"])
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)


def raising(error):
    def entry():
        raise error

    return entry


def exit_code(entry):
    with pytest.raises(SystemExit) as caught:
        guarded(entry)
    return caught.value.code


def python(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def test_the_exit_code_of_success_is_0(capsys):
    assert exit_code(lambda: "something") == 0
    assert capsys.readouterr() == ("", "")


def test_wrong_input_has_exit_code_2_and_one_line(capsys):
    assert exit_code(raising(InputError("a.wav: empty; drop it"))) == 2
    assert capsys.readouterr() == ("", "error: a.wav: empty; drop it\n")


def test_an_interrupt_has_no_traceback():
    assert exit_code(raising(KeyboardInterrupt())) == "stopped"


@pytest.mark.parametrize("error", [RuntimeError("bug"), ValueError("bug"), OSError("full")])
def test_other_errors_have_a_traceback(error):
    with pytest.raises(type(error)) as caught:
        guarded(raising(error))
    assert caught.value is error


def test_the_exit_code_of_a_verb_is_kept():
    assert exit_code(lambda: sys.exit(7)) == 7


def test_debug_shows_where_wrong_input_arose(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["verb", "--debug", "key=value"])
    assert exit_code(raising(InputError("mine"))) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("value", "shown"), [("1", True), ("0", False), ("", False)])
def test_the_switch_of_hydra_shows_it_too(monkeypatch, capsys, value, shown):
    monkeypatch.setenv("HYDRA_FULL_ERROR", value)
    assert exit_code(raising(InputError("mine"))) == 2
    assert ("Traceback" in capsys.readouterr().err) == shown


def test_debug_is_not_passed_on(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["verb", "--debug", "key=value"])
    seen = []
    exit_code(lambda: seen.extend(sys.argv))
    assert seen == ["verb", "key=value"]


def test_exit_code_of_a_bug_is_one_with_a_traceback():
    done = python("-c", "from fakesound.command_line import guarded; guarded(lambda: 1 / 0)")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_an_error_of_the_command_line_is_one_line_and_leaves_no_files(tmp_path):
    arguments = ("-m", "fakesound.run", "backbone.dpeth=3", f"hydra.run.dir={tmp_path / 'run'}")
    done = python(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: backbone.dpeth: no such key; did you mean depth?")
    assert list(tmp_path.iterdir()) == []


def test_the_traceback_of_an_error_can_be_requested():
    done = python("-m", "fakesound.run", "backbone.dpeth=3", "--debug")
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "backbone.dpeth: no such key" in done.stderr.splitlines()[-1]


def test_one_command_has_all_verbs():
    done = python("-m", "fakesound", "--help")
    assert done.returncode == 0
    for verb, what in VERBS.items():
        assert verb in done.stdout
        assert what in done.stdout
        assert (ROOT / "fakesound" / f"{verb}.py").is_file()


@pytest.mark.parametrize("called", ["fakesound detect", "/somewhere/detect.py"])
def test_a_parser_is_named_as_the_user_called_it(monkeypatch, capsys, called):
    monkeypatch.setattr(sys, "argv", [called])
    result = parser("detect", "Detects.", "Examples:\n  one\n")
    name = "fakesound detect" if called.startswith("fakesound") else "python -m fakesound.detect"
    assert result.prog == name
    with pytest.raises(SystemExit) as caught:
        result.parse_args(["--nosuch"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        f"error: unrecognized arguments: --nosuch; see {name} --help\n"
    )
    assert "Examples:\n  one\n" in result.format_help()


def test_an_unknown_verb_is_wrong_input():
    done = python("-m", "fakesound", "nosuch")
    assert done.returncode == 2
    assert done.stderr.startswith("error: nosuch: no such verb")
    done = python("-m", "fakesound", "detct")
    assert "did you mean detect?" in done.stderr


def test_versions():
    done = python("-m", "fakesound", "--version")
    assert done.returncode == 0
    for package in ("numpy", "onnxruntime", "torch"):
        assert f"{package} {version(package)}" in done.stdout
    assert done.stdout.startswith(f"fakesound {fakesound.__version__} (")


def test_help_of_a_verb():
    done = python("-m", "fakesound", "help", "detect")
    assert done.returncode == 0
    assert "--csv" in done.stdout


@pytest.mark.parametrize("verb", [None, *(verb for verb in VERBS if verb != "serve")])
def test_without_arguments_there_is_a_short_help(verb, tmp_path):
    done = python("-m", "fakesound", *([verb] if verb else []))
    assert done.returncode == 2
    assert done.stdout == ""
    assert 2 < len(done.stderr.splitlines()) < 60
    assert f"fakesound {verb or 'VERB'}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--too", "a"], "did you mean --to?"),
        (["--to", "onix"], "did you mean onnx?"),
        (["--to", "zzz"], "'zzz' is not one of onnx, wav"),
    ],
)
def test_unknown_options_and_choices_have_suggestions(capsys, arguments, words):
    result = parser("export", "Exports.")
    result.add_argument("--to", choices=("onnx", "wav"))
    with pytest.raises(SystemExit) as caught:
        result.parse_args(arguments)
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1


def test_the_module_of_a_verb_is_the_same_command():
    first, second = (
        python("-m", *verb, "experiment=mt_vim", "--cfg", "job")
        for verb in (("fakesound.run",), ("fakesound", "run"))
    )
    assert first.returncode == second.returncode == 0, first.stderr
    assert "name: mt_vim" in first.stdout
    assert first.stdout == second.stdout


def test_unknown_experiments_have_suggestions():
    for override, words in (
        ("mt_vim", "did you mean experiment=mt_vim?"),
        ("experiment=mt_vin", "did you mean mt_vim?"),
    ):
        done = python("-m", "fakesound.run", override)
        assert done.returncode == 2
        assert words in done.stderr


def test_results_are_tab_separated_in_a_pipe(capsys):
    table = Table("name", "value", box=None)
    table.add_row("[bold]a b", "1")
    table.add_row(Text("[c]"), "two\nlines")
    print_results(table)
    assert capsys.readouterr().out == "name\tvalue\na b\t1\n[c]\ttwo lines\n"


def test_a_closed_pipe_is_no_traceback():
    program = (
        "import sys\n"
        "from fakesound.command_line import guarded\n"
        "guarded(lambda: [print('x' * 1000) for _ in range(1000)])\n"
    )
    command = f'{sys.executable} -c "$PROGRAM" | head -1'
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PROGRAM": program},
    )
    assert done.stderr == ""


def test_verbs_run_as_module_and_as_command():
    done = python("-m", "fakesound", "run", "nosuch=1")
    assert done.returncode == 2
    assert done.stderr.startswith("error: nosuch: no such key")


def test_a_closed_pipe_ends_quietly():
    program = (
        "import sys\n"
        "from fakesound.command_line import guarded\n"
        "def entry():\n"
        "    for _ in range(9999): print('x' * 999, flush=True)\n"
        "guarded(entry)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == CLOSED_PIPE


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("run", "--help"), ("run", "--keys"), ("forge", "--list")],
    ids=" ".join,
)
def test_help_in_a_closed_pipe_ends_quietly(arguments):
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "fakesound", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == CLOSED_PIPE


def test_a_closed_standard_output_is_no_traceback():
    program = (
        "import sys\n"
        "from fakesound.command_line import guarded\n"
        "guarded(lambda: sys.stdout.write('x'))\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        ["bash", "-c", '"$@" >&-', "bash", *command], cwd=ROOT, stderr=subprocess.PIPE, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
