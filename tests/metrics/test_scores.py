from math import inf, nan

import numpy as np
import pytest

from fakesound.errors import InputError
from fakesound.metrics import has_frames, logit


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("score", 1.5),
        ("score", -0.1),
        ("score", nan),
        ("logit", nan),
        ("logit", inf),
        ("logit", 4.0),
        ("logit", -900.0),
        ("clip_threshold", 1.1),
        ("frame_threshold", nan),
        ("duration", 0.0),
        ("duration", inf),
        ("frame_step", 0.0),
        ("frame_step", -0.02),
        ("frame_step", nan),
        ("fold", "known"),
        ("label", "spoof"),
        ("label", "genuine"),
        ("attack", None),
        ("attack", ""),
        ("regions", ()),
        ("frames", [0.5, nan]),
        ("frames", [0.5, 1.5]),
        ("frames", [0.5] * 48),
        ("frames", [0.5] * 52),
    ],
)
def test_an_invalid_field_is_named(make_clip, field, value):
    fake = {"regions": [(0.2, 0.4)], "label": "fake", "attack": "edit/splice"}
    named = {"frames": "frame_scores", "label": "label|attack"}.get(field, field)
    with pytest.raises(InputError, match=rf"^({named}): [^\n]+$"):
        make_clip(**(fake | {field: value}))


def test_a_genuine_clip_has_neither_attack_nor_regions(make_clip):
    with pytest.raises(InputError, match=r"^attack: a genuine clip has none"):
        make_clip(attack="edit/splice")
    with pytest.raises(InputError, match=r"^regions: a genuine clip has none"):
        make_clip(regions=[(0, 1)], label="genuine", attack=None)


@pytest.mark.parametrize("region", [(0, 1.0011), (1.0, 1.0005), (0.5, 0.5000001)])
def test_regions_outside_the_clip_or_without_length_are_refused(make_clip, region):
    with pytest.raises(InputError, match=r"^regions?\b.*"):
        make_clip(regions=[region])


def test_regions_may_pass_the_end_by_a_millisecond(make_clip):
    assert make_clip(regions=[(0, 1.001)]).fake


@pytest.mark.parametrize("count", [0, 49, 50, 51])
def test_frames_may_be_one_off_or_none(make_clip, count):
    assert make_clip(frames=[0.5] * count).frame_scores.size == count


@pytest.mark.parametrize("score", [0.0, 1e-9, 0.2, 0.5, 1 - 1e-9, 1.0])
def test_logit_is_finite_and_agrees_with_its_score(make_clip, score):
    assert np.isfinite(logit(score))
    assert make_clip(score=score, logit=logit(score)).score == score
    assert logit(score) == pytest.approx(-logit(1 - score), rel=1e-6)


def test_frames_for_all_clips_or_for_none(make_clip):
    with_frames, without = make_clip(frames=[0.5] * 50), make_clip("b")
    assert has_frames([with_frames])
    assert not has_frames([without])
    assert not has_frames([])
    with pytest.raises(InputError, match=r"^frame_scores: missing for clip 'b'"):
        has_frames([with_frames, without])
