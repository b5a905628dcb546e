import json
from dataclasses import replace

import numpy as np
import pytest

from fakesound.errors import InputError
from fakesound.evaluation.results import apply_calibration, compute_metrics
from fakesound.evaluation.robustness import robustness
from fakesound.metrics import ClipScore, Prior, logit, metrics_block
from fakesound.metrics.scores import FamilyScores
from fakesound.scoring.calibration import Calibrator
from fakesound.scoring.clip_score import head_thresholds
from fakesound.scoring.thresholds import Thresholds, select_thresholds
from fakesound.timeline import Region
from tests.factories import manifest_clip
from tests.metrics.conftest import build_scores

TEST, VALIDATION = build_scores(seed=1, pairs=12), build_scores(seed=2, pairs=12)
PRIOR = Prior(0.5, 0.2)


def test_thresholds_are_those_of_validation_after_calibration():
    calibrated = apply_calibration(TEST, VALIDATION, "logistic")
    validation = calibrated.calibrator.apply(VALIDATION)
    assert calibrated.thresholds == select_thresholds(validation)
    assert {clip.clip_threshold for clip in calibrated.test} == {calibrated.thresholds.clip}
    assert calibrated.origin == "validation"
    assert set(calibrated.before) == {"validation", "all", "seen", "unseen"}


@pytest.mark.parametrize("method", ["logistic", "isotonic"])
def test_a_calibration_that_makes_all_scores_equal_is_reported(method):
    inverted = [replace(clip, logit=-clip.logit, score=1 - clip.score) for clip in VALIDATION]
    calibrated = apply_calibration(TEST, inverted, method)
    assert len({clip.score for clip in calibrated.test}) == 1
    assert calibrated.constant.startswith("calibration: fakes ")
    assert apply_calibration(TEST, VALIDATION, method).constant is None


def test_each_hypothesis_that_is_calibrated_to_a_constant_is_reported():
    whole = [
        replace(
            clip,
            part_score=clip.score,
            whole_score=1 - clip.score,
            regions=(Region(0.0, clip.duration),) if clip.fake and number % 4 < 2 else clip.regions,
        )
        for number, clip in enumerate(VALIDATION)
    ]
    calibrated = apply_calibration(whole, whole, "logistic")
    assert calibrated.hypotheses.whole.slope == 0 < calibrated.hypotheses.part.slope
    assert calibrated.constant.startswith("calibration: whole fakes ")


def test_values_of_a_checkpoint_are_used_without_validation():
    calibrator = Calibrator("logistic", slope=2.0, intercept=-1.0)
    calibrated = apply_calibration(TEST, (), calibrator, Thresholds(0.3, 0.6), "the checkpoint")
    assert [c.logit for c in calibrated.test] == pytest.approx([2 * c.logit - 1 for c in TEST])
    assert {(c.clip_threshold, c.frame_threshold) for c in calibrated.test} == {(0.3, 0.6)}
    assert calibrated.origin == "the checkpoint"


def test_a_score_file_alone_is_calibrated_as_it_is():
    calibrated = apply_calibration(TEST, ())
    assert list(calibrated.test) == TEST
    assert calibrated.before is None
    found = compute_metrics(calibrated, PRIOR, 20, 0)
    assert found["validation"] is found["calibration"] is found["abstention"] is None
    # nothing undefined slips through as NaN
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["test"]["all"]["clip/auc"] == metrics_block(TEST)["clip/auc"]
    assert set(found["localisation"]) == {"all", "seen", "unseen"}


def test_further_heads_are_calibrated_by_thresholds_of_validation():
    def random_scores(clips, seed):
        rng = np.random.default_rng(seed)
        return [
            replace(
                clip,
                boundary_scores=rng.random(clip.frame_scores.size).astype(np.float32),
                family=FamilyScores({"family": 0.9, "edit": 0.1}, rng.normal()),
            )
            for clip in clips
        ]

    test, validation = random_scores(TEST, 1), random_scores(VALIDATION, 2)
    calibrated = apply_calibration(test, validation)
    found = compute_metrics(calibrated, PRIOR, 0, 0)
    expected = head_thresholds(validation)
    assert {clip.boundary_threshold for clip in calibrated.test} == {expected["boundary"]}
    for clip in calibrated.test:
        assert clip.family.unknown == (clip.family.energy > expected["energy"])
    assert found["attribution"]["accuracy"] == 1
    assert set(found["boundary"]) == {"all", "seen", "unseen"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    # and say nothing where there are none
    assert (
        not {"boundary", "attribution"}
        & compute_metrics(apply_calibration(TEST, VALIDATION), PRIOR, 0, 0).keys()
    )


def test_regions_of_detections_have_figures_of_their_own():
    # above the threshold everywhere in the region, and in a flicker too short for a region
    frames = np.full(50, 0.1, np.float32)
    frames[10:30], frames[40:42] = 0.9, 0.6
    fakes = [
        ClipScore.of(
            manifest_clip(str(number), (0.2, 0.6), duration=1.0),
            score,
            logit=logit(score),
            frame_scores=frames,
            clip_threshold=0.4,
        )
        for number, score in enumerate((0.9, 0.45, 0.35))
    ]
    found = compute_metrics(apply_calibration(fakes, ()), PRIOR, 0, 0, confidence=0.6)
    block = found["localisation"]["all"]
    # 20 of 22 frames are right in each of the three
    assert found["test"]["all"]["segment_f1_20ms"] == pytest.approx(2 * 20 / (22 + 20))
    # the first is fake, the second uncertain; the third is genuine and without regions
    assert block["detected_segment_f1_20ms"] == pytest.approx(2 * 40 / (40 + 60))
    assert block["detected_event_f1"] == pytest.approx(2 * 2 / (2 + 3))


def test_a_system_without_frames_has_no_figures_of_localisation():
    clips = [replace(clip, frame_scores=np.zeros(0, np.float32)) for clip in TEST]
    found = compute_metrics(apply_calibration(clips, ()), PRIOR, 20, 0, confidence=0.7)
    assert found["localisation"] is None
    assert found["test"]["all"]["segment_f1_20ms"] is None
    assert found["test"]["all"]["clip/auc"] is not None
    assert found["abstention"]["confidence"] == 0.7


def test_conditions_are_calibrated_by_the_clean_calibration_and_thresholds():
    calibrated = apply_calibration(TEST, VALIDATION, "logistic")

    class Louder:
        name, title = "louder", "louder"

    with pytest.raises(InputError, match="louder"):
        list(robustness([Louder], calibrated, lambda _: [TEST[1:]], 0, 0))
    clean, same = robustness([Louder], calibrated, lambda _: [TEST], 0, 0)
    assert (clean["name"], same["name"]) == ("clean", "louder")
    assert clean["all"] == same["all"] == metrics_block(calibrated.test)
