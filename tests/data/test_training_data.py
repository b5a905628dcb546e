"""The training data are found in one place, and their absence is reported in one line."""

import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from fakesound.attacks import ATTACKS, choose_attacks
from fakesound.config import DataConfig, SplitConfig
from fakesound.data import training_data as module
from fakesound.data.manifest import read_manifest
from fakesound.data.training_data import FORMER, INSTALL, PACKAGE, moved, training_data
from fakesound.errors import InputError
from fakesound.forging import embedded_clips, resolve_corpus

ROOT = Path(__file__).parents[2]


@pytest.fixture
def absent(monkeypatch):
    monkeypatch.setattr(module, "_folder", lambda: None)


@pytest.fixture
def not_installed(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda _: None)


def test_a_checkout_needs_no_installation(not_installed):
    assert training_data("embedded", "x") == ROOT / "training_data" / "embedded"
    assert training_data("attack_weights", "x") == ROOT / "training_data" / "attack_weights"


def test_the_installed_package_is_preferred(monkeypatch, tmp_path):
    spec = ModuleSpec(PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(module, "find_spec", {PACKAGE: spec}.get)
    assert training_data("embedded", "x") == tmp_path / "embedded"


def test_a_folder_of_another_name_beside_the_package_is_not_used(
    not_installed, monkeypatch, tmp_path
):
    monkeypatch.setattr(module, "__file__", str(tmp_path / "fakesound" / "data" / "x.py"))
    (tmp_path / "training_data").mkdir()
    with pytest.raises(InputError) as error:
        training_data("embedded", "x")
    assert str(error.value).startswith("x: ")
    assert INSTALL in str(error.value)


def test_neural_attacks_need_their_weights_and_others_do_not(absent):
    neural = sorted(a.name for a in ATTACKS.values() if "neural" in a.name)
    assert len(neural) == 4
    for name in neural:
        assert not ATTACKS[name].optional
        with pytest.raises(InputError, match=f"^{name}: "):
            choose_attacks([name], "data.attacks")
    assert choose_attacks(["edit/*"], "data.attacks")


def test_recordings_of_the_user_need_no_training_data(absent, recordings, tmp_path):
    data = DataConfig(root=str(recordings), attacks=["edit/*"], prepared=str(tmp_path))
    split = SplitConfig(name="official", held_out=None)
    assert resolve_corpus(data, split).jobs
    with pytest.raises(InputError, match=r"^data\.root=null: "):
        resolve_corpus(DataConfig(attacks=["edit/*"], prepared=str(tmp_path)), split)


@pytest.mark.parametrize("start", ["", "/somewhere/site-packages/", "../"])
def test_former_paths_lead_to_the_recordings(start):
    folder = training_data("embedded", "x")
    assert moved(f"{start}{FORMER}") == str(folder)
    assert moved(f"{start}{FORMER}/cc-by-sa") == f"{folder}/cc-by-sa"


def test_other_and_existing_paths_are_kept(tmp_path):
    place = tmp_path / FORMER
    place.mkdir(parents=True)
    for path in ("recordings", f"{FORMER}-copy/a.ogg", str(place)):
        assert moved(path) == path


def test_former_paths_are_kept_without_training_data(absent):
    assert moved(f"{FORMER}/a.ogg") == f"{FORMER}/a.ogg"


def test_manifests_may_have_former_paths(tmp_path):
    recordings = training_data("embedded", "x")
    text = (recordings / "manifest.jsonl").read_text(encoding="utf-8").splitlines()[0]
    manifest = tmp_path / "manifest.jsonl"
    for start in ("/lost/site-packages", "../lost"):
        manifest.write_text(text.replace('"path": "', f'"path": "{start}/{FORMER}/'), "utf-8")
        (clip,) = read_manifest(manifest)
        assert clip.location == embedded_clips()[0].location
    manifest.write_text(text.replace('"path": "', f'"path": "/lost/{FORMER}/no'), "utf-8")
    with pytest.raises(InputError, match=r"row 1, path: .* does not exist"):
        read_manifest(manifest)


def test_runs_may_have_former_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = DataConfig(root=f"{FORMER}/cc-by-sa", attacks=["edit/*"], prepared=str(tmp_path / "p"))
    corpus = resolve_corpus(data, SplitConfig(name="official", held_out=None))
    assert {job.genuine.corpus for job in corpus.jobs} == {"cc-by-sa"}
    extra = DataConfig(attacks=["edit/*"], extra=[f"{FORMER}/permissive"])
    with pytest.raises(InputError, match="shares recordings with"):
        resolve_corpus(extra, SplitConfig(name="official", held_out=None))


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("run", "experiment=smoke"), "data.root=null"),
        (("run", "-m", "sweep=leave_one_attack_out"), "data.root=null"),
        (("forge", "embedded", "out", "--attacks", "edit/splice"), "FOLDER=embedded"),
        (("forge", "embedded", "out"), "codec/neural_rvq"),
    ],
)
def test_verbs_report_absent_training_data_before_slow_imports(arguments, key, tmp_path):
    verb, *rest = arguments
    code = f"""
import sys
from fakesound.data import training_data
training_data._folder = lambda: None
from fakesound import {verb}
sys.argv[1:] = {rest}
try:
    {verb}.main()
finally:
    print({{"torch", "lightning", "wandb"}} & {{*sys.modules}})
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr == f"error: {key}: the training data are not installed; {INSTALL}\n"
    assert done.stdout == "set()\n"
    assert not list(tmp_path.iterdir())
