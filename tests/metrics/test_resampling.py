from dataclasses import asdict, replace

import numpy as np
import pytest

from fakesound.errors import InputError
from fakesound.metrics import (
    KEYS,
    PairedDifference,
    bootstrap_runs,
    metrics_block,
    paired_differences,
    part_blocks,
    pooled_difference,
)
from fakesound.metrics.resampling import difference_in_draws, source_draws
from fakesound.metrics.sample import Sample
from tests.run_factory import weakened


@pytest.fixture(autouse=True)
def few_sources_are_enough(monkeypatch):
    for module in ("resampling", "sample"):
        monkeypatch.setattr(f"fakesound.metrics.{module}.MIN_SOURCES", 2)
    # a draw repeats clips, and which domains count is decided before
    monkeypatch.setattr("fakesound.metrics.block.DOMAIN_CLIPS", 1)


def block_intervals(scores, draws=1000, seed=0):
    return part_blocks(scores, {"all": scores}, draws, seed)["all"]["ci"]


def paired_difference(a, b, key, draws=1000, seed=0):
    return paired_differences(a, b, draws, seed).get(key)


def test_threads_change_nothing(make_scores, monkeypatch):
    scores = make_scores(3, pairs=30)
    parts = {f"{start}": scores[start : start + 24] for start in range(0, 36, 6)}
    blocks = {}
    for threads in (1, 3):
        monkeypatch.setattr("fakesound.metrics.resampling.usable_cores", lambda n=threads: n)
        blocks[threads] = part_blocks(scores, parts, 50, 1)
    assert list(blocks[1]) == list(parts)
    assert blocks[1] == blocks[3]
    assert len({str(block) for block in blocks[1].values()}) == len(parts)


@pytest.mark.parametrize("fakes", [19, 20])
def test_intervals_and_p_values_need_twenty_sources_of_each_label(make_clip, monkeypatch, fakes):
    monkeypatch.undo()
    scores = [make_clip(f"g{i}", i / 50) for i in range(30)]
    scores += [make_clip(f"f{i}", 0.4 + i / 50, regions=[(0, 1)]) for i in range(fakes)]
    interval = block_intervals(scores, 50)["clip/auc"]
    p = paired_differences(scores, scores, 50)["clip/auc"].p
    runs = bootstrap_runs([scores, scores], 50)
    assert (interval is not None) == (p is not None) == bool(runs[0]) == (fakes == 20)


def slow_draws(scores, draws, seed):
    """Resample sources, repeat their clips, and compute the metric of each draw."""
    sources = sorted({clip.source_id for clip in scores})
    return [
        metrics_block(
            [
                clip
                for source, times in zip(sources, row, strict=True)
                for clip in scores
                if clip.source_id == source
                for _ in range(int(times))
            ]
        )
        for row in source_draws(len(sources), draws, seed)
    ]


def slow_intervals(scores, draws, seed):
    blocks = slow_draws(scores, draws, seed)
    intervals = {}
    for key in KEYS[1:]:
        defined = [block[key] for block in blocks if block[key] is not None]
        intervals[key] = list(np.percentile(defined, [2.5, 97.5])) if defined else None
    return intervals


def test_intervals_equal_plain_resampling(make_scores):
    scores = make_scores(4, pairs=7, frames=30, levels=50)
    result = block_intervals(scores, draws=80, seed=5)
    assert result.pop("clips") is None
    for key, interval in slow_intervals(scores, 80, 5).items():
        assert result[key] == pytest.approx(interval, abs=1e-9), key


def test_levels_of_many_frames_hardly_move_the_interval(make_scores):
    scores = make_scores(6, pairs=25, frames=100)
    assert len({*np.concatenate([c.frame_scores for c in scores])}) > 4000
    result = block_intervals(scores, draws=60, seed=1)
    for key, interval in slow_intervals(scores, 60, 1).items():
        tolerance = 2e-3 if key in ("frame/ap", "frame/eer", "range_eer", "frame/auc") else 1e-9
        assert result[key] == pytest.approx(interval, abs=tolerance), key


def test_sources_in_several_blocks_and_draws_in_several_passes(make_scores, monkeypatch):
    scores = make_scores(2, pairs=9, frames=20)
    whole = block_intervals(scores, draws=30)
    monkeypatch.setattr("fakesound.metrics.sample.SOURCE_CHUNK", 4)
    monkeypatch.setattr("fakesound.metrics.sample.WEIGHT_CHUNK", 100)
    for key, interval in block_intervals(scores, draws=30).items():
        assert interval == pytest.approx(whole[key], abs=1e-12), key


