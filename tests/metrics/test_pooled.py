from dataclasses import asdict, replace

import numpy as np
import pytest

from fakesound.metrics import (
    ClipScore,
    logit,
    metrics_block,
    paired_differences,
    pooled_difference,
    resampled,
)
from fakesound.timeline import Region


def clip(number, fake, rng, skill):
    score = float(1 / (1 + np.exp(-(skill * (2 * fake - 1) + rng.normal()))))
    truth = np.zeros(20)
    if fake:
        truth[5:10] = 1
    frames = 1 / (1 + np.exp(-(skill * (4 * truth - 2) + rng.normal(size=20))))
    return ClipScore(
        clip_id=f"clip {number} {fake}",
        score=score,
        logit=logit(score),
        label="fake" if fake else "genuine",
        attack="codec/gsm" if fake else None,
        corpus="corpus",
        domain="corpus",
        source_id=f"source {number}",
        regions=(Region(0.1, 0.2),) if fake else (),
        duration=0.4,
        fold="unseen" if fake else None,
        frame_scores=frames.astype(np.float32),
    )


def system(seed, skill, sources=range(12)):
    rng = np.random.default_rng(seed)
    return [clip(number, fake, rng, skill) for number in sources for fake in (0, 1)]


def pairs(found, key="clip/auc"):
    half = len(found) // 2
    return [(found[i][key], found[half + i][key]) for i in range(half)]


@pytest.mark.parametrize("key", ["clip/auc", "segment_f1_20ms"])
def test_one_pair_is_the_paired_difference(key):
    a, b = system(0, 1.0), system(1, 0.3)
    found = pooled_difference(pairs(resampled([a, b], draws=200, seed=3), key))
    assert asdict(found) == pytest.approx(asdict(paired_differences(a, b, 200, 3)[key]))


def test_the_same_pair_twice_tells_no_more_than_once():
    a, b = system(0, 1.0), system(1, 0.3)
    once = pooled_difference(pairs(resampled([a, b], draws=100)))
    twice = pooled_difference(pairs(resampled([a, a, b, b], draws=100)))
    assert asdict(twice) == pytest.approx(asdict(once))


def test_sources_are_drawn_once_for_all_pairs():
    """Every draw by hand: whole sources repeated, the difference of each pair, their mean."""
    firsts, seconds = [system(s, 1.0) for s in (0, 1)], [system(s, 0.5) for s in (2, 3)]
    found = pooled_difference(pairs(resampled([*firsts, *seconds], draws=40, seed=5)))
    rng = np.random.default_rng(5)
    names = sorted({c.source_id for c in firsts[0]})
    means = []
    for _ in range(40):
        counts = np.bincount(rng.integers(12, size=12), minlength=12)
        times = dict(zip(names, counts, strict=True))

        def auc(scores, times=times):
            return metrics_block([c for c in scores for _ in range(times[c.source_id])])["clip/auc"]

        means.append(np.mean([auc(a) - auc(b) for a, b in zip(firsts, seconds, strict=True)]))
    assert [found.low, found.high] == pytest.approx(np.percentile(means, (2.5, 97.5)).tolist())


def test_pairs_on_other_recordings_add_to_the_evidence():
    """A pair on sources of its own narrows the interval; on the same sources it cannot."""
    rows = [system(0, 1.0), system(1, 1.0, range(12, 24)), system(2, 0.5)]
    rows.append(system(3, 0.5, range(12, 24)))
    both = pooled_difference(pairs(resampled(rows, draws=400)))
    one = pooled_difference(pairs(resampled([rows[0], rows[2]], draws=400)))
    assert both.high - both.low < one.high - one.low


def test_what_is_undefined_is_left_out():
    a = system(0, 1.0)
    bare = [replace(c, frame_scores=np.zeros(0, np.float32)) for c in a]
    genuine = [c for c in a if not c.fake]
    found = resampled([a, bare, genuine, []], draws=10)
    assert [sorted(figures) for figures in found] == [
        ["clip/auc", "segment_f1_20ms"], ["clip/auc"], [], [],
    ]  # fmt: skip
    assert resampled([system(0, 1.0, range(1))], draws=10) == [{}]
