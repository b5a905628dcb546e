import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fakesound.metrics.scores import FamilyScores
from fakesound.models.heads import POOLINGS, pool
from fakesound.models.heads import pool_families as model_pool_families
from fakesound.scoring.clip_score import (
    clip_logits,
    head_thresholds,
    pool_families,
    pool_frames,
    score_clip,
    with_head_thresholds,
)
from tests import factories


def make_clip(frames, regions=(), clip_id="a"):
    return factories.make_clip(
        clip_id,
        regions=regions,
        source_id="source",
        duration=frames * 0.02,
        domain="room",
    )


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("scale", [1, 500])
def test_pooling_is_that_of_the_model(pooling, scale):
    rng = np.random.default_rng(0)
    evidence, attention = scale * rng.normal(size=40), 5 * rng.normal(size=40)
    mask = torch.ones(1, 40, dtype=torch.bool)
    given = torch.from_numpy(evidence)[None], torch.from_numpy(attention)[None]
    expected = pool(*given, mask, pooling)
    assert pool_frames(evidence, attention, pooling) == pytest.approx(expected.item(), rel=1e-10)


def test_families_are_pooled_as_in_the_model():
    rng = np.random.default_rng(0)
    logits, attention = rng.normal(size=(40, 3)), rng.normal(size=40)
    mask = torch.ones(1, 40, dtype=torch.bool)
    expected = model_pool_families(
        torch.from_numpy(logits)[None], torch.from_numpy(attention)[None], mask
    )[0]
    np.testing.assert_allclose(pool_families(logits, attention), expected.numpy())


def test_a_score_holds_the_outputs_of_every_head():
    rng = np.random.default_rng(0)
    frames, families = rng.normal(size=50), rng.normal(size=(50, 2))
    outputs = {
        "frame_logits": frames,
        "evidence": frames,
        "boundary_logits": -frames,
        "family_logits": families,
        "family_attention": np.zeros(50),
    }
    clip = make_clip(50, [(0.2, 0.4)])
    score = score_clip(clip, outputs, "max", ("codec", "edit"), "unseen")
    assert score.logit == frames.max()
    assert score.score == pytest.approx(torch.tensor(frames.max()).sigmoid().item())
    expected = torch.from_numpy(frames).sigmoid().numpy()
    np.testing.assert_allclose(score.frame_scores, expected, atol=1e-7)
    np.testing.assert_allclose(score.boundary_scores, 1 - score.frame_scores, atol=1e-6)
    assert score.frame_scores.dtype == np.float32
    mean = np.exp(families.mean(0))
    assert score.family.scores["edit"] == pytest.approx(mean[1] / mean.sum())
    assert score.family.energy == pytest.approx(-np.log(mean.sum()))
    copied = ("clip_id", "label", "attack", "regions", "corpus", "domain", "source_id", "duration")
    assert [getattr(score, key) for key in copied] == [getattr(clip, key) for key in copied]
    assert (score.fold, score.frame_step) == ("unseen", 0.02)


@pytest.mark.parametrize(("logits", "subtracted"), [([5.0, 1, 0], 1.0), ([-5.0, 1, 1], 0.0)])
def test_frames_of_two_hypotheses_are_measured_against_the_whole_clip(logits, subtracted):
    """Half of a positive mean goes to the hypothesis that all of the clip is fake."""
    frames = np.array(logits)
    outputs = {"frame_logits": frames, "evidence": frames, "attention": np.zeros(3)}
    result = score_clip(make_clip(3), outputs).frame_scores
    np.testing.assert_allclose(result, 1 / (1 + np.exp(-frames)), rtol=1e-6)
    outputs["whole_evidence"] = np.zeros(3)
    result = score_clip(make_clip(3), outputs, "two_way").frame_scores
    np.testing.assert_allclose(result, 1 / (1 + np.exp(subtracted - frames)), rtol=1e-6)


def test_a_detector_without_further_heads_has_no_scores_of_them():
    score = score_clip(make_clip(50), {"frame_logits": np.zeros(50)})
    assert score.boundary_scores.size == 0
    assert score.family is None
    assert head_thresholds([score]) == {}
    (same,) = with_head_thresholds([score], {"energy": 0.0, "boundary": 0.1})
    assert (same.family, same.boundary_threshold) == (None, 0.5)


def test_thresholds_of_further_heads_come_from_validation_and_are_applied():
    clips = [make_clip(50, [(0.2, 0.4)], str(number)) for number in range(21)]
    families = [FamilyScores({"edit": 1.0}, float(number)) for number in range(21)]
    sure = np.full(50, -4.0)
    # the edges at 0.2 and 0.4 s are in frames 10 and 19, and a false one is lower
    sure[[10, 19]], sure[40] = 2.0, -1.0
    outputs = {"frame_logits": sure, "boundary_logits": sure}
    result = [
        replace(score_clip(clip, outputs, fold="seen"), family=family)
        for clip, family in zip(clips, families, strict=True)
    ]
    thresholds = head_thresholds(result)
    assert thresholds["energy"] == 19
    low, high = (float(torch.tensor(at).sigmoid()) for at in (-1.0, 2.0))
    assert thresholds["boundary"] == pytest.approx((low + high) / 2)
    applied = with_head_thresholds(result, thresholds)
    assert [clip.family.name for clip in applied] == ["edit"] * 20 + ["unknown"]
    assert {clip.boundary_threshold for clip in applied} == {thresholds["boundary"]}


def test_pooling_is_finite_for_any_attention():
    evidence = np.array([1.0, 5.0])
    assert pool_frames(evidence, np.array([-1e4, 1e4])) == 5
    assert pool_frames(evidence, np.array([1e4, 1e4])) == 3


def test_a_model_of_clips_alone_has_no_frames():
    score = score_clip(make_clip(50), {"evidence": np.zeros(50), "attention": np.zeros(50)})
    assert score.frame_scores.size == 0
    assert score.score == 0.5


def test_a_model_of_frames_alone_scores_a_clip_by_its_loudest_100_ms():
    frames = np.full(50, -4.0)
    frames[10] = 9.0
    frames[30:35] = [1, 2, 3, 2, 1]
    assert clip_logits({"frame_logits": frames}, "attention").clip == pytest.approx(9 / 5)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_clip_shorter_than_100_ms_is_scored_by_the_mean(count):
    frames = np.arange(count) - 1.0
    assert clip_logits({"frame_logits": frames}, "attention").clip == pytest.approx(frames.mean())


@pytest.mark.parametrize("sure", [-1e6, 1e6])
def test_boundless_logits_stay_scores(sure):
    frames = np.full(5, sure)
    outputs = {"evidence": frames, "attention": np.zeros(5), "frame_logits": frames}
    score = score_clip(make_clip(5), outputs)
    assert score.logit == np.clip(sure, -30, 30)
    assert 0 <= score.frame_scores.min() <= score.frame_scores.max() <= 1
    assert (score.score > 0.5) == (sure > 0)


def test_two_hypotheses_make_one_score():
    outputs = {
        "evidence": np.array([-2.0, 4.0]),
        "attention": np.array([0.0, 100.0]),
        "whole_evidence": np.array([-3.0, 1.0]),
    }
    result = clip_logits(outputs, "two_way")
    assert (result.part, result.whole) == (4.0, -1.0)
    # half the fakes are of either kind: the mean of both likelihood ratios
    assert result.clip == pytest.approx(math.log((math.exp(4) + math.exp(-1)) / 2))
