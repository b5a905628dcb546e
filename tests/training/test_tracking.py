import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import wandb
from wandb.proto import wandb_internal_pb2

from fakesound.config.compose import compose_config, run_config
from fakesound.provenance import software_version
from fakesound.training import tracking
from fakesound.training.tracking import blocks, flatten, summary
from tests.run_factory import make_run

ROOT = Path(__file__).parents[2]

# of a .wandb file, in bytes
HEADER, BLOCK, CHUNK_HEADER = 7, 32_768, 7
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
    result = {"test": {"all": {"clip/auc": 0.5, "ci": {"clip/auc": [0, 1]}, "clips": 3}}}
    result |= {"validation": {"clip/eer": None}, "provenance": {"git": "x", "resumed": True}}
    assert flatten(result) == {"test/all/clip/auc": 0.5, "test/all/clips": 3}


def test_a_run_continues_offline_where_no_one_is_logged_in(tmp_path):
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
    assert "logged offline" in done.stderr
    assert list((tmp_path / "run").glob("wandb/offline-run-*/*.wandb"))


def records(folder):
    """Yield the records of the offline run in ``folder``."""
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    data, place, held = path.read_bytes(), HEADER, b""
    while place + CHUNK_HEADER <= len(data):
        # chunks are those of LevelDB's log: none begins where its header does not fit the block
        left = BLOCK - place % BLOCK
        if left < CHUNK_HEADER:
            place += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, place)
        place += CHUNK_HEADER + size
        held += data[place - size : place]
        # whole, or the last of several
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(held)
            held = b""
            yield record


def written(record):
    """Return the keys of a record of the history or the summary, as W&B names them."""
    part = record.history.item if record.HasField("history") else record.summary.update
    return [item.key or "/".join(item.nested_key) for item in part]


def artifacts(found):
    asked = [r.request.log_artifact.artifact for r in found if r.request.HasField("log_artifact")]
    return [*asked, *(record.artifact for record in found if record.HasField("artifact"))]


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """Return the results and the records of a run of 45 steps in three epochs."""
    folder = make_run(tmp_path_factory.mktemp("wandb") / "run", sources=3, audio=True)
    overrides = ["experiment=smoke", "logger=offline", "name='a b=c'", "logger.every_steps=5"]
    config = run_config(compose_config(overrides))
    (folder / "checkpoints").mkdir(exist_ok=True)
    for name in ("checkpoints/best.ckpt", "report.html", "manifest.jsonl"):
        if not (folder / name).is_file():
            (folder / name).write_text(name)
    results = json.loads((folder / "metrics.json").read_text())
    logger = tracking.make_logger(config, {"seed": 0}, folder)
    for step in range(1, 46):
        logger.log_metrics({"step/loss": 1 / step}, step=step)
        if step % 15 == 0:
            logger.log_metrics({"validation/clip/auc": step / 45, "epoch": step // 15}, step=step)
    tracking.log_results(logger, results, [], [], {})
    tracking.log_artifacts(logger, config, folder)
    tracking.finish(failed=False)
    # its process closes the file
    wandb.teardown()
    return results, list(records(folder))


def test_the_configuration_of_a_run_has_the_version(offline):
    _, records = offline
    (run,) = [record.run for record in records if record.HasField("run")]
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert config["seed"] == 0
    assert config["fakesound"] == software_version()


def test_an_offline_run_has_whole_curves_and_few_figures(offline):
    results, records = offline
    history = [key for record in records if record.HasField("history") for key in written(record)]
    assert history.count("step/loss") == 45
    assert history.count("validation/clip/auc") == 3
    keys = {key for record in records if record.HasField("summary") for key in written(record)}
    own = {key for key in keys if not key.startswith("_")}
    assert set(summary(results)) <= own
    assert len(own) <= 20
    assert "step/loss" not in own


def test_an_offline_run_has_its_files_as_artifacts(offline):
    _, records = offline
    requests = [
        r.request.log_artifact.artifact for r in records if r.request.HasField("log_artifact")
    ]
    named = {a.type: (a.name, set(a.aliases)) for a in [*requests, *artifacts(records)]}
    for kind, alias in (("model", "best"), ("report", "final"), ("manifest", "used")):
        name, aliases = named[kind]
        assert name == f"a-b-c-{kind}"
        assert {alias, "seed-0"} <= aliases


def test_the_summary_has_intervals_of_the_main_figures(tmp_path):
    results = json.loads((make_run(tmp_path / "run", sources=3) / "metrics.json").read_text())
    result = summary(results)
    assert len(result) <= 17
    block = results["test"]["unseen"]
    assert result["test/unseen/clip/auc"] == block["clip/auc"]
    interval = block["ci"].get("clip/auc")
    if interval is not None:
        low, high = result["test/unseen/clip/auc/low"], result["test/unseen/clip/auc/high"]
        assert [low, high] == interval
    del results["test"]["unseen"]
    assert "test/all/clip/auc" in summary(results)


def test_the_guide_lists_the_summary(tmp_path):
    results = json.loads((make_run(tmp_path / "run", sources=3) / "metrics.json").read_text())
    guide = (ROOT / "docs" / "wandb.md").read_text(encoding="utf-8")
    rows = [row for row in guide.splitlines() if row.startswith("| summary ")]
    listed = set(re.findall(r"`(\w[\w/]*)`", " ".join(rows)))
    assert listed == {key for key in summary(results) if not key.endswith(("/low", "/high"))}


def test_every_number_has_a_row():
    results = {"test": {"all": {"a": 1, "ci": {"a": [0, 2]}}, "attack": {"x/y": {"b": 2.0}}}}
    assert {name: flatten(block) for name, block in blocks(results).items()} == {
        "test/all": {"a": 1},
        "test/attack/x/y": {"b": 2.0},
    }
