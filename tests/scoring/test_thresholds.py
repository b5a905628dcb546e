import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakesound.config import DecisionConfig
from fakesound.metrics import segment_f1
from fakesound.scoring.thresholds import Thresholds, select_thresholds


def clips(make_clip, fakes, genuines):
    return [make_clip(f"f{i}", s, regions=[(0, 1)]) for i, s in enumerate(fakes)] + [
        make_clip(f"g{i}", s) for i, s in enumerate(genuines)
    ]


@pytest.mark.parametrize(
    ("fakes", "genuines", "threshold"),
    [
        ([0.9, 0.8], [0.2, 0.4], 0.6),
        # 0.3..0.5 and 0.6..0.9 are equally good, and the second is wider
        ([0.9, 0.5], [0.3, 0.6], 0.75),
        # all alike: everything fake is as good as nothing; midway to the farther end
        ([0.8], [0.8], 0.4),
        ([0.3], [0.3], 0.65),
        ([1.0], [0.0], 0.5),
        # upside down: nothing beats calling everything one kind
        ([0.0], [1.0], 1.0),
    ],
)
def test_clip_threshold_by_hand(make_clip, fakes, genuines, threshold):
    found = select_thresholds(clips(make_clip, fakes, genuines)).clip
    assert found == pytest.approx(threshold)


def test_of_a_plateau_across_scores_the_gap_at_its_middle_is_taken(make_clip):
    # at 0.8, 0.5 and 0.4 a fake and a genuine cancel: from 0.1 to 0.9 all is equally good
    found = select_thresholds(clips(make_clip, [0.9, 0.8, 0.5, 0.4], [0.8, 0.5, 0.4, 0.1])).clip
    assert found == pytest.approx(0.45)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=8),
    st.lists(st.integers(0, 20), min_size=1, max_size=8),
)
def test_no_threshold_has_a_better_balanced_accuracy(make_clip, fakes, genuines):
    fakes, genuines = np.array(fakes) / 20, np.array(genuines) / 20

    def quality(threshold):
        return (fakes > threshold).mean() + (genuines <= threshold).mean()

    found = select_thresholds(clips(make_clip, fakes.tolist(), genuines.tolist())).clip
    assert 0 <= found <= 1
    best = max(quality(candidate) for candidate in np.arange(81) / 80)
    assert quality(found) == pytest.approx(best)


@pytest.mark.parametrize("step", [0.02, 0.03, 0.16])
def test_no_threshold_has_a_better_segment_f1(make_scores, step):
    scores = make_scores(1, pairs=3, frames=12, step=step)
    found = select_thresholds(scores)
    values = np.unique(np.concatenate([clip.frame_scores for clip in scores])).astype(float)
    candidates = [0.0, *((values[1:] + values[:-1]) / 2), 1.0]
    reached = [
        segment_f1(Thresholds(0.5, float(candidate)).apply(scores), 20_000)
        for candidate in candidates
    ]
    assert segment_f1(found.apply(scores), 20_000) == pytest.approx(max(reached))


def test_a_half_where_nothing_can_be_learnt(make_clip):
    fake = make_clip("f", 0.9, regions=[(0, 1)], frames=[0.9] * 50)
    genuine = make_clip("g", 0.1, frames=[0.1] * 50)
    for scores in ([], [fake], [genuine]):
        assert select_thresholds(scores) == Thresholds(0.5, 0.5)
    both = select_thresholds([fake, genuine])
    assert (both.clip, both.frame) == (pytest.approx(0.5), pytest.approx(0.5))
    without_frames = clips(make_clip, [0.9], [0.7])
    found = select_thresholds(without_frames)
    assert (found.clip, found.frame) == (pytest.approx(0.8), 0.5)


def test_no_more_genuine_clips_than_the_limit_are_called_fake(make_clip):
    fakes, genuines = [0.9, 0.6, 0.55, 0.5], [0.7, 0.4, 0.3, 0.2, 0.1]
    free = select_thresholds(clips(make_clip, fakes, genuines)).clip
    assert 0.4 < free < 0.5
    for limit, low, high in ((0.2, 0.4, 0.5), (0.19, 0.7, 0.9)):
        decision = DecisionConfig(false_alarms=limit)
        assert (
            low
            < select_thresholds(clips(make_clip, fakes, genuines), decision=decision).clip
            < high
        )


def test_without_a_threshold_below_the_limit_nothing_is_called_fake(make_clip):
    decision = DecisionConfig(false_alarms=0.1)
    assert select_thresholds(clips(make_clip, [0.2], [0.9]), decision=decision).clip > 0.9


def test_the_frame_threshold_is_of_partial_fakes_at_the_share_of_fake_time(make_clip):
    rng = np.random.default_rng(0)
    truth = np.zeros(50, bool)
    truth[10:20] = True
    partial = [
        make_clip(
            f"p{n}",
            0.5,
            regions=[(0.2, 0.4)],
            frames=1 / (1 + np.exp(-rng.normal(2 * truth - 1.0))),
        )
        for n in range(40)
    ]
    genuine = [
        make_clip(f"g{n}", 0.5, frames=1 / (1 + np.exp(1 - rng.normal(size=50)))) for n in (0, 1)
    ]
    # no threshold of theirs would be that of the others
    whole = [make_clip(f"w{n}", 0.5, regions=[(0, 1)], frames=np.full(50, 0.02)) for n in range(50)]
    found = {}
    for share in (0.05, 0.3):
        decision = DecisionConfig(fake_time=share)
        found[share] = select_thresholds([*partial, *genuine], decision).frame
        assert select_thresholds([*partial, *genuine, *whole], decision).frame == found[share]
    # the rarer fakes are, the surer it must be
    assert found[0.05] > found[0.3] > 0.3
