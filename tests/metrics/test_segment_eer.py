import numpy as np
import pytest

from fakesound.errors import InputError
from fakesound.metrics import eer
from fakesound.metrics.frames import frame_table
from fakesound.metrics.segment_eer import (
    frame_logits,
    partialspoof_error,
    point_error,
    point_segments,
)


def segment_eer_partialspoof(clips, resolution):
    return partialspoof_error(frame_table(clips), resolution)


def segment_eer_point(clips, resolution):
    table = frame_table(clips)
    return point_error(table, frame_logits(table), resolution)


BOTH = (segment_eer_partialspoof, segment_eer_point)


def slow_eer(trials):
    """Return the mean of the error rates where they differ least, over descending thresholds."""
    scores, fake = (np.array(column) for column in zip(*trials, strict=True))
    rates = [
        (np.mean(scores[fake] <= threshold), np.mean(scores[~fake] > threshold))
        for threshold in np.append(np.unique(scores)[::-1], -np.inf)
    ]
    return np.mean(min(rates, key=lambda pair: round(abs(pair[0] - pair[1]), 12)))


def painted(clip):
    """Return score and truth of every millisecond of a clip."""
    end, step = round(clip.duration * 1000), round(clip.frame_step * 1000)
    fake = np.zeros(end, dtype=bool)
    for region in clip.regions:
        fake[round(region.onset * 1000) : round(region.offset * 1000)] = True
    return np.repeat(clip.frame_scores.astype(float), step)[:end], fake


def random_clips(make_clip, step, seed):
    rng = np.random.default_rng(seed)
    clips = []
    for number in range(6):
        end = int(rng.integers(1500, 3000))
        edges = np.sort(rng.choice(end, 4, replace=False)).reshape(2, 2) / 1000
        clips.append(
            make_clip(
                str(number),
                regions=edges[: number % 3].tolist(),
                frames=np.round(rng.random(-(-end // step)), 2),
                duration=end / 1000,
                frame_step=step / 1000,
            )
        )
    return clips


@pytest.mark.parametrize("resolution", [20, 40, 80, 160, 320, 640])
@pytest.mark.parametrize("step", [10, 20, 30, 160])
def test_both_equal_painting_every_millisecond(make_clip, step, resolution):
    clips = random_clips(make_clip, step, seed=step + resolution)
    partialspoof, point = [], []
    for clip in clips:
        score, fake = painted(clip)
        odds = np.log(np.clip(score, 1e-7, 1 - 1e-7) / (1 - np.clip(score, 1e-7, 1 - 1e-7)))
        for start in range(0, score.size, resolution):
            part = slice(start, start + resolution)
            partialspoof.append((score[part].max(), fake[part].any()))
            point.append((np.round(odds[part].mean(), 6), fake[start]))
    result = [function(clips, resolution * 1000) for function in BOTH]
    assert result[0].rate == pytest.approx(slow_eer(partialspoof), abs=1e-12)
    assert result[1].rate == pytest.approx(slow_eer(point), abs=1e-12)
    table = frame_table(clips)
    logits, fake = point_segments(table, frame_logits(table), resolution * 1000)
    assert fake.tolist() == [fake for _, fake in point]
    np.testing.assert_allclose(logits, [score for score, _ in point], atol=1e-6)


def test_by_hand_where_the_definitions_differ(make_clip):
    # segments of 40 ms: [.9 .1] [.2 .6] [.3 .3], and half a one of .5; the region is from 30 to 50
    clip = make_clip(
        regions=[(0.03, 0.05)], frames=[0.9, 0.1, 0.2, 0.6, 0.3, 0.3, 0.5], duration=0.14
    )
    # any part: the first two are fake, of .9 and .6, above both genuine ones of .3 and .5
    result = segment_eer_partialspoof([clip], 40_000)
    assert (result.rate, result.threshold) == (0, 0.5)
    # the start: only the second is fake (40 ms), of mean logit (log 1/4 + log 3/2) / 2 = -.49,
    # below the genuine ones of 0 and 0 but above log 3/7 = -.85
    result = segment_eer_point([clip], 40_000)
    assert result.threshold == pytest.approx((np.log(1 / 4) + np.log(3 / 2)) / 2, abs=1e-6)
    assert result.rate == pytest.approx((1 + 2 / 3) / 2)


def test_frames_coarser_than_segments_are_repeated(make_clip):
    clip = make_clip(regions=[(0.0, 0.04)], frames=[0.8, 0.3, 0.5], frame_step=0.16, duration=0.48)
    # 2 fake segments among 8 of .8: every threshold between .5 and .8 errs by 0 and 6 / 22
    for function in BOTH:
        assert function([clip], 20_000).rate == pytest.approx(3 / 22)


def test_the_segment_that_is_left_over_counts(make_clip):
    short = make_clip(regions=[(0.66, 0.7)], frames=[0.1] * 32 + [0.9] * 3, duration=0.7)
    for function, rate in zip(BOTH, (0.0, None), strict=True):
        result = function([short], 640_000)
        assert (result and result.rate) == rate  # no segment starts in the region


def test_equal_frames_are_equal_segments_however_many(make_clip):
    for value in (0.1, 0.3, 0.7, 1.0):
        clips = [
            make_clip(str(i), regions=[(0, 0.32)], frames=[value] * n, duration=n * 0.02)
            for i, n in enumerate((17, 50, 81))
        ]
        table = frame_table(clips)
        for resolution in (20, 60, 70, 160, 640):
            logits, _ = point_segments(table, frame_logits(table), resolution * 1000)
            assert np.unique(logits).size == 1
        assert segment_eer_point(clips, 160_000).rate == 0.5


def test_segments_of_one_frame_are_the_frames(make_scores):
    scores = make_scores(2)
    table = frame_table(scores)
    expected = eer(table.frame_score, table.frame_fake)
    assert segment_eer_partialspoof(scores, 20_000) == expected


@pytest.mark.parametrize("function", BOTH)
def test_undefined_without_both_labels_and_without_frames(make_clip, function):
    assert function([], 20_000) is None
    assert function([make_clip(frames=[0.5] * 50)], 20_000) is None
    assert function([make_clip(regions=[(0, 1)], frames=[0.5] * 50)], 20_000) is None
    with pytest.raises(InputError, match="frame_scores"):
        function([make_clip()], 20_000)
