"""Configurations that runs of earlier versions saved."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from fakesound.config import RunConfig
from fakesound.config.compose import compose_config, run_config
from fakesound.config.saved import BEFORE, RENAMED, flatten, from_plain, identity, renamed
from fakesound.errors import InputError

# saved by the first version, and by the last one with the old keys
FIRST, OLD = (
    json.loads((Path(__file__).parent / f"{name}.json").read_text()) for name in ("first", "old")
)
FREE = {"name", "resume", "tags", "checkpoint_steps"}
FREE |= {"data.workers", "data.forge_workers", "data.prepared"}
FREE |= {"trainer.devices", "trainer.num_nodes"}


def config(*overrides):
    return run_config(compose_config(overrides))


def changed(plain, key):
    """Return the plain values with another value of the key."""
    plain = json.loads(json.dumps(plain))
    *sections, name = key.split(".", plain_depth(key))
    section = plain
    for part in sections:
        section = section[part]
    section[name] = "changed"
    return plain


def plain_depth(key):
    # the names of attacks are kept whole
    return 3 if key.startswith("data.crop.weights.") else key.count(".")


def test_renamed_keys_exist():
    known = asdict(RunConfig())
    for new in RENAMED.values():
        section = known
        for part in new.split("."):
            assert part in section, new
            section = section[part]
    assert set(BEFORE) <= set(flatten(known))


def test_a_saved_configuration_keeps_its_values():
    composed = flatten(asdict(from_plain(OLD)))
    for key, value in flatten(OLD).items():
        if key not in ("loss.clip", "loss.frame"):
            new = next((n + key[len(o) :] for o, n in RENAMED.items() if key.startswith(o)), key)
            assert composed[new] == value, key
    assert composed["loss.frame_share"] == pytest.approx(0.7)


def test_a_key_newer_than_a_run_gets_the_value_of_the_run():
    composed = from_plain(FIRST)
    assert composed.calibration == "none"
    assert composed.data.window_seconds == composed.data.crop.seconds == 2.0
    assert composed.data.crop.cross_recording_share == 0
    assert set(vars(composed.data.fake_augmentation).values()) == {0}
    assert composed.data.augment.codec == 0
    assert composed.data.augment.tilt == 0.1
    assert (composed.optim.ema, composed.backbone.depth, composed.split.held_out) == (None, 4, None)


def test_every_key_is_known_to_old_runs_or_has_a_value_for_them():
    """A new key whose default changes the results of a run needs an entry in BEFORE."""
    composed, known = flatten(asdict(from_plain(OLD))), flatten(renamed(OLD))
    for key in composed.keys() - known.keys() - {"loss.frame_share"}:
        section = key.rpartition(".")[0]
        assert (
            key in BEFORE
            or section in ("data.published", "data.attack_weights", "trainer", "logger")
            or key in SAME
        ), key


# keys newer than OLD whose default keeps the behaviour of older runs
SAME = {
    "split.at_most",
    "split.control",
    "loss.positive_weight",
    "optim.cooldown",
    "backbone.interpolate",
    "backbone.stem.phase_width",
    "data.crop.later_seconds",
    "data.crop.later_from",
    "data.crop.max_region_seconds",
    "data.crop.channel_share",
    "data.crop.genuine_splice_share",
    "data.crop.independent_share",
}


def test_a_strategy_is_left_out():
    assert "strategy" not in from_plain({"trainer": {"strategy": "ddp"}}).trainer


def test_learned_weights_keep_their_balance():
    assert from_plain({"loss": {"clip": 1.0, "frame": 1.0}}).loss.frame_share == 0.5
    assert from_plain({"loss": {"clip": 0, "frame": 0.7}}).loss.frame_share == 1


@pytest.mark.parametrize(
    ("plain", "start"),
    [
        ({"sed": 1}, "sed: no such key; did you mean seed?"),
        ({"data": {"crop": {"secs": 1}}}, "data.crop.secs: no such key"),
        ({"seed": "a"}, "seed: "),
        ({"backbone": {"stem": {"channels": [8, "a"]}}}, "backbone.stem.channels[1]: "),
        ({"optim": {"lr": 2}}, "optim.lr=2"),
        ({"trainer": {"acelerator": "cpu"}}, "trainer.acelerator: no such key"),
    ],
)
def test_errors_name_the_wrong_key(plain, start):
    with pytest.raises(InputError) as caught:
        from_plain(plain)
    assert str(caught.value).startswith(start)


@pytest.mark.parametrize("key", flatten(asdict(RunConfig())))
def test_identity_depends_on_every_key_that_affects_results(key):
    plain = asdict(RunConfig())
    same = key in FREE or key.startswith("logger.")
    assert (identity(changed(plain, key)) == identity(plain)) == same


def test_identity_survives_writing_and_reading(tmp_path):
    default = RunConfig()
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(asdict(default)))
    plain = yaml.safe_load(path.read_text())
    assert from_plain(plain) == default
    assert identity(plain) == identity(from_plain(plain)) == identity(default)


def test_identity_does_not_depend_on_how_a_value_is_written():
    default = RunConfig()
    assert identity(config(f"optim.lr={default.optim.lr:.9f}")) == identity(default)
    quiet = config("logger=disabled", "trainer.enable_progress_bar=true")
    assert identity(quiet) == identity(default)
    assert identity(config("trainer.precision=bf16-mixed")) != identity(default)
