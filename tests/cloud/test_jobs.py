"""What a command line means, in runs."""

import re
from itertools import product

import pytest
from omegaconf import OmegaConf

from fakesound.cloud.container import Container, overrides_of
from fakesound.cloud.jobs import expand, tuning
from fakesound.config.compose import compose_config, configuration_folder, identity, run_config
from fakesound.errors import InputError

# with overrides of groups, values of their own and lists among what is swept
GRIDS = ("leave_one_family_out", "source_folds", "tasks", "token_order")
FOLDERS = dict.fromkeys(("checkpoints", "results", "model", "failure"))


def in_container(job, tmp_path, monkeypatch):
    """The configuration that a job's hyperparameters make in its container."""
    channels = {name: tmp_path / name for name in job.channels}
    for name, folder in channels.items():
        monkeypatch.setenv(f"SM_CHANNEL_{name.upper()}", str(folder))
    made = Container(job.hyperparameters, ("algo-1",), "algo-1", None, 0, channels, **FOLDERS)
    return compose_config(overrides_of(made), with_hydra=True)


def test_one_run_is_one_job():
    (job,) = expand(["experiment=smoke", "seed=3"], multirun=False)
    assert job.name == "smoke"
    assert job.hyperparameters == {"experiment": "smoke", "seed": "3"}
    assert job.channels == {}
    assert job.identity == identity(run_config(compose_config(["experiment=smoke", "seed=3"])))


def test_a_grid_is_a_job_for_each_of_its_points(tmp_path, monkeypatch):
    words = ["experiment=smoke", "seed=0,1", "backbone=vim_micro,ssd_micro", "steps=range(1,4)"]
    jobs = expand(words, multirun=True)
    points = {
        (c.seed, c.backbone.kind, c.steps, c.logger.group)
        for c in (run_config(in_container(job, tmp_path, monkeypatch)) for job in jobs)
    }
    assert len(jobs) == 12
    assert points == set(product((0, 1), ("vim", "ssd"), (1, 2, 3), ("smoke",)))


@pytest.mark.parametrize("name", GRIDS)
def test_each_sweep_is_done_as_hydra_would(name, tmp_path, monkeypatch):
    compose_config([])  # which makes ${attacks:...} known
    params = OmegaConf.load(configuration_folder() / f"sweep/{name}.yaml").hydra.sweeper.params
    count = 1
    for values in OmegaConf.to_container(params, resolve=True).values():
        count *= re.sub(r"\[[^]]*\]", "a list", str(values)).count(",") + 1
    jobs = expand([f"sweep={name}"], multirun=False)
    assert len(jobs) == count
    assert len({job.identity for job in jobs}) == count
    assert {job.name for job in jobs} == {name}
    for job in (jobs[0], jobs[-1]):
        composed = in_container(job, tmp_path, monkeypatch)
        assert str(composed.hydra.mode) == "RunMode.RUN"
        assert identity(run_config(composed)) == job.identity


def test_the_command_line_has_the_last_word_in_a_sweep():
    jobs = expand(["sweep=backbone", "seed=7"], multirun=False)
    assert len(jobs) == 5
    assert {job.hyperparameters["seed"] for job in jobs} == {"7"}


def test_equal_runs_of_a_sweep_are_done_once():
    assert len(expand(["experiment=smoke", "seed=0,1,0"], multirun=True)) == 2
    # the name is no part of what a run is
    assert len(expand(["experiment=smoke", "name=a,b"], multirun=True)) == 1


def test_runs_of_a_sweep_are_told_apart_by_name(tmp_path, monkeypatch):
    jobs = expand(["experiment=smoke", "split.held_out='codec/*','edit/*'"], multirun=True)
    names = [run_config(in_container(job, tmp_path, monkeypatch)).name for job in jobs]
    assert [name.count("split.held_out=") for name in names] == [1, 1]
    assert len(set(names)) == 2
    assert {job.name for job in jobs} == {"smoke"}


def test_data_in_s3_is_a_channel(tmp_path, monkeypatch):
    words = [
        "experiment=smoke", "data.root=s3://b/recordings/", "data.extra=[s3://b/a,s3://c]",
        "init.path=s3://b/weights/vim.pth",
    ]  # fmt: skip
    (job,) = expand(words, multirun=False)
    assert job.channels == {
        "root": "s3://b/recordings/",
        "extra_0": "s3://b/a/",
        "extra_1": "s3://c/",
        "init": "s3://b/weights/vim.pth",
    }
    config = run_config(in_container(job, tmp_path, monkeypatch))
    assert config.data.root == str(tmp_path / "root")
    assert config.data.extra == [str(tmp_path / "extra_0"), str(tmp_path / "extra_1")]
    assert config.init.path == str(tmp_path / "init" / "vim.pth")


