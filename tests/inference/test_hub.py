import sys
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace

import pytest

from fakesound.errors import InputError
from fakesound.inference import hub
from fakesound.scoring.checkpoint import read_checkpoint


class Missing(Exception):  # noqa: N818
    """What the hub raises for a repository that is not there."""


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """A hub that is a folder."""

    def upload_folder(repo_id, folder_path, commit_message):
        copytree(Path(folder_path), tmp_path / repo_id, dirs_exist_ok=True)

    def hf_hub_download(repo_id, filename, revision=None):
        if not (tmp_path / repo_id / filename).is_file():
            raise Missing("404: no such repository\nmore")
        return str(tmp_path / repo_id / filename)

    module = SimpleNamespace(
        upload_folder=upload_folder,
        hf_hub_download=hf_hub_download,
        create_repo=lambda name, private, exist_ok: f"https://hub/{name}",
        errors=SimpleNamespace(HfHubHTTPError=Missing, HFValidationError=ValueError),
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return tmp_path


def test_a_detector_comes_back_as_it_went(remote, checkpoint):
    assert hub.push(checkpoint, "someone/mine", "# A card") == "https://hub/someone/mine"
    assert (remote / "someone/mine/README.md").read_text() == "# A card"
    before, after = read_checkpoint(checkpoint), read_checkpoint(hub.pull("someone/mine"))
    assert before.thresholds == after.thresholds
    assert all(before.weights[name].equal(after.weights[name]) for name in before.weights)


def test_what_is_not_there_is_said(remote):
    with pytest.raises(InputError, match=r"someone/other: .*404: no such repository\)$"):
        hub.pull("someone/other")


def test_without_the_extra_the_mend_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match="pip install 'fakesound"):
        hub.pull("someone/mine")
