import os
import subprocess
import sys

from fakesound.training.tracking import flatten

UNREACHABLE = """
from pathlib import Path
from fakesound.training import tracking
from fakesound.config.compose import compose_config, run_config
config = run_config(compose_config(["experiment=smoke", "logger=online"]))
logger = tracking.make_logger(config, {}, Path("run"))
print("offline", logger.experiment.offline)
tracking.finish(failed=False)
"""


def test_numbers_are_logged_under_their_path_without_intervals():
    found = {"test": {"all": {"clip/auc": 0.5, "ci": {"clip/auc": [0, 1]}, "clips": 3}}}
    found |= {"validation": {"clip/eer": None}, "provenance": {"git": "x", "resumed": True}}
    assert flatten(found) == {"test/all/clip/auc": 0.5, "test/all/clips": 3}


def test_a_run_goes_on_offline_where_no_one_is_logged_in(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")}
    environment |= {"HOME": str(tmp_path), "NETRC": str(tmp_path / "none")}
    (tmp_path / "run").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", UNREACHABLE],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "offline True" in done.stdout
    assert "kept offline" in done.stderr
    assert list((tmp_path / "run").glob("wandb/offline-run-*/*.wandb"))
