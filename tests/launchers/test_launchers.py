"""Sweeps of two seeds and two settings by every launcher with a preset."""

import importlib
import json
import os
import re

import pytest

from fakesound.config.compose import compose_config
from tests.conftest import succeed
from tests.launchers import slurm

QUICK = ("epochs=1", "steps=1", "report.draws=0", "report.examples=1", "logger=disabled")
VARIED = ("seed=0,1", "optim.lr=0.001,0.003")
LAUNCHERS = {
    "joblib": ("hydra_plugins.hydra_joblib_launcher", "hydra.launcher.n_jobs=2"),
    "submitit_local": ("submitit", "hydra.launcher.timeout_min=20"),
    "slurm": ("submitit", "hydra.launcher.partition=gpu"),
    "ray": ("ray", "hydra.launcher.cpus=1"),
}


def finished(folder):
    return {path: path.stat().st_mtime_ns for path in folder.glob("outputs/sweep/*/metrics.json")}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_restarted_sweep_does_only_missing_runs(launcher, small, tmp_path, monkeypatch):
    module, setting = LAUNCHERS[launcher]
    pytest.importorskip(module)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    commands = tmp_path / "commands"
    commands.mkdir()
    if launcher == "slurm":
        slurm.install(commands)
        monkeypatch.setenv("PATH", str(commands), prepend=os.pathsep)
    chosen = (f"hydra/launcher={launcher}", setting, "resume=auto", "name=sweep")
    command = ("-m", *small, *QUICK, *VARIED, *chosen)
    succeed("run", *command, folder=tmp_path, timeout=1200)
    before = finished(tmp_path)
    assert len(before) == 4
    compared = json.loads((tmp_path / "outputs/sweep/comparison.json").read_text())
    assert sorted(row["seed"] for row in compared["runs"]) == [0, 0, 1, 1]
    lost = min(before)
    lost.unlink()
    succeed("run", *command, folder=tmp_path, timeout=1200)
    after = finished(tmp_path)
    assert {path for path in after if after[path] != before[path]} == {lost}
    if launcher == "slurm":
        script = (commands / "100.sbatch").read_text()
        for flag in ("--array=0-3%4", "--partition=gpu", "--time=240", "--mem=32GB"):
            assert f"#SBATCH {flag}\n" in script, flag
        assert re.search(r"#SBATCH --gpus-per-node=1\n", script)
        assert re.search(r"#SBATCH --signal=(SIG)?USR2@120\n", script)


def test_the_slurm_preset_requests_the_resources_of_a_run():
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    chosen = ["hydra/launcher=slurm", "trainer.devices=4", "data.batch_size=32"]
    settings = compose_config(chosen, with_hydra=True).hydra.launcher
    assert settings["_target_"].endswith("SlurmLauncher")
    assert (settings.gpus_per_node, settings.tasks_per_node, settings.nodes) == (4, 1, 1)
    assert settings.max_num_timeout > 0


def test_a_missing_launcher_is_named(tmp_path, monkeypatch):
    run = importlib.import_module("fakesound.run")
    monkeypatch.setattr(run, "find_spec", lambda name: None)
    with pytest.raises(run.InputError, match=r"hydra/launcher=slurm: .* pip install '\.\[slurm\]'"):
        run._check_launcher(["seed=0,1", "hydra/launcher=slurm"])
    settings = compose_config(["hydra/launcher=ray"], with_hydra=True).hydra
    with pytest.raises(run.InputError, match=r"hydra/launcher: ray is not .* '\.\[ray\]'"):
        run._check_plugins(settings)
