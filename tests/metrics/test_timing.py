import numpy as np
import pytest

from fakesound.errors import InputError
from fakesound.metrics import event_f1
from fakesound.metrics.frames import frame_table
from fakesound.metrics.localisation import frame_thresholds
from fakesound.metrics.timing import TimingError, alarms_on, timing_on


def timing_error(clips):
    table = frame_table(clips)
    return timing_on(table, table.called(frame_thresholds(clips)))


def false_alarm_minutes_per_hour(clips):
    table = frame_table(clips)
    genuine = np.array([not clip.fake for clip in clips], dtype=bool)
    return alarms_on(table, table.called(frame_thresholds(clips)), genuine)


def clip_of(make_clip, clip_id, regions, called, duration=10.0, step=0.02):
    frames = np.zeros(round(duration / step))
    for a, b in called:
        frames[round(a / step) : round(b / step)] = 1
    return make_clip(clip_id, regions=regions, frames=frames, duration=duration, frame_step=step)


def test_errors_by_hand(make_clip):
    clips = [
        clip_of(make_clip, "a", [(1, 2), (5, 6)], [(1.1, 2.2), (4.98, 6)]),
        clip_of(make_clip, "b", [(3.007, 4)], [(3.2, 3.6)]),
        clip_of(make_clip, "lost", [(1, 2)], [(7, 8)]),
        clip_of(make_clip, "genuine", [], [(7, 8)]),
    ]
    found = timing_error(clips)
    assert found == TimingError(
        onset_median=pytest.approx(0.1),
        onset_mean=pytest.approx((0.1 + 0.02 + 0.193) / 3),
        offset_median=pytest.approx(0.2),
        offset_mean=pytest.approx((0.2 + 0 + 0.4) / 3),
        regions=3,
    )
    assert event_f1(clips) == pytest.approx(2 * 3 / (2 * 3 + 2 + 1))


def test_only_what_counts_as_found_is_timed(make_clip):
    late = clip_of(make_clip, "late", [(1, 2)], [(1.26, 2)])
    assert event_f1([late]) == 0
    assert timing_error([late]) is None
    assert timing_error([]) is None
    assert timing_error([clip_of(make_clip, "genuine", [], [(1, 2)])]) is None


def test_exact_boundaries_have_no_error(make_clip):
    clips = [
        clip_of(make_clip, str(k), [(k * 0.02, (k + 1) * 0.02)], [(k * 0.02, (k + 1) * 0.02)])
        for k in range(500)
    ]
    assert timing_error(clips) == TimingError(0, 0, 0, 0, 500)


def test_false_alarms_of_genuine_clips_only(make_clip):
    clips = [
        clip_of(make_clip, "loud", [], [(1, 1.5), (9, 10)]),
        clip_of(make_clip, "silent", [], [], duration=20.0),
        clip_of(make_clip, "fake", [(0, 1)], [(2, 10)]),
    ]
    assert false_alarm_minutes_per_hour(clips) == pytest.approx(60 * 1.5 / 30)
    assert false_alarm_minutes_per_hour(clips[1:]) == 0
    assert false_alarm_minutes_per_hour(clips[2:]) is None
    assert false_alarm_minutes_per_hour([]) is None


def test_the_last_frame_counts_up_to_the_end_of_the_clip(make_clip):
    clip = make_clip(frames=[0, 0, 0, 0, 0, 0, 1], frame_step=0.16, duration=1.0)
    assert false_alarm_minutes_per_hour([clip]) == pytest.approx(60 * 0.04)


@pytest.mark.parametrize("function", [timing_error, false_alarm_minutes_per_hour])
def test_systems_without_frames_are_refused(make_clip, function):
    with pytest.raises(InputError, match="frame_scores"):
        function([make_clip()])
