from fractions import Fraction

import numpy as np
import pytest

from fakesound.metrics import localisation_block
from fakesound.metrics.frames import frame_table
from fakesound.metrics.localisation import frame_thresholds
from fakesound.metrics.proposals import proposals, recall_at

from .conftest import called_clip

OVERLAPS = range(50, 100, 5)


def region_ap(clips, overlap):
    return localisation_block(clips)[f"ap_tiou_{overlap}"]


def region_map(clips):
    return localisation_block(clips)["map"]


def region_recall(clips, at_most):
    table = frame_table(clips)
    return recall_at(proposals(table, table.called(frame_thresholds(clips))), at_most)


def runs(clip):
    """Return the proposals of a clip frame by frame, in whole milliseconds."""
    step, events, held = round(clip.frame_step * 1000), [], []
    for i, score in enumerate([*clip.frame_scores.tolist(), 0.0]):
        if score > clip.frame_threshold:
            held.append(score)
        elif held:
            end = min(i * step, round(clip.duration * 1000))
            events.append((sum(held) / len(held), (i - len(held)) * step, end))
            held = []
    return events


def overlap_of(a, b):
    common = min(a[1], b[1]) - max(a[0], b[0])
    return Fraction(max(common, 0), a[1] - a[0] + b[1] - b[0] - max(common, 0))


def slow_ap(clips, threshold):
    """ActivityNet's: greedy from the top, each takes its best free region; then VOC's envelope."""
    ranked = sorted(((run, i) for i, c in enumerate(clips) for run in runs(c)), reverse=True)
    truth = {
        i: [(round(r.onset * 1000), round(r.offset * 1000)) for r in clip.regions]
        for i, clip in enumerate(clips)
    }
    total = sum(map(len, truth.values()))
    right = []
    for (_, onset, offset), i in ranked:
        free = [(overlap_of((onset, offset), region), region) for region in truth[i]]
        best = max(free, default=(Fraction(0), None))
        right.append(best[0] >= Fraction(threshold, 100))
        if right[-1]:
            truth[i].remove(best[1])
    points = [
        (sum(right[: n + 1]) / total, sum(right[: n + 1]) / (n + 1)) for n in range(len(right))
    ]
    area, before = 0.0, 0.0
    for n, (recall, _) in enumerate(points):
        area += (recall - before) * max(precision for _, precision in points[n:])
        before = recall
    return area