def test_undefined_figures_have_no_interval(make_clip, make_scores):
    genuine = [make_clip(str(i), 0.1 * i, frames=[0.5] * 50) for i in range(4)]
    assert block_intervals(genuine, 50) == dict.fromkeys(KEYS)
    assert block_intervals([]) == dict.fromkeys(KEYS)
    one_source = [replace(clip, source_id="s") for clip in make_scores()]
    assert block_intervals(one_source) == dict.fromkeys(KEYS)


def test_draws_without_a_kind_are_left_out(make_clip):
    # some draws of four sources hold no fake or no genuine clip
    scores = [make_clip(name, 0.9, regions=[(0, 1)]) for name in "ef"]
    scores += [make_clip("g", 0.1), make_clip("h", 0.2)]
    assert block_intervals(scores, 200)["clip/auc"] == [1.0, 1.0]


def test_same_seed_same_interval(make_scores):
    scores = make_scores(0, frames=10)
    assert block_intervals(scores, 50, 7) == block_intervals(scores, 50, 7)
    assert block_intervals(scores, 50, 7) != block_intervals(scores, 50, 8)


def test_draws_are_with_replacement():
    drawn = source_draws(40, 300, 0)
    assert (drawn.sum(axis=1) == 40).all()
    assert (drawn == 0).mean() == pytest.approx(np.exp(-1), abs=0.02)
    assert drawn.mean(axis=0) == pytest.approx(np.ones(40), abs=0.3)


@pytest.mark.parametrize("key", ["clip/auc", "clip/cllr", "segment_f1_20ms", "frame/auc"])
def test_a_system_equals_itself(make_scores, key):
    scores = make_scores()
    result = paired_difference(scores, scores[::-1], key, draws=50)
    assert (result.difference, result.low, result.high, result.p) == (0, 0, 0, 1)


def test_a_better_system_is_significant(make_scores):
    worse, better = make_scores(0, pairs=40, gain=0.2), make_scores(0, pairs=40, gain=2.0)
    flipped = [
        replace(w, score=b.score, logit=b.logit, frame_scores=b.frame_scores)
        for w, b in zip(worse, make_scores(1, pairs=40, gain=2.0), strict=True)
    ]
    result = paired_difference(better, flipped, "frame/auc", draws=400)
    blocks = metrics_block(better), metrics_block(flipped)
    assert result.difference == pytest.approx(blocks[0]["frame/auc"] - blocks[1]["frame/auc"])
    assert 0 < result.low < result.difference < result.high
    assert result.p == pytest.approx(2 / 401)
    turned = paired_difference(flipped, better, "frame/auc", draws=400)
    assert (turned.low, turned.high) == pytest.approx((-result.high, -result.low))


def test_pairing_is_tighter_than_two_separate_intervals(make_scores):
    a = make_scores(0, pairs=30)
    b = [
        replace(c, score=min(c.score + 0.01, 1), logit=np.log((c.score + 0.01) / (0.99 - c.score)))
        for c in a
    ]
    result = paired_difference(a, b, "clip/auc", draws=200)
    low, high = block_intervals(a, 200)["clip/auc"]
    assert result.high - result.low < 0.1 * (high - low)


def test_p_is_even_under_no_difference(make_clip):
    # two systems that are right at random: p is below a half about half of the time
    rng = np.random.default_rng(0)
    below = []
    for _ in range(100):
        systems = [
            [
                make_clip(str(i), score, regions=[(0, 1)] if i < 30 else ())
                for i, score in enumerate(rng.random(60))
            ]
            for _ in range(2)
        ]
        below.append(paired_difference(*systems, "clip/accuracy", draws=200).p < 0.5)
    assert np.mean(below) == pytest.approx(0.5, abs=0.15)


def test_clips_must_match(make_scores):
    scores = make_scores()
    for pair in ((scores, scores[1:]), (scores[1:], scores)):
        with pytest.raises(InputError, match=f"clip_id: '{scores[0].clip_id}' is scored by only"):
            paired_difference(*pair, "clip/auc")
    moved = [replace(scores[0], source_id="other"), *scores[1:]]
    with pytest.raises(InputError, match="differs in label, source_id or regions"):
        paired_difference(scores, moved, "clip/auc")


def test_all_differences_at_once_are_those_of_each(make_scores):
    a, b = make_scores(0), make_scores(0, gain=3.0)
    result = paired_differences(a, b[::-1], draws=40, seed=2)
    assert tuple(result) == KEYS[1:]
    for key in ("clip/ece", "event_f1", "add_score"):
        assert result[key] == paired_difference(a, b, key, draws=40, seed=2)
    values = metrics_block(a)["clip/ece"], metrics_block(b)["clip/ece"]
    assert result["clip/ece"].difference == values[0] - values[1]


