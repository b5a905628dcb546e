import json
from dataclasses import replace

import numpy as np
import pytest

from fakesound.evaluation.results import figures, judge
from fakesound.evaluation.robustness import robustness
from fakesound.metrics import Prior, metrics_block
from fakesound.metrics.scores import FamilyScores
from fakesound.scoring.calibration import Calibrator
from fakesound.scoring.clip_score import head_thresholds
from fakesound.scoring.thresholds import Thresholds, select_thresholds
from tests.metrics.conftest import build_scores

TEST, VALIDATION = build_scores(seed=1, pairs=12), build_scores(seed=2, pairs=12)
PRIOR = Prior(0.5, 0.2)


def test_thresholds_are_those_of_validation_after_calibration():
    judged = judge(TEST, VALIDATION, "logistic")
    calibrated = judged.calibrator.applied(VALIDATION)
    assert judged.thresholds == select_thresholds(calibrated, 0.5)
    assert {clip.clip_threshold for clip in judged.test} == {judged.thresholds.clip}
    assert judged.origin == "validation"
    assert set(judged.before) == {"validation", "all", "seen", "unseen"}


def test_what_a_checkpoint_carries_is_taken_without_validation():
    calibrator = Calibrator("logistic", slope=2.0, intercept=-1.0)
    judged = judge(TEST, (), calibrator, Thresholds(0.3, 0.6), "the checkpoint")
    assert [c.logit for c in judged.test] == pytest.approx([2 * c.logit - 1 for c in TEST])
    assert {(c.clip_threshold, c.frame_threshold) for c in judged.test} == {(0.3, 0.6)}
    assert judged.origin == "the checkpoint"


def test_a_score_file_alone_is_judged_as_it_is():
    judged = judge(TEST, ())
    assert list(judged.test) == TEST
    assert judged.before is None
    found = figures(judged, PRIOR, 20, 0)
    assert found["validation"] is found["calibration"] is found["abstention"] is None
    # nothing undefined slips through as NaN
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["test"]["all"]["clip/auc"] == metrics_block(TEST)["clip/auc"]
    assert set(found["localisation"]) == {"all", "seen", "unseen"}


def test_further_heads_are_judged_by_thresholds_of_validation():
    def said(clips, seed):
        rng = np.random.default_rng(seed)
        return [
            replace(
                clip,
                boundary_scores=rng.random(clip.frame_scores.size).astype(np.float32),
                family=FamilyScores({"family": 0.9, "edit": 0.1}, rng.normal()),
            )
            for clip in clips
        ]

    test, validation = said(TEST, 1), said(VALIDATION, 2)
    judged = judge(test, validation)
    found = figures(judged, PRIOR, 0, 0)
    expected = head_thresholds(validation)
    assert {clip.boundary_threshold for clip in judged.test} == {expected["boundary"]}
    for clip in judged.test:
        assert clip.family.unknown == (clip.family.energy > expected["energy"])
    assert found["attribution"]["accuracy"] == 1
    assert set(found["boundary"]) == {"all", "seen", "unseen"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    # and say nothing where there are none
    assert not {"boundary", "attribution"} & figures(judge(TEST, VALIDATION), PRIOR, 0, 0).keys()


def test_a_system_without_frames_has_no_figures_of_localisation():
    clips = [replace(clip, frame_scores=np.zeros(0, np.float32)) for clip in TEST]
    found = figures(judge(clips, ()), PRIOR, 20, 0, confidence=0.7)
    assert found["localisation"] is None
    assert found["test"]["all"]["segment_f1_20ms"] is None
    assert found["test"]["all"]["clip/auc"] is not None
    assert found["abstention"]["confidence"] == 0.7


def test_conditions_are_judged_by_the_clean_calibration_and_thresholds():
    judged = judge(TEST, VALIDATION, "logistic")

    class Louder:
        name, title = "louder", "louder"

    clean, same = robustness([Louder], judged, lambda _: TEST, 0, 0)
    assert (clean["name"], same["name"]) == ("clean", "louder")
    assert clean["all"] == same["all"] == metrics_block(judged.test)
