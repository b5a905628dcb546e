import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fakesound.metrics.scores import FamilyScores
from fakesound.models.heads import POOLINGS, pool
from fakesound.models.heads import pool_families as model_pool_families
from fakesound.scoring.clip_score import (
    ClipLogits,
    FurtherHeads,
    clip_logits,
    clip_scores,
    head_thresholds,
    pool_families,
    pool_frames,
    score_outputs,
    stitch,
    with_head_thresholds,
)
from fakesound.timeline import FrameGrid
from tests import factories


def cover(frames, width, hop):
    """Starts of windows that cover ``frames``, the last one flush with the end."""
    return [*range(0, frames - width, hop), frames - width]


def make_clip(frames, regions=(), clip_id="a"):
    return factories.make_clip(
        clip_id,
        regions=regions,
        source_id="source",
        duration=frames * 0.02,
        domain="room",
    )


def scored(clips, frame_logits=None, logits=None):
    found = [ClipLogits(logit) for logit in logits or [0.0] * len(clips)]
    return clip_scores(clips, FrameGrid(), lambda clip: "unseen", frame_logits, found)


@settings(deadline=None, max_examples=50)
@given(
    frames=st.integers(5, 60), width=st.integers(1, 20), hop=st.integers(1, 20), seed=st.integers(0)
)
def test_windows_that_agree_give_back_what_they_agree_on(frames, width, hop, seed):
    width, truth = min(width, frames), np.random.default_rng(seed).normal(size=frames)
    starts = cover(frames, width, min(hop, width))
    windows = [truth[start : start + width] for start in starts]
    np.testing.assert_allclose(stitch(windows, starts, frames), truth, atol=1e-12)


def test_windows_apart_are_joined():
    parts = [np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])]
    assert stitch(parts, [0, 2], 5).tolist() == [1, 2, 3, 4, 5]
    assert stitch(parts[::-1], [2, 0], 5).tolist() == [1, 2, 3, 4, 5]


def test_overlaps_are_averaged_by_distance_from_the_edges():
    # windows of 4 with weights 1 2 2 1, the second one two frames later
    whole = stitch([np.zeros(4), np.ones(4)], [0, 2], 6)
    np.testing.assert_allclose(whole, [0, 0, 1 / 3, 2 / 3, 1, 1])


def test_each_frame_lies_between_what_its_windows_say():
    rng = np.random.default_rng(0)
    starts = cover(50, 20, 7)
    windows = [rng.normal(size=20) for _ in starts]
    low, high = np.full(50, np.inf), np.full(50, -np.inf)
    for window, start in zip(windows, starts, strict=True):
        span = slice(start, start + 20)
        low[span], high[span] = np.minimum(low[span], window), np.maximum(high[span], window)
    whole = stitch(windows, starts, 50)
    assert ((whole >= low - 1e-12) & (whole <= high + 1e-12)).all()


def test_a_single_frame():
    assert stitch([np.array([3.0])], [0], 1).tolist() == [3]


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("scale", [1, 500])
def test_pooling_is_that_of_the_model(pooling, scale):
    rng = np.random.default_rng(0)
    evidence, attention = scale * rng.normal(size=40), 5 * rng.normal(size=40)
    mask = torch.ones(1, 40, dtype=torch.bool)
    given = torch.from_numpy(evidence)[None], torch.from_numpy(attention)[None]
    expected = pool(*given, mask, pooling)
    assert pool_frames(evidence, attention, pooling) == pytest.approx(expected.item(), rel=1e-10)


def test_families_are_stitched_and_pooled_as_in_the_model():
    rng = np.random.default_rng(0)
    logits, attention = rng.normal(size=(40, 3)), rng.normal(size=40)
    mask = torch.ones(1, 40, dtype=torch.bool)
    expected = model_pool_families(
        torch.from_numpy(logits)[None], torch.from_numpy(attention)[None], mask
    )[0]
    np.testing.assert_allclose(pool_families(logits, attention), expected.numpy())
    starts = cover(40, 15, 7)
    stitched = stitch([logits[start : start + 15] for start in starts], starts, 40)
    np.testing.assert_allclose(stitched, logits, atol=1e-12)


