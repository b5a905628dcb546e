"""Composing from the command line, its errors, and ``--help``."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from fakesound.config import RunConfig, compose
from fakesound.config.compose import (
    compose_config,
    configuration_folder,
    current_overrides,
    keys_help,
    keys_of,
    readable_errors,
    register_schema,
    run_config,
)
from fakesound.config.saved import REMOVED, RENAMED
from fakesound.errors import InputError

ROOT = Path(__file__).parents[2]


def config(*overrides):
    return run_config(compose_config(overrides))


def message(*overrides):
    """Return the error of wrong overrides, which is one line."""
    with pytest.raises(InputError) as caught:
        config(*overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_overrides_and_groups_are_applied():
    composed = config("backbone.depth=7", "heads=clip", "name=mine", "optim.lr=5e-1", "tags=[a,b]")
    assert (composed.backbone.depth, composed.heads.frame, composed.name) == (7, False, "mine")
    assert (composed.optim.lr, composed.tags) == (0.5, ["a", "b"])
    assert isinstance(composed.optim.lr, float)


@pytest.mark.parametrize(
    ("override", "key", "hint"),
    [
        ("backbone.dpeth=3", "backbone.dpeth", "did you mean depth?"),
        ("++data.crop.secnds=3", "data.crop.secnds", "did you mean seconds?"),
        ("backbon=vim_tiny", "backbon", "did you mean backbone?"),
        ("backbone.stem.chanels=[8]", "backbone.stem.chanels", "did you mean channels?"),
        ("lr=1", "lr", "did you mean optim.lr?"),
        ("data.lr=1", "data.lr", "did you mean optim.lr?"),
        ("+unknown=1", "unknown", "there are backbone, calibration, checkpoint_steps, data,"),
        ("unknown=1", "unknown", "there are backbone, calibration, checkpoint_steps, data,"),
        ("init.pth=a.pth", "init.pth", "did you mean path?"),
        ("+init.form=a.pth", "init.form", "there are grid, path"),
        ("trainer.acelerator=cpu", "trainer.acelerator", "did you mean accelerator?"),
        ("experiment=nosuch", "experiment=nosuch", "mt_vim"),
        ("backbone=vim_tini", "backbone=vim_tini", "vim_tiny"),
    ],
)
def test_unknown_names_give_a_hint(override, key, hint):
    text = message(override)
    assert text.startswith(f"{key}: no such ")
    assert hint in text


@pytest.mark.parametrize(
    ("override", "start"),
    [
        ("steps=1e3", "steps=1000.0: must be a whole number"),
        ("optim.lr=fast", "optim.lr=fast: must be a number"),
        ("heads.clip=maybe", "heads.clip=maybe: must be true or false"),
        ("data.attacks=3", "data.attacks: must be a list"),
        ("data.crop=abc", "data.crop=abc: set one of its keys, such as data.crop.seconds"),
    ],
)
def test_values_of_a_wrong_type_need_no_names_of_types(override, start):
    text = message(override)
    assert text.startswith(start)
    assert "type" not in text


@pytest.mark.parametrize("override", ["split.held_out='", "split.held_out=(a", "a=b=c", "backbone"])
def test_overrides_that_cannot_be_parsed_are_quoted(override):
    assert message(override).startswith(f"{override}: ")


@pytest.mark.parametrize("override", ["seed=1,2", "experiment=mt_vim,smoke"])
def test_several_values_need_a_sweep(override):
    assert message(override).startswith(f"{override}: has several values; add -m")


@pytest.mark.parametrize(
    "override", ["split.held_out=inpainting/*", "split.held_out='inpainting/*'"]
)
def test_globs_need_no_quotes(override):
    assert config(override).split.patterns("held_out") == ["inpainting/*"]


@pytest.mark.parametrize(("old", "new"), (RENAMED | {"ingredient": "ablation"}).items())
def test_old_names_work_with_a_hint(old, new, capsys):
    assert current_overrides([f"{old}=1", f"+{old}.x=2"]) == [f"{new}=1", f"+{new}.x=2"]
    assert new in capsys.readouterr().err

    same = ["init.path=a", "optim.final_lr_factor=0", "data.crop.whole_=1", "-m"]
    same = [
        "init.path=a",
        "optim.final_lr_factor=0",
        "data.crop.whole_=1",
        "-m",
        "experiment=smoke",
    ]
    assert current_overrides(same) == same
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("key", REMOVED)
def test_removed_keys_name_what_replaces_them(key):
    assert message(f"{key}=1") == f"{key}: was removed; {REMOVED[key]}"


def test_other_errors_are_not_changed():
    with pytest.raises(ZeroDivisionError), readable_errors():
        _ = 1 / 0
    with pytest.raises(InputError, match="mine"), readable_errors():
        raise InputError("mine")


def test_the_cause_is_kept():
    with pytest.raises(InputError) as caught:
        config("backbone.dpeth=3")
    assert caught.value.__cause__ is not None


def test_composing_leaves_hydra_as_it_was():
    config()
    assert not GlobalHydra.instance().is_initialized()
    message("nosuch=1")
    assert not GlobalHydra.instance().is_initialized()
    with initialize_config_dir(str(configuration_folder()), version_base="1.3"):
        assert config("backbone.depth=5").backbone.depth == 5
        assert GlobalHydra.instance().is_initialized()


def test_the_configuration_is_inside_the_package_or_beside_it(tmp_path, monkeypatch):
    assert configuration_folder() == ROOT / "conf"
    package = tmp_path / "somewhere" / "fakesound"
    (package / "config").mkdir(parents=True)
    monkeypatch.setattr(compose, "__file__", str(package / "config" / "compose.py"))
    assert configuration_folder() == tmp_path / "somewhere" / "conf"
    (package / "conf").mkdir()
    assert configuration_folder() == package / "conf"


def test_folders_of_a_sweep_have_names_that_every_file_system_takes():
    register_schema()

    def slug(text):
        return OmegaConf.create({"n": f"${{slug:'{text}'}}"}).n

    assert slug("backbone=vim_tiny,seed=1") == "backbone=vim_tiny,seed=1"
    assert slug("split.held_out=inpainting/*") == "split.held_out=inpainting--"
    assert slug("") == "run"
    one, other = slug("x" * 300 + "a"), slug("x" * 300 + "b")
    assert one != other
    assert max(len(one), len(other)) < 200


def shown(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "fakesound.run", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def help_text():
    return shown("--help")


def test_help_has_examples_that_can_be_typed(help_text):
    examples = re.findall(r"^  (experiment=.*?)  ", help_text, flags=re.MULTILINE)
    assert len(examples) > 3
    for example in examples:
        config(*shlex.split(example.replace("DIR", "a")))


def test_help_names_every_choice_of_every_group(help_text):
    for path in configuration_folder().glob("*/*.yaml"):
        assert re.search(rf"\b{path.stem}\b", help_text), path
        assert path.parent.name in help_text


def test_keys_lists_every_key_with_its_default_and_meaning():
    printed = shown("--keys")
    assert re.findall(r"^(\S+?)=", printed, flags=re.MULTILINE) == [
        key for key, _, _ in keys_of(RunConfig())
    ]
    joined = " ".join(printed.split())
    for key, default, meaning in keys_of(RunConfig()):
        assert " ".join(f"{key}={default} {meaning}".split()) in joined


@pytest.mark.parametrize("word", ["data.crop.", "BOOTSTRAP"])
def test_keys_are_found_by_name_and_by_meaning(word):
    expected = [
        key
        for key, _, meaning in keys_of(RunConfig())
        if word.lower() in key or word.lower() in meaning.lower()
    ]
    assert expected
    assert re.findall(r"^(\S+?)=", shown("--keys", word), flags=re.MULTILINE) == expected


def test_a_word_that_no_key_contains_is_an_error():
    with pytest.raises(InputError, match=r"--keys backbone\.dpeth: .*backbone\.depth"):
        keys_help("backbone.dpeth")


def test_help_has_the_exit_codes(help_text):
    assert "0 done; 2 wrong input or configuration" in help_text
