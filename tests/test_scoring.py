from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fakesound.data.manifest import Clip
from fakesound.models.heads import pool
from fakesound.scoring import clip_scores, pool_frames, stitch
from fakesound.timeline import FrameGrid, Region


def cover(frames, width, hop):
    """Starts of windows that cover ``frames``, the last one flush with the end."""
    return [*range(0, frames - width, hop), frames - width]


def make_clip(frames, regions=(), clip_id="a"):
    fake = bool(regions)
    return Clip(
        clip_id=clip_id,
        path=Path("a.wav"),
        source_id="source",
        label="fake" if fake else "genuine",
        attack="edit/splice" if fake else None,
        regions=tuple(Region(*region) for region in regions),
        duration=frames * 0.02,
        sample_rate=16_000,
        corpus="corpus",
        domain="room",
    )


def scored(clips, frame_logits=None, clip_logits=None):
    return clip_scores(clips, FrameGrid(), lambda clip: "unseen", frame_logits, clip_logits)


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


def test_pooling_is_that_of_the_model():
    rng = np.random.default_rng(0)
    evidence, attention = rng.normal(size=40), 5 * rng.normal(size=40)
    mask = torch.ones(1, 40, dtype=torch.bool)
    expected = pool(torch.from_numpy(evidence)[None], torch.from_numpy(attention)[None], mask)
    assert pool_frames(evidence, attention) == pytest.approx(expected.item(), rel=1e-10)


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
        clips, FrameGrid(), lambda clip: "seen" if clip.is_fake else None, None, [0.0, 1.0]
    )
    assert [(score.clip_id, score.fold) for score in found] == [("b", None), ("a", "seen")]


def test_a_model_of_clips_alone_has_no_frames():
    (score,) = scored([make_clip(50)], clip_logits=[0.0])
    assert score.frame_scores.size == 0
    assert score.score == 0.5


def test_a_model_of_frames_alone_scores_a_clip_by_its_loudest_100_ms():
    frames = np.full(50, -4.0)
    frames[10] = 9.0
    frames[30:35] = [1, 2, 3, 2, 1]
    (score,) = scored([make_clip(50)], [frames])
    assert score.logit == pytest.approx(9 / 5)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_clip_shorter_than_100_ms_is_scored_by_the_mean(count):
    frames = np.arange(count) - 1.0
    (score,) = scored([make_clip(count)], [frames])
    assert score.logit == pytest.approx(frames.mean())


@pytest.mark.parametrize("sure", [-1e6, 1e6])
def test_boundless_logits_stay_scores(sure):
    (score,) = scored([make_clip(5)], [np.full(5, sure)], [sure])
    assert score.logit == np.clip(sure, -30, 30)
    assert 0 <= score.frame_scores.min() <= score.frame_scores.max() <= 1
    assert (score.score > 0.5) == (sure > 0)


def test_no_clips_give_no_scores():
    assert scored([], [], []) == []