def test_manifests_in_s3_come_with_the_audio_beside_them(tmp_path, monkeypatch):
    words = [
        "split=official", "data.train=[s3://b/x/a.jsonl,s3://b/y/a.jsonl]",
        "data.test=[s3://b/z/t.jsonl]",
    ]  # fmt: skip
    (job,) = expand(words, multirun=False)
    assert job.channels == {
        "train_0": "s3://b/x/", "train_1": "s3://b/y/", "test_0": "s3://b/z/",
    }  # fmt: skip
    config = run_config(in_container(job, tmp_path, monkeypatch))
    assert config.data.train == [f"{tmp_path}/train_0/a.jsonl", f"{tmp_path}/train_1/a.jsonl"]
    assert config.data.test == [f"{tmp_path}/test_0/t.jsonl"]


def test_the_place_of_the_data_is_part_of_what_a_run_is():
    one, other = (
        expand(["experiment=smoke", f"data.root=s3://b/{name}"], multirun=False)[0]
        for name in ("x", "y")
    )
    assert one.hyperparameters == other.hyperparameters
    assert one.identity != other.identity


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data.root=audio/mine"], "`aws s3 cp --recursive audio/mine s3://BUCKET/mine`"),
        (["data=fakesound", "split=official"], "data.manifest=s3://BUCKET/fakesound/manifest"),
        (["init.path=vim.pth"], "`aws s3 cp vim.pth"),
        (["data.root=s3://"], "is on this machine"),
        (["seed=0,1"], "seed: has several values; add -m"),
        (["sweep=optuna"], "optim.lr: is a range to search; add --tune"),
        (["nosuch=1"], "nosuch: no such key"),
        (["backbone.depth=0"], "backbone.depth"),
        (["hydra.run.dir=x"], "hydra.run.dir: is chosen by the launcher"),
        (["resume=never"], "resume: is chosen by the launcher"),
        (["seed"], "seed: is not key=value"),
    ],
)
def test_what_cannot_be_done_is_said(words, said):
    with pytest.raises(InputError) as caught:
        expand(words, multirun=False)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_search_has_the_ranges_of_its_file():
    job = tuning(["sweep=optuna", "hydra.sweeper.trials=12", "hydra.sweeper.at_once=3"])
    params = compose_config(["sweep=optuna"], with_hydra=True).hydra.sweeper.params
    assert job.ranges is not None
    assert (job.ranges.trials, job.ranges.at_once) == (12, 3)
    assert {*job.ranges.integers, *job.ranges.floats} == set(params)
    assert job.ranges.floats["optim.lr"] == (5e-4, 8e-3, True)
    assert job.ranges.floats["loss.twin"] == (0.0, 1.5, False)
    assert job.ranges.integers == {"backbone.depth": (2, 6, False)}
    assert not set(params) & set(job.hyperparameters)


def test_choices_and_ranges_can_be_searched_too():
    job = tuning(["experiment=smoke", "backbone=vim_micro,ssd_micro", "seed=range(3,8)",
                  "steps=range(1,9,4)"])  # fmt: skip
    assert job.ranges is not None
    assert job.ranges.values == {"backbone": ("vim_micro", "ssd_micro"), "steps": ("1", "5")}
    assert job.ranges.integers == {"seed": (3, 7, False)}


def test_another_search_has_another_identity():
    identities = {
        tuning(["experiment=smoke", *words]).identity
        for words in (
            ["optim.lr=interval(0.1,0.2)"],
            ["optim.lr=interval(0.1,0.3)"],
            ["optim.lr=interval(0.1,0.2)", "seed=1"],
        )
    }
    assert len(identities) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["experiment=smoke"], "--tune: no key has several values"),
        (["optim.lr=interval(-1.0,0.5)"], "optim.lr=-1.0"),
        (["seed=" + ",".join(map(str, range(31)))], "seed: has 31 values"),
        (["seed=0,1", "+hydra.sweeper.trials=0"], "hydra.sweeper.trials=0"),
        (["nosuch=0,1"], "nosuch: no such key"),
    ],
)
def test_what_cannot_be_searched_is_said(words, said):
    with pytest.raises(InputError) as caught:
        tuning(words)
    assert said in str(caught.value)