def random_clips(make_clip, seed, step):
    rng = np.random.default_rng(seed)
    clips = []
    for number in range(30):
        edges = np.sort(rng.choice(np.arange(1, 399), 6, replace=False)) * 10
        regions = edges.reshape(3, 2)[: number % 4]
        frames = rng.uniform(0.0, 0.45, 4000 // step)
        for onset, offset in regions + rng.integers(-60, 60, regions.shape):
            run = slice(max(onset, 0) // step, offset // step)
            frames[run] = rng.uniform(0.55, 1.0, frames[run].size)
        if number % 5 == 0:  # a false alarm
            frames[rng.integers(0, frames.size) :][:7] = rng.uniform(0.55, 1.0)
        clips.append(
            make_clip(
                str(number),
                regions=(regions / 1000).tolist(),
                frames=frames,
                duration=4.0,
                frame_step=step / 1000,
            )
        )
    return clips


@pytest.mark.parametrize("step", [10, 20, 80])
@pytest.mark.parametrize("seed", range(4))
def test_ap_equals_the_greedy_matching_of_activitynet(make_clip, seed, step):
    clips = random_clips(make_clip, seed, step)
    expected = [slow_ap(clips, overlap) for overlap in OVERLAPS]
    assert expected[0] > expected[-1]
    assert [region_ap(clips, overlap) for overlap in OVERLAPS] == pytest.approx(expected)
    assert region_map(clips) == pytest.approx(np.mean(expected))


def test_ap_by_hand():
    # four regions; from the top: right, wrong (a genuine clip), right, wrong (too long)
    clips = [
        called_clip("a", [(1, 2), (5, 6)], [(1, 2, 0.9), (5, 6, 0.7)]),
        called_clip("b", [], [(3, 4, 0.8)]),
        called_clip("c", [(1, 2), (8, 9)], [(1, 4, 0.6)]),
    ]
    # precision 1 up to recall 1/4, 2/3 up to 1/2, nothing beyond
    assert region_ap(clips, 50) == pytest.approx((1 + 2 / 3) / 4)
    assert region_map(clips) == pytest.approx((1 + 2 / 3) / 4)


def test_the_envelope_is_the_best_precision_further_on():
    clips = [
        called_clip("a", [], [(3, 4, 0.9)]),
        called_clip("b", [(1, 2), (5, 6)], [(1, 2, 0.8), (5, 6, 0.7)]),
    ]
    # precisions 0, 1/2, 2/3: at either recall the highest further on is 2/3
    assert region_ap(clips, 50) == pytest.approx(2 / 3)


def test_equal_confidence_is_admitted_at_once_in_any_order():
    clips = [
        called_clip("a", [], [(3, 4, 0.9), (6, 6.5, 0.9)]),
        called_clip("b", [(1, 2)], [(1, 2, 0.9)]),
    ]
    for order in (clips, clips[::-1]):
        assert region_ap(order, 50) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("called", "overlap"),
    [((2, 4), 95), ((2, 3), 50), ((2, 3.9), 95), ((1.5, 3.5), 60), ((2.5, 4), 75), ((1, 5), 50)],
)
def test_an_overlap_on_the_bound_is_enough(called, overlap):
    clip = called_clip("a", [(2, 4)], [(*called, 0.9)])
    result = [region_ap([clip], share) for share in OVERLAPS]
    assert result == [float(share <= overlap) for share in OVERLAPS]


def test_one_proposal_over_two_regions_finds_the_one_that_fills_it():
    regions = [(2, 2.1), (2.2, 4)]
    assert region_ap([called_clip("a", regions, [(2, 4, 0.9)])], 90) == 0.5
    assert region_ap([called_clip("a", [(2, 4)], [(2, 2.1, 0.9), (2.2, 4, 0.9)])], 90) == 0.5


def test_a_proposal_never_finds_a_region_of_the_next_clip():
    clips = [
        called_clip("a", [], [(9, 10, 0.9)]),
        called_clip("b", [(0, 1)], []),
    ]
    assert region_ap(clips, 50) == region_ap(clips[::-1], 50) == 0


def test_recall_by_hand():
    clips = [
        called_clip("a", [(1, 2), (5, 6)], [(1, 2, 0.7), (5, 6.2, 0.8), (8, 9, 0.9)]),
        called_clip("b", [(1, 2)], [(1, 2, 0.6)]),
        called_clip("c", [], [(1, 2, 0.6)]),
    ]
    # (5, 6.2) meets its region in 1 / 1.2 = .83: seven of ten overlaps
    assert region_recall(clips, 20) == pytest.approx((2 + 0.7) / 3)
    assert region_recall(clips, 3) == pytest.approx((2 + 0.7) / 3)
    assert region_recall(clips, 2) == pytest.approx((1 + 0.7) / 3)
    assert region_recall(clips, 1) == pytest.approx(1 / 3)


def test_degenerate_sets():
    genuine = called_clip("genuine", [], [(0, 1, 0.9)])
    missed = called_clip("missed", [(0, 1)], [])
    whole = called_clip("whole", [(0, 10)], [(0, 10, 0.9)])
    for clips, expected in (([genuine], None), ([missed], 0), ([whole], 1)):
        assert region_ap(clips, 95) == expected
        assert region_map(clips) == expected
        assert region_recall(clips, 20) == expected
    assert localisation_block([missed])["ar_20"] == 0
