"""The verb: ``fakesound compare``."""

import json
import os
import subprocess

import pytest

from fakesound.compare import _check, build_parser
from fakesound.errors import InputError
from tests.conftest import command
from tests.run_factory import make_run


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare") / "sweep"
    for lr in (0.001, 0.003):
        changes = {"optim.lr": lr, "logger": {"group": "sweep"}}
        make_run(folder / f"lr={lr}", changes=changes, sources=4)
    return folder


def test_a_sweep_is_compared_in_its_folder_or_another_file(sweep, tmp_path, run_verb, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    code, _, err = run_verb("compare", sweep, "--reference", "optim.lr=0.001", "--draws=20")
    assert code == 0, err
    assert json.loads((sweep / "comparison.json").read_text())["reference"] == "optim.lr=0.001"
    assert (sweep / "comparison.html").is_file()
    assert "optim.lr=0.003" in err
    code, _, err = run_verb("compare", sweep, "--out", tmp_path / "all.html", "--draws=0")
    assert code == 0, err
    # the default is nearest to the second
    assert json.loads((tmp_path / "all.json").read_text())["reference"] == "optim.lr=0.003"
    assert {path.name for path in tmp_path.iterdir()} == {"all.html", "all.csv", "all.json"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere: no such folder"),
        ([".", "."], "--out: "),
        ([".", "--out", "page.txt"], "must end in .html"),
        ([".", "--draws=-1"], "--draws=-1: must be at least 0"),
        ([".", "--wandb", "project"], "--wandb=project: must be ENTITY/PROJECT"),
    ],
)
def test_errors_are_one_line(arguments, words):
    with pytest.raises(InputError, match=words):
        _check(build_parser().parse_args(arguments))


@pytest.mark.parametrize(
    ("key", "code", "words"),
    [(None, 2, "no user is logged in"), ("a" * 40, 1, "W&B: ")],
)
def test_missing_key_or_network_is_one_line(sweep, tmp_path, key, code, words):
    pytest.importorskip("wandb_workspaces")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")}
    environment |= {"HOME": str(tmp_path), "NETRC": str(tmp_path / "none"), "COLUMNS": "100"}
    if key is not None:
        # a port that no one listens on
        environment |= {"WANDB_API_KEY": key, "WANDB_BASE_URL": "http://127.0.0.1:9"}
    done = subprocess.run(
        command("compare", str(sweep), "--wandb", "team/project"),
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    lines = done.stderr.strip().splitlines()
    assert (done.returncode, len(lines)) == (code, 1), done.stderr
    assert words in lines[0]
    assert done.stdout == ""