def test_undefined_figures_have_no_difference_and_few_sources_no_interval(make_clip, make_scores):
    genuine = [make_clip(str(i), frames=[0.5] * 50) for i in range(4)]
    assert "clip/auc" not in paired_differences(genuine, genuine, 20)
    bare = [replace(clip, frame_scores=np.zeros(0, np.float32)) for clip in make_scores()]
    assert "frame/auc" not in paired_differences(bare, bare, 20)
    for few in ([replace(clip, source_id="s") for clip in make_scores()], make_scores()):
        result = paired_differences(few, few, 20 if few[0].source_id == "s" else 0)["clip/auc"]
        value = metrics_block(few)["clip/auc"]
        assert result == PairedDifference(value, value, 0.0)
    with pytest.raises(InputError, match="scored by only"):
        paired_differences(genuine, genuine[1:])


@pytest.fixture
def system(make_scores):
    """Return a function that makes a system: the same clips for all, scores worse by ``noise``."""

    def make(seed, noise, copy=""):
        return [
            replace(clip, clip_id=copy + clip.clip_id, source_id=copy + clip.source_id)
            for clip in weakened(make_scores(0, pairs=12, frames=20), noise, seed=seed)
        ]

    return make


def pooled(firsts, seconds, key="clip/auc", draws=100, seed=0):
    result = bootstrap_runs([*firsts, *seconds], draws, seed)
    half = len(firsts)
    return pooled_difference([(result[i][key], result[half + i][key]) for i in range(half)])


@pytest.mark.parametrize("key", ["clip/auc", "segment_f1_20ms"])
def test_one_pair_is_the_paired_difference(system, key):
    a, b = system(0, 0.3), system(1, 2.0)
    expected = paired_differences(a, b, 200, 3)[key]
    assert asdict(pooled([a], [b], key, 200, 3)) == pytest.approx(asdict(expected))


def test_a_repeated_pair_adds_no_evidence(system):
    a, b = system(0, 0.3), system(1, 2.0)
    assert asdict(pooled([a, a], [b, b])) == pytest.approx(asdict(pooled([a], [b])))


def test_sources_are_drawn_once_for_all_pairs(system):
    """Compute each draw by hand: repeated sources, the difference of each pair, their mean."""
    firsts, seconds = [system(s, 0.3) for s in (0, 1)], [system(s, 1.0) for s in (2, 3)]
    result = pooled(firsts, seconds, draws=40, seed=5)
    auc = [[b["clip/auc"] for b in slow_draws(s, 40, 5)] for s in (*firsts, *seconds)]
    means = np.mean(auc[:2], axis=0) - np.mean(auc[2:], axis=0)
    assert [result.low, result.high] == pytest.approx(np.percentile(means, (2.5, 97.5)).tolist())


def test_pairs_on_other_recordings_add_to_the_evidence(system):
    """A pair on other sources narrows the interval; one on the same sources does not."""
    firsts, seconds = ([system(s, n), system(s + 1, n, "b")] for s, n in ((0, 0.5), (2, 2.0)))
    both, one = pooled(firsts, seconds, draws=400), pooled(firsts[:1], seconds[:1], draws=400)
    assert both.high - both.low < one.high - one.low


def test_undefined_figures_are_left_out(system):
    a = system(0, 0.3)
    bare = [replace(c, frame_scores=np.zeros(0, np.float32)) for c in a]
    genuine = [c for c in a if not c.fake]
    result = bootstrap_runs([a, bare, genuine, []], draws=10)
    both, auc = {"clip/auc", "segment_f1_20ms"}, {"clip/auc"}
    assert [set(figures) for figures in result] == [both, auc, set(), set()]
    assert bootstrap_runs([a[:2]], draws=10) == [{}]


def test_a_difference_undefined_in_every_draw_has_no_interval():
    result = difference_in_draws(0.75, 0.5, np.full(3, np.nan))
    assert result == PairedDifference(0.75, 0.5, 0.25)


def test_a_sample_keeps_the_draws_apart(make_scores):
    scores = make_scores()
    part = np.ones(len(scores), dtype=bool)
    sample = Sample.of(scores)
    for seed in (0, 1):
        draws = source_draws(sample.sources, 20, seed)
        fresh = Sample.of(scores).drawn(part, draws)
        for key, values in sample.drawn(part, draws).items():
            np.testing.assert_array_equal(values, fresh[key], err_msg=key)
