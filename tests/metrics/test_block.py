import json
from dataclasses import replace
from math import isfinite

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from fakesound import metrics
from fakesound.errors import InputError
from fakesound.metrics import KEYS, metrics_block
from fakesound.metrics.calibration import ece_draws
from fakesound.metrics.cost import act_dcf_draws
from fakesound.metrics.frames import frame_table

FRAME_KEYS = {*KEYS[KEYS.index("frame/auc") :]}


def test_keys_and_types(make_scores):
    block = metrics_block(make_scores())
    assert tuple(block) == KEYS
    assert all(type(value) is float for key, value in block.items() if key != "clips")
    assert type(block["clips"]) is int
    assert json.loads(json.dumps(block, allow_nan=False)) == block


def test_every_entry_is_the_function_of_its_name(make_scores):
    scores = [replace(c, clip_threshold=0.4, frame_threshold=0.6) for c in make_scores(3)]
    block = metrics_block(scores)
    del block["range_eer"]  # tested with the figures of localisation
    logit, score, fake = (
        np.array([getattr(c, n) for c in scores]) for n in ("logit", "score", "fake")
    )
    called, table = score > 0.4, frame_table(scores)
    frames = table.frame_score.astype(float), table.frame_fake
    once = np.ones((1, fake.size))
    accuracy, f1 = np.mean(called == fake), metrics.segment_f1(scores, 20_000)
    domains = [np.array([c.domain == f"domain {i}" for c in scores]) for i in range(2)]
    expected = {
        "clips": 20,
        "clip/accuracy": accuracy,
        "clip/balanced_accuracy": (np.mean(called[fake]) + np.mean(~called[~fake])) / 2,
        "clip/auc": metrics.auc(logit, fake),
        "clip/auc_within_domain": np.mean([metrics.auc(logit[d], fake[d]) for d in domains]),
        "clip/ap": average_precision_score(fake, logit),
        "clip/eer": metrics.eer(logit, fake).rate,
        "clip/min_dcf": metrics.min_dcf(logit, fake),
        "clip/act_dcf": act_dcf_draws(logit, fake, once)[0],
        "clip/cllr": metrics.cllr(logit, fake),
        "clip/ece": ece_draws(score, fake, once)[0],
        "frame/auc": metrics.auc(*frames),
        "frame/ap": average_precision_score(frames[1], frames[0]),
        "frame/eer": metrics.eer(*frames).rate,
        "segment_f1_20ms": f1,
        "segment_f1_1s": metrics.segment_f1(scores, 1_000_000),
        "event_f1": metrics.event_f1(scores),
        "add_score": 0.3 * accuracy + 0.7 * f1,
    }
    assert block == pytest.approx(expected, abs=1e-12)


def test_separating_domains_does_not_raise_auc_within_them(make_clip):
    # fakes only in the loud domain would rank well pooled; inside each domain it is chance
    scores = [
        make_clip(
            f"{domain}{kind}{i}", 0.8 if domain else 0.2, domain=f"d{domain}", regions=regions
        )
        for domain, fakes in ((0, 4), (1, 12))
        for kind, regions, count in ((1, [(0, 1)], fakes), (0, (), 16 - fakes))
        for i in range(count)
    ]
    block = metrics_block(scores)
    assert block["clip/auc"] == 0.75
    assert block["clip/auc_within_domain"] == 0.5


@pytest.mark.parametrize(("genuine", "expected"), [(0, 1), (3, 1), (4, 0.5)])
def test_a_domain_counts_with_four_clips_of_both_labels(make_clip, genuine, expected):
    def domain(name, genuine, score):
        return [
            *(make_clip(f"{name}f{i}", 0.8, regions=[(0, 1)], domain=name) for i in range(4)),
            *(make_clip(f"{name}g{i}", score, domain=name) for i in range(genuine)),
        ]

    scores = [*domain("right", 4, 0.1), *domain("wrong", genuine, 0.9)]
    assert metrics_block(scores)["clip/auc_within_domain"] == expected
    assert metrics_block(scores[8:][:4])["clip/auc_within_domain"] is None


def test_logits_rank_clips_with_equal_scores(make_clip):
    scores = [
        make_clip("a", 1.0, logit=30.0, regions=[(0, 1)]),
        make_clip("b", 1.0, logit=20.0),
    ]
    assert metrics_block(scores)["clip/auc"] == 1


@pytest.mark.parametrize("called", [0.0, 1.0])
def test_without_fakes(make_clip, called):
    block = metrics_block([make_clip(str(i), called, frames=[called] * 50) for i in range(3)])
    defined = {key: value for key, value in block.items() if value is not None}
    assert defined == {
        "clips": 3,
        "clip/accuracy": 1 - called,
        "clip/ece": called,
    }


def test_without_genuines(make_clip):
    scores = [make_clip(str(i), 1.0, regions=[(0, 1)], frames=[1.0] * 50) for i in range(3)]
    defined = {key: value for key, value in metrics_block(scores).items() if value is not None}
    assert defined == {
        "clips": 3,
        "clip/accuracy": 1,
        "clip/ece": 0,
        "segment_f1_20ms": 1,
        "segment_f1_1s": 1,
        "event_f1": 1,
        "add_score": 1,
    }


def test_nothing_predicted_is_a_true_zero(make_clip):
    scores = [
        make_clip("a", 0.4, regions=[(0.2, 0.4)], frames=[0.1] * 50),
        make_clip("b", 0.3, frames=[0] * 50),
    ]
    block = metrics_block(scores)
    assert [block[key] for key in ("segment_f1_20ms", "segment_f1_1s", "event_f1")] == [0, 0, 0]
    assert block["add_score"] == pytest.approx(0.15)


def test_one_clip_and_no_clip(make_clip):
    clip = make_clip(regions=[(0.2, 0.4)], frames=[0.5] * 50, score=0.9)
    block = metrics_block([clip])
    assert block["clips"] == 1
    assert block["clip/auc"] is None
    assert block["frame/auc"] == 0.5
    assert metrics_block([]) == {"clips": 0} | dict.fromkeys(KEYS[1:])


def test_systems_without_frames(make_scores):
    scores = [replace(c, frame_scores=np.zeros(0, np.float32)) for c in make_scores()]
    block = metrics_block(scores)
    assert {key for key, value in block.items() if value is None} == FRAME_KEYS
    mixed = [*scores[:-1], make_scores()[-1]]
    with pytest.raises(InputError, match="frame_scores"):
        metrics_block(mixed)


def test_order_of_clips_and_different_steps_do_not_matter(make_scores):
    scores = make_scores(1) + [
        replace(clip, clip_id=f"{clip.clip_id} coarse") for clip in make_scores(2, step=0.16)
    ]
    shuffled = [scores[i] for i in np.random.default_rng(0).permutation(len(scores))]
    assert metrics_block(shuffled) == pytest.approx(metrics_block(scores), abs=1e-12)


def test_values_are_finite_for_saturated_scores(make_scores):
    block = metrics_block(make_scores(gain=80.0))
    assert all(value is not None and isfinite(value) for value in block.values())
