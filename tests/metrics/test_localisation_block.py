import json
from dataclasses import replace

import numpy as np
import pytest

from fakesound import metrics
from fakesound.errors import InputError
from fakesound.metrics import LOCALISATION_KEYS, localisation_block
from fakesound.metrics.frames import frame_table
from fakesound.metrics.localisation import frame_thresholds, sed_eval_event_draws
from fakesound.metrics.proposals import ap_at, proposals, recall_at
from fakesound.metrics.segment_eer import frame_logits, partialspoof_error, point_error

from .conftest import called_clip

TIMING = ("onset_error", "offset_error", "false_alarm_minutes_per_hour")


def test_every_entry_is_the_function_of_its_name(make_scores):
    scores = [replace(clip, frame_threshold=0.6) for clip in make_scores(3, gain=2.5)]
    block = localisation_block(scores)
    table = frame_table(scores)
    called = table.called(frame_thresholds(scores))
    result = proposals(table, called)
    precisions = {f"ap_tiou_{overlap}": ap_at(result, overlap) for overlap in range(50, 100, 5)}
    expected = {
        "segment_f1_10ms": metrics.segment_f1(scores, 10_000),
        "event_f1_sed_eval": float(sed_eval_event_draws(table, called)[0]),
        "map": np.mean([*precisions.values()]),
        "ar_20": recall_at(result, 20),
    }
    for ms in (20, 40, 80, 160, 320, 640):
        errors = {
            "partialspoof": partialspoof_error(table, ms * 1000),
            "point": point_error(table, frame_logits(table), ms * 1000),
        }
        expected |= {f"segment_eer_{n}_{ms}ms": error.rate for n, error in errors.items()}
    expected |= precisions
    assert tuple(block) == LOCALISATION_KEYS
    rest = {key: value for key, value in block.items() if key not in TIMING}
    assert rest == pytest.approx(expected, abs=1e-12)
    assert all(type(value) is float for value in block.values())
    assert json.loads(json.dumps(block, allow_nan=False)) == block


def test_undefined_figures_are_none(make_clip):
    genuine = localisation_block([make_clip(frames=[0.9] * 50)])
    defined = {key: value for key, value in genuine.items() if value is not None}
    assert defined == {"event_f1_sed_eval": 0, "false_alarm_minutes_per_hour": 60}
    fake = localisation_block([make_clip(regions=[(0, 1)], frames=[0.9] * 50)])
    undefined = {key for key, value in fake.items() if value is None}
    assert undefined == {"false_alarm_minutes_per_hour"} | {
        key for key in LOCALISATION_KEYS if key.startswith("segment_eer")
    }


def test_systems_without_frames_have_none(make_scores):
    scores = [replace(c, frame_scores=np.zeros(0, np.float32)) for c in make_scores()]
    assert localisation_block(scores) == localisation_block([]) == dict.fromkeys(LOCALISATION_KEYS)
    with pytest.raises(InputError, match="frame_scores"):
        localisation_block([*scores[1:], make_scores()[0]])


def test_order_of_clips_and_different_steps_do_not_matter(make_scores):
    scores = make_scores(1, gain=2.5) + [
        replace(clip, clip_id=f"{clip.clip_id} coarse")
        for clip in make_scores(2, step=0.16, gain=2.5)
    ]
    shuffled = [scores[i] for i in np.random.default_rng(0).permutation(len(scores))]
    assert localisation_block(shuffled) == pytest.approx(localisation_block(scores), abs=1e-12)


def timing(clips):
    block = localisation_block(clips)
    return [block[key] for key in TIMING]


def test_timing_by_hand():
    clips = [
        called_clip("a", [(1, 2), (5, 6)], [(1.1, 2.2), (4.98, 6)]),
        called_clip("b", [(3.007, 4)], [(3.2, 3.6)]),
        # neither found nor an alarm in genuine audio, so without effect
        called_clip("lost", [(1, 2)], [(7, 8)]),
        called_clip("loud", [], [(1, 1.5), (9, 10)]),
        called_clip("silent", [], [], duration=20.0),
    ]
    # onsets are off by .1, .02 and .193 s, offsets by .2, 0 and .4 s
    assert timing(clips) == pytest.approx([0.1, 0.2, 60 * 1.5 / 30])
    assert timing(clips[4:]) == [None, None, 0]
    # later than the collar, so not found
    assert timing([called_clip("late", [(1, 2)], [(1.26, 2)])]) == [None, None, None]


def test_exact_boundaries_have_no_error():
    spans = [(k * 0.02, (k + 1) * 0.02) for k in range(500)]
    clips = [called_clip(str(span), [span], [span]) for span in spans]
    assert timing(clips) == [0, 0, None]


def test_the_last_frame_counts_up_to_the_end_of_the_clip(make_clip):
    clip = make_clip(frames=[0, 0, 0, 0, 0, 0, 1], frame_step=0.16, duration=1.0)
    assert timing([clip])[2] == pytest.approx(60 * 0.04)
