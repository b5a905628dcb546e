from dataclasses import replace

import numpy as np
import pytest

from fakesound.metrics import Prior, baseline_blocks, metrics_block


@pytest.fixture
def scores(make_clip):
    """Three fakes of four clips; a fake quarter of each fake."""
    return [
        make_clip(str(i), 0.7, regions=[(0.5, 0.75)] if i else (), frames=[0.6] * 50)
        for i in range(4)
    ]


def of_all(scores, prior):
    return baseline_blocks(scores, prior, {"all": scores})["all"]


def test_parts_are_those_of_their_clips_alone(scores):
    prior = Prior(0.75, 0.2)
    blocks = baseline_blocks(scores, prior, {"all": scores, "two": scores[1:3]})
    assert blocks == {"all": of_all(scores, prior), "two": of_all(scores[1:3], prior)}


def test_prior_of_clips(scores):
    prior = Prior.of(scores)
    assert (prior.clip, prior.frame) == (0.75, pytest.approx(3 * 0.25 / 4))


def test_prior_counts_overlapping_regions_once(make_clip):
    assert Prior.of([make_clip(regions=[(0, 0.5), (0.25, 1)])]).frame == 1


def test_all_fake_and_all_genuine(scores):
    blocks = of_all(scores, Prior(0.75, 0.2))
    fake, genuine = blocks["all_fake"], blocks["all_genuine"]
    assert (fake["clip/accuracy"], genuine["clip/accuracy"]) == (0.75, 0.25)
    # 13 of 50 frames touch the region of each of three clips
    positives = 3 * 13
    assert fake["segment_f1_20ms"] == pytest.approx(2 * positives / (positives + 200))
    assert genuine["segment_f1_20ms"] == 0
    assert (fake["clip/ece"], genuine["clip/ece"]) == (0.25, 0.75)
    assert (fake["clip/act_dcf"], genuine["clip/act_dcf"]) == (pytest.approx(1.9), 1)


def test_rank_figures_are_chance(scores):
    for block in of_all(scores, Prior.of(scores)).values():
        for key in ("clip/auc", "clip/eer", "frame/auc", "frame/eer", "range_eer"):
            assert block[key] == 0.5
        assert block["clip/min_dcf"] == 1
        assert block["clip/ap"] == 0.75


def test_prior_is_calibrated(scores):
    block = of_all(scores, Prior.of(scores))["prior"]
    assert block["clip/ece"] == 0
    even = of_all(scores, Prior(0.5, 0.5))["prior"]
    assert even["clip/cllr"] == pytest.approx(1)
    assert even["clip/accuracy"] == 0.25  # a half is not above the threshold


def test_baselines_do_not_depend_on_the_system(scores):
    silent = [
        replace(c, score=0.5, logit=0.0, frame_scores=np.zeros(0, np.float32), clip_threshold=1.0)
        for c in scores
    ]
    assert metrics_block(silent)["segment_f1_20ms"] is None
    assert of_all(silent, Prior(0.7, 0.1)) == of_all(scores, Prior(0.7, 0.1))
