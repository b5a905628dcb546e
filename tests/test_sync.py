"""Uploads of offline runs: `wandb sync` gets the runs of the folders."""

import importlib.util

import pytest
import wandb

from fakesound import sync


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Return a folder with two runs that are logged offline."""
    folder = tmp_path_factory.mktemp("sweep")
    for name in ("a", "b"):
        settings = wandb.Settings(silent=True)
        (folder / name).mkdir()
        with wandb.init(project="p", mode="offline", dir=folder / name, settings=settings) as run:
            run.log({"loss": 1.0})
    return folder


def test_runs_under_the_folders_are_uploaded_once(sweep, run_verb):
    (one,) = (sweep / "a" / "wandb").glob("offline-run-*")
    (other,) = (sweep / "b" / "wandb").glob("offline-run-*")
    for folders, runs in (((sweep, sweep / "a"), (one, other)), ((one,), (one,))):
        code, out, err = run_verb("sync", *folders, "--dry-run")
        assert code == 0, err
        assert f"{len(runs)} run(s)" in out + err
        assert all(str(run) in out + err for run in runs)


def test_a_failed_upload_is_an_error(sweep, run_verb, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "")
    monkeypatch.setenv("NETRC", str(sweep / "no netrc"))
    code, out, err = run_verb("sync", sweep / "a")
    assert code == 1
    assert "wandb login" in out + err


def test_folders_without_offline_runs_are_wrong_input(tmp_path, run_verb):
    for folder in (tmp_path, tmp_path / "none"):
        code, _, err = run_verb("sync", folder)
        assert (code, err.startswith(f"error: {folder}: ")) == (2, True)


def test_without_wandb_the_error_names_it(sweep, run_verb, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(sync, "find_spec", lambda name: None if name == "wandb" else found(name))
    code, _, err = run_verb("sync", sweep)
    assert (code, err.startswith("error: wandb: not installed")) == (2, True)
