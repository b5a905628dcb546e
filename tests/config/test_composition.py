import dataclasses
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from fakesound.config import composition
from fakesound.config.composition import (
    compose_config,
    configuration_folder,
    identity,
    readable_errors,
    register_schema,
    run_config,
)
from fakesound.errors import InputError

ROOT = Path(__file__).parents[2]


def config(*overrides):
    return run_config(compose_config(overrides))


def told(*overrides):
    """The one line that is said to overrides that are wrong."""
    with pytest.raises(InputError) as caught:
        config(*overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_overrides_get_where_they_should():
    made = config("backbone.depth=7", "heads=clip", "name=mine", "optim.lr=5e-1", "tags=[a,b]")
    assert (made.backbone.depth, made.heads.frame, made.name) == (7, False, "mine")
    assert (made.optim.lr, made.tags) == (0.5, ["a", "b"])
    assert isinstance(made.optim.lr, float)


@pytest.mark.parametrize(
    ("override", "start", "hint"),
    [
        ("backbone.dpeth=3", "backbone.dpeth: no such key", "did you mean depth?"),
        ("++data.crop.secnds=3", "data.crop.secnds: no such key", "did you mean seconds?"),
        ("backbon=vim_tiny", "backbon: no such key", "did you mean backbone?"),
        ("backbone.stem.chanels=[8]", "backbone.stem.chanels: no such key", "mean channels?"),
        (
            "+unknown=1",
            "unknown: no such key",
            "there are backbone, calibration, checkpoint_steps, data,",
        ),
        (
            "unknown=1",
            "unknown: no such key",
            "there are backbone, calibration, checkpoint_steps, data,",
        ),
        ("init.form=a.pth", "init.form: no such key", "did you mean from?"),
        ("+init.form=a.pth", "init.form: no such key", "there are from, grid"),
        ("trainer.acelerator=cpu", "trainer.acelerator: no such key", "did you mean accelerator?"),
        ("experiment=nosuch", "experiment=nosuch: no such choice", "mt_vim"),
        ("backbone=vim_tini", "backbone=vim_tini: no such choice", "vim_tiny"),
    ],
)
def test_names_that_do_not_exist(override, start, hint):
    message = told(override)
    assert message.startswith(start)
    assert hint in message


@pytest.mark.parametrize(
    "override",
    [
        "backbone.depth=three",
        "epochs=1.5",
        "seed=true",
        "heads.clip=perhaps",
        "optim.lr=fast",
        "data.attacks=all",
        "backbone.stem.channels=3",
        "name=null",
        "data.augment=null",
        "name=${nosuch}",
    ],
)
def test_values_of_the_wrong_type_name_their_key(override):
    key, _, value = override.partition("=")
    message = told(override)
    assert message.startswith(f"{key}: ")
    if value.isalpha() and value not in ("null", "true", "all"):
        assert value in message


def test_an_item_of_the_wrong_type_is_named_by_its_place():
    assert told("backbone.stem.channels=[8,a]").startswith("backbone.stem.channels[1]: ")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.crop.seconds=0.1"], "data.crop.seconds=0.1: must be at least 0.2"),
        (
            ["data.batch_size=3"],
            "data.batch_size=3: must be even, for pairs of a fake and its twin",
        ),
        (
            ["split=official", "split.held_out=codec/gsm"],
            "split.held_out=codec/gsm: the official split holds nothing out; use "
            "split=leave_one_attack_out",
        ),
        (
            ["split.held_out=null"],
            "split.held_out: name the attack to hold out, or use split=official",
        ),
        (["split.held_out=3"], "split.held_out=3: must be a name, a glob or a list of them"),
        (
            ["heads=clip", "loss.clip=0"],
            "loss.clip and loss.frame: no head that is on has a weight above 0",
        ),
    ],
)
def test_values_out_of_range_are_told_in_the_words_of_the_schema(overrides, message):
    assert told(*overrides) == message


@pytest.mark.parametrize("override", ["split.held_out='", "split.held_out=(a", "a=b=c", "backbone"])
def test_what_cannot_be_read_is_quoted_back(override):
    message = told(override)
    assert message.startswith(f"{override}: cannot be read as key=value")


@pytest.mark.parametrize("override", ["seed=1,2", "experiment=mt_vim,smoke"])
def test_several_values_are_for_sweeps(override):
    assert told(override).startswith(f"{override}: has several values; add -m")


