"""What SageMaker tells a container, and the run that it means."""

import json
from pathlib import Path

import pytest

from fakesound.cloud import container as module
from fakesound.cloud.container import (
    count_gpus,
    distributed_overrides,
    launcher,
    overrides_of,
    read_container,
    variables,
)
from fakesound.config.compose import compose_config, run_config
from fakesound.errors import InputError

RESOURCES = {"current_host": "algo-2", "hosts": ["algo-10", "algo-2", "algo-1"],
             "network_interface_name": "eth0"}  # fmt: skip


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Return a function that writes what SageMaker writes, and what is read of it."""
    monkeypatch.setattr(module, "count_gpus", lambda: 0)

    def tell(hyperparameters=None, resources=None, channels=(), **environment):
        config = tmp_path / "input" / "config"
        config.mkdir(parents=True, exist_ok=True)
        inputs = {name: {"TrainingInputMode": "FastFile"} for name in channels}
        for name in channels:
            (tmp_path / "input" / "data" / name).mkdir(parents=True, exist_ok=True)
        for name, content in (
            ("hyperparameters", hyperparameters),
            ("resourceconfig", resources),
            ("inputdataconfig", inputs),
        ):
            if content is not None:
                (config / f"{name}.json").write_text(json.dumps(content))
        return read_container(tmp_path, environment)

    return tell


def config_of(container):
    return run_config(compose_config(overrides_of(container)))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        # as the console and this project's launcher send them
        ("split.held_out", "inpainting/*", "inpainting/*"),
        ("split.held_out", "['codec/*',edit/splice]", ["codec/*", "edit/splice"]),
        ("name", "'a=1,b=2'", "a=1,b=2"),
        ("epochs", "7", 7),
        ("optim.lr", "1e-3", 1e-3),
        ("data.root", "null", None),
        # as AWS's SDK does, in JSON
        ("split.held_out", '"inpainting/*"', "inpainting/*"),
        ("split.held_out", '["codec/*", "edit/splice"]', ["codec/*", "edit/splice"]),
        ("name", '"a=1,b=2"', "a=1,b=2"),
        ("name", '"it\'s, \\\\ "', "it's, \\ "),
        ("epochs", '"7"', 7),
        ("optim.lr", '"0.001"', 1e-3),
        ("heads.boundary", "true", True),
        ("heads.boundary", '"true"', True),
    ],
)
def test_hyperparameters_are_read_as_they_were_meant(told, key, value, expected):
    found = config_of(told({"experiment": "smoke", key: value}))
    for part in key.split("."):
        found = getattr(found, part)
    assert found == expected


def test_hyperparameters_of_sagemakers_own_are_left_out(told):
    container = told(
        {
            "seed": "1",
            "_tuning_objective_metric": "objective",
            "sagemaker_program": '"x.py"',
            "sagemaker_region": '"eu"',
        }
    )
    assert overrides_of(container) == ["seed=1"]


def test_keys_may_be_added_and_taken_away(told):
    container = told({"+trainer.max_time": "00:01:00:00", "~data.crop.weights": ""})
    assert overrides_of(container) == ["+trainer.max_time=00:01:00:00", "~data.crop.weights"]


def test_nothing_told_is_the_default_run(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "count_gpus", lambda: 0)
    container = read_container(tmp_path, {})
    assert overrides_of(container) == []
    assert container.leads
    assert launcher(container, 1) == []


def test_variables_of_the_toolkit_count(told, tmp_path):
    container = told(
        SM_HPS=json.dumps({"seed": 4, "split": {"a": 1}, "experiment": "smoke"}),
        SM_HOSTS='["algo-1","algo-2"]',
        SM_CURRENT_HOST="algo-2",
        SM_NUM_GPUS="8",
        SM_MODEL_DIR="/m",
        SM_OUTPUT_DATA_DIR="/o",
        SM_CHANNEL_ROOT="/audio",
    )
    assert container.hyperparameters["seed"] == "4"
    assert (container.hosts, container.host, container.gpus) == (("algo-1", "algo-2"), "algo-2", 8)
    assert (container.model, container.results) == (Path("/m"), Path("/o"))
    assert container.channels == {"root": Path("/audio")}
    assert container.checkpoints == tmp_path / "checkpoints"


def test_channels_are_data(told, tmp_path):
    container = told({"experiment": "smoke"}, channels=("root", "extra_0", "extra_1", "other"))
    found = config_of(container).data
    at = tmp_path / "input" / "data"
    assert (found.root, found.extra) == (
        str(at / "root"),
        [str(at / "extra_0"), str(at / "extra_1")],
    )


def test_channels_hold_manifests(told, tmp_path):
    at = tmp_path / "input" / "data"
    for name, file in (("train_0", "a"), ("train_1", "manifest"), ("train_1", "b"), ("test", "t")):
        (at / name).mkdir(parents=True, exist_ok=True)
        (at / name / f"{file}.jsonl").touch()
    container = told({"split": "official"}, channels=("train_0", "train_1", "test"))
    found = config_of(container).data
    assert found.train == [str(at / "train_0/a.jsonl"), str(at / "train_1/manifest.jsonl")]
    assert found.test == [str(at / "test/t.jsonl")]


@pytest.mark.parametrize("files", [(), ("a.jsonl", "b.jsonl")])
def test_a_channel_without_one_manifest_is_said(told, tmp_path, files):
    for file in files:
        (tmp_path / "input/data/manifest").mkdir(parents=True, exist_ok=True)
        (tmp_path / "input/data/manifest" / file).touch()
    with pytest.raises(InputError, match=rf"channel manifest: holds {len(files)} files"):
        overrides_of(told(channels=("manifest",)))


def test_hyperparameters_count_more_than_channels(told):
    container = told({"data.root": "${oc.env:SM_CHANNEL_ROOT}"}, channels=("root",))
    assert overrides_of(container) == ["data.root=${oc.env:SM_CHANNEL_ROOT}"]
    assert variables(container)["SM_CHANNEL_ROOT"] == str(container.channels["root"])


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_file_that_is_not_sagemakers_is_named(told, tmp_path, text):
    told({})
    (tmp_path / "input/config/hyperparameters.json").write_text(text)
    with pytest.raises(InputError, match=r"hyperparameters\.json: "):
        read_container(tmp_path, {})


def test_one_process_needs_no_torchrun(told):
    for gpus in ("0", "1"):
        container = told(SM_NUM_GPUS=gpus)
        assert distributed_overrides(container, []) == []
        assert launcher(container, 1) == launcher(container, "auto") == []


def test_gpus_of_one_machine_are_joined(told):
    container = told({"trainer": "gpu"}, SM_NUM_GPUS="4")
    words = distributed_overrides(container, overrides_of(container))
    trainer = run_config(compose_config([*overrides_of(container), *words])).trainer
    assert (trainer["devices"], trainer["num_nodes"], trainer["accelerator"]) == (4, 1, "gpu")
    options = launcher(container, trainer["devices"])
    assert options[:2] == ["-m", "torch.distributed.run"]
    assert {"--nnodes=1", "--nproc-per-node=4", "--node-rank=0"} <= set(options)
    assert "--master-addr=127.0.0.1" in options


def test_machines_meet_at_the_first(told):
    container = told(resources=RESOURCES, SM_NUM_GPUS="2")
    assert container.hosts == ("algo-1", "algo-2", "algo-10")
    assert not container.leads
    assert {"--nnodes=3", "--node-rank=1", "--nproc-per-node=2", "--master-addr=algo-1"} <= set(
        launcher(container, 2)
    )
    assert "++trainer.num_nodes=3" in distributed_overrides(container, [])
    found = variables(container)
    assert found["NCCL_SOCKET_IFNAME"] == found["GLOO_SOCKET_IFNAME"] == "eth0"
    assert told(resources=RESOURCES | {"current_host": "algo-1"}).leads


def test_torchrun_takes_these_options(told):
    from torch.distributed.run import get_args_parser

    options = launcher(told(resources=RESOURCES, SM_NUM_GPUS="2"), "auto")[2:]
    parsed = get_args_parser().parse_args([*options, "-m", "fakesound.run", "seed=1"])
    assert (parsed.nnodes, parsed.nproc_per_node, parsed.node_rank) == ("3", "2", 1)
    assert (parsed.module, parsed.training_script) == (True, "fakesound.run")


def test_devices_that_are_given_stay(told):
    container = told({"trainer.devices": "2"}, SM_NUM_GPUS="4")
    words = distributed_overrides(container, overrides_of(container))
    assert words == ["++trainer.num_nodes=1"]
    assert "--nproc-per-node=2" in launcher(container, 2)
    assert launcher(container, 1) == []


def test_gpus_are_those_that_nvidia_smi_lists(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\necho 'GPU 0: A10G (UUID: GPU-1)'\necho 'GPU 1: A10G (UUID: GPU-2)'\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert count_gpus() == 2
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    assert count_gpus() == 0