def test_what_the_outputs_of_a_detector_say():
    rng = np.random.default_rng(0)
    frames, families = ([rng.normal(size=(50, *more)) for _ in range(2)] for more in ((), (2,)))
    outputs = {
        "frame_logits": frames,
        "evidence": frames,
        "boundary_logits": [-each for each in frames],
        "family_logits": families,
        "family_attention": [np.zeros(50)] * 2,
    }
    clips = [make_clip(50), make_clip(50, [(0.2, 0.4)], "b")]
    found = score_outputs(outputs, clips, FrameGrid(), lambda _: None, "max", ("codec", "edit"))
    for score, own, logits in zip(found, frames, families, strict=True):
        assert score.logit == own.max()
        np.testing.assert_allclose(score.boundary_scores, 1 - score.frame_scores, atol=1e-6)
        mean = np.exp(logits.mean(0))
        assert score.family.scores["edit"] == pytest.approx(mean[1] / mean.sum())
        assert score.family.energy == pytest.approx(-np.log(mean.sum()))


def test_a_detector_without_further_heads_says_no_more():
    (score,) = score_outputs(
        {"frame_logits": [np.zeros(50)]}, [make_clip(50)], FrameGrid(), lambda _: None
    )
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
    found = clip_scores(
        clips,
        FrameGrid(),
        lambda _: "seen",
        [sure] * 21,
        [ClipLogits(0.0)] * 21,
        [sure] * 21,
        families,
    )
    thresholds = head_thresholds(found)
    assert thresholds["energy"] == 19
    low, high = (float(torch.tensor(at).sigmoid()) for at in (-1.0, 2.0))
    assert thresholds["boundary"] == pytest.approx((low + high) / 2)
    applied = with_head_thresholds(found, thresholds)
    assert [clip.family.name for clip in applied] == ["edit"] * 20 + ["unknown"]
    assert {clip.boundary_threshold for clip in applied} == {thresholds["boundary"]}


def test_what_further_heads_are_read_with_is_kept_as_plain_values():
    for heads in (FurtherHeads(), FurtherHeads(("a", "b"), {"energy": -1 / 3})):
        assert FurtherHeads.from_plain(heads.to_plain()) == heads
    assert FurtherHeads().to_plain() == {}


def test_pooling_stands_any_attention():
    evidence = np.array([1.0, 5.0])
    assert pool_frames(evidence, np.array([-1e4, 1e4])) == 5
    assert pool_frames(evidence, np.array([1e4, 1e4])) == 3


def test_scores_are_the_logits_of_clip_and_frames():
    frames = np.linspace(-3, 3, 50)
    clip = make_clip(50, [(0.2, 0.4)])
    (score,) = scored([clip], [frames], [1.5])
    assert score.logit == 1.5
    assert score.score == pytest.approx(torch.tensor(1.5).sigmoid().item())
    np.testing.assert_allclose(
        score.frame_scores, torch.from_numpy(frames).sigmoid().numpy(), atol=1e-7
    )
    assert score.frame_scores.dtype == np.float32
    copied = ("clip_id", "label", "attack", "regions", "corpus", "domain", "source_id", "duration")
    assert [getattr(score, key) for key in copied] == [getattr(clip, key) for key in copied]
    assert (score.fold, score.frame_step) == ("unseen", 0.02)


def test_clips_keep_their_order_and_fold():
    clips = [make_clip(5, clip_id="b"), make_clip(5, [(0.0, 0.1)], clip_id="a")]
    found = clip_scores(
        clips,
        FrameGrid(),
        lambda clip: "seen" if clip.is_fake else None,
        None,
        [ClipLogits(0.0), ClipLogits(1.0)],
    )
    assert [(score.clip_id, score.fold) for score in found] == [("b", None), ("a", "seen")]


def test_a_model_of_clips_alone_has_no_frames():
    (score,) = scored([make_clip(50)], logits=[0.0])
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
    evidence = {"evidence": np.full(5, sure), "attention": np.zeros(5)}
    (score,) = scored([make_clip(5)], [np.full(5, sure)], [clip_logits(evidence, "attention").clip])
    assert score.logit == np.clip(sure, -30, 30)
    assert 0 <= score.frame_scores.min() <= score.frame_scores.max() <= 1
    assert (score.score > 0.5) == (sure > 0)


def test_no_clips_give_no_scores():
    assert scored([], [], []) == []


def test_two_hypotheses_make_one_score():
    outputs = {
        "evidence": np.array([-2.0, 4.0]),
        "attention": np.array([0.0, 100.0]),
        "whole_evidence": np.array([-3.0, 1.0]),
    }
    found = clip_logits(outputs, "two_way")
    assert (found.part, found.whole) == (4.0, -1.0)
    # half the fakes are of either kind: the mean of both likelihood ratios
    assert found.clip == pytest.approx(math.log((math.exp(4) + math.exp(-1)) / 2))
