import json

import pytest

from fakesound.evaluation.task import compare
from fakesound.metrics import subset_blocks
from fakesound.report import RunResults, read_run
from tests.run_factory import make_run, weakened


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """Return the folder of a finished run with enough sources for intervals, for reading only."""
    folder = tmp_path_factory.mktemp("report") / "run"
    return make_run(folder, sources=20, selection="codec/gsm", audio=True)


@pytest.fixture(scope="session")
def run(run_folder):
    return read_run(run_folder)


@pytest.fixture(scope="session")
def evaluation(run):
    """Return an evaluation with every section."""
    scores = run.test_scores
    conditions = {"clean": scores, "noise": weakened(scores, 1), "room": weakened(scores, 3)}
    metrics = run.metrics | {
        "validation": None,
        "audit": None,
        "provenance": None,
        "thresholds": {"clip": 0.4, "frame": 0.6, "origin": "the checkpoint"},
        "robustness": {
            "conditions": [
                {"name": name, "title": f"in {name}"}
                | {p: b for p, b in subset_blocks(clips, draws=20)["test"].items() if p != "attack"}
                for name, clips in conditions.items()
            ]
        },
        "paired": compare(scores, weakened(scores, 1, seed=1), ("ours", "theirs"), 20, 0),
        "remarks": ["12 genuine clips occur in two manifests and count once"],
    }
    return RunResults(
        run.folder,
        {},
        json.loads(json.dumps(metrics, allow_nan=False)),
        scores,
        command="fakesound evaluate --scores scores.jsonl --out 'my results'",
        title="two detectors",
    )
