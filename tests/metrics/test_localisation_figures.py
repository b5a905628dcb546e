import json
from dataclasses import replace

import numpy as np
import pytest

from fakesound import metrics
from fakesound.errors import InputError
from fakesound.metrics import LOCALISATION_KEYS, localisation_block


def test_every_entry_is_the_function_of_its_name(make_scores):
    scores = [replace(clip, frame_threshold=0.6) for clip in make_scores(3, gain=2.5)]
    block = localisation_block(scores)
    timing = metrics.timing_error(scores)
    expected = {
        "segment_f1_10ms": metrics.segment_f1(scores, 10_000),
        "event_f1_sed_eval": metrics.event_f1_sed_eval(scores),
        "map": metrics.region_map(scores),
        "ar_20": metrics.region_recall(scores, 20),
        "onset_error": timing.onset_median,
        "offset_error": timing.offset_median,
        "false_alarm_minutes_per_hour": metrics.false_alarm_minutes_per_hour(scores),
    }
    for ms in (20, 40, 80, 160, 320, 640):
        for name in ("partialspoof", "point"):
            function = getattr(metrics, f"segment_eer_{name}")
            expected[f"segment_eer_{name}_{ms}ms"] = function(scores, ms * 1000).rate
    for overlap in range(50, 100, 5):
        expected[f"ap_tiou_{overlap}"] = metrics.region_ap(scores, overlap)
    assert tuple(block) == LOCALISATION_KEYS
    assert block == pytest.approx(expected, abs=1e-12)
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