@pytest.mark.parametrize(
    "override", ["split.held_out=inpainting/*", "split.held_out='inpainting/*'"]
)
def test_globs_need_no_quotes(override):
    assert config(override).split.patterns("held_out") == ["inpainting/*"]


def test_weights_to_start_from_are_named_with_or_without_their_grid():
    assert config("init.from=a.pth").init == {"from": "a.pth", "grid": None}
    both = config("init.from=a.pth", "init.grid=[8,64]")
    assert both.init == {"from": "a.pth", "grid": [8, 64]}
    assert identity(both) != identity(config("init.from=a.pth")) != identity(config())


def test_any_argument_of_the_trainer_can_be_added():
    assert config("+trainer.max_time=00:01:00:00").trainer["max_time"] == "00:01:00:00"


def test_other_errors_are_not_touched():
    with pytest.raises(ZeroDivisionError), readable_errors():
        _ = 1 / 0
    with pytest.raises(InputError, match="mine"), readable_errors():
        raise InputError("mine")


def test_the_cause_is_kept_for_those_who_ask():
    with pytest.raises(InputError) as caught:
        config("backbone.dpeth=3")
    assert caught.value.__cause__ is not None


def test_composing_leaves_hydra_as_it_was():
    config()
    assert not GlobalHydra.instance().is_initialized()
    told("nosuch=1")
    assert not GlobalHydra.instance().is_initialized()
    with initialize_config_dir(str(configuration_folder()), version_base="1.3"):
        assert config("backbone.depth=5").backbone.depth == 5
        assert GlobalHydra.instance().is_initialized()


def test_folders_of_a_sweep_are_named_for_what_varies():
    slug = composition._slug
    assert slug("backbone=vim_tiny,seed=1") == "backbone=vim_tiny,seed=1"
    assert slug("split.held_out=inpainting/*") == "split.held_out=inpainting--"
    assert slug("") == "run"


def leaves(section, prefix=""):
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


KEYS = sorted(leaves(run_config(compose_config([]))))
FREE = {"name", "resume", "tags", "checkpoint_steps"}
FREE |= {"data.workers", "data.forge_workers", "data.prepared"}
FREE |= {key for key in KEYS if key.startswith("logger.")}


@pytest.fixture(scope="module")
def default():
    return config()


@pytest.mark.parametrize("key", KEYS)
def test_a_run_is_another_when_what_decides_its_results_is(default, key):
    changed = deepcopy(default)
    *sections, name = key.split(".")
    section = changed
    for step in sections:
        section = getattr(section, step)
    setattr(section, name, {"changed": 1})
    assert (identity(changed) == identity(default)) == (key in FREE)


def test_identity_survives_being_written_and_read(default, tmp_path):
    OmegaConf.save(OmegaConf.create(dataclasses.asdict(default)), tmp_path / "config.yaml")
    read = run_config(OmegaConf.load(tmp_path / "config.yaml"))
    assert read == default
    assert identity(read) == identity(default)


def test_identity_does_not_depend_on_how_it_is_said(default):
    lr = default.optim.lr
    assert identity(config(f"optim.lr={lr:.9f}")) == identity(default)
    quiet = config("logger=disabled", "+trainer.enable_progress_bar=true")
    assert identity(quiet) == identity(default)
    assert identity(config("trainer.precision=bf16-mixed")) != identity(default)


def test_the_configuration_is_inside_the_package_or_beside_it(tmp_path, monkeypatch):
    assert configuration_folder() == ROOT / "conf"
    package = tmp_path / "somewhere" / "fakesound"
    (package / "config").mkdir(parents=True)
    monkeypatch.setattr(composition, "__file__", str(package / "config" / "composition.py"))
    assert configuration_folder() == tmp_path / "somewhere" / "conf"
    (package / "conf").mkdir()
    assert configuration_folder() == package / "conf"


def test_mistakes_are_told_before_anything_heavy_is_imported():
    heavy = ("torch", "lightning", "wandb", "torchaudio", "numba")
    modules = ", ".join(
        f"fakesound.{name}" for name in ("config.composition", "run", "config.help", "command_line")
    )
    code = f"import sys, {modules}; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert found.stdout.strip() == "[]"


def test_folders_of_a_sweep_have_names_that_every_file_system_takes():
    register_schema()
    one, other = (OmegaConf.create({"n": f"${{slug:{'x' * 300}{end}}}"}).n for end in "ab")
    assert one != other
    assert max(len(one), len(other)) < 200
    assert OmegaConf.create({"n": "${slug:'seed=1,a.b=c/d'}"}).n == "seed=1,a.b=c-d"
