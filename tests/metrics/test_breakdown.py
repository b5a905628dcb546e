import json

import pytest

from fakesound import metrics
from fakesound.metrics import KEYS, block_intervals, metrics_block, subsets


@pytest.fixture
def scores(make_clip):
    """Two seen fakes, one unseen, one whose attack served model selection; two genuines."""
    kinds = [("a/1", "seen"), ("a/1", "seen"), ("b/2", "unseen"), ("c/3", None)]
    fakes = [
        make_clip(f"f{i}", 0.6, regions=[(0, 0.5)], attack=attack, fold=fold, frames=[0.7] * 50)
        for i, (attack, fold) in enumerate(kinds)
    ]
    return fakes + [make_clip(f"g{i}", 0.3, frames=[0.2] * 50) for i in range(2)]


def names(clips):
    return sorted(clip.clip_id for clip in clips)


def test_genuines_belong_to_every_part_and_fakes_to_theirs(scores):
    parts = subsets(scores)
    assert parts.all == scores
    assert names(parts.seen) == ["f0", "f1", "g0", "g1"]
    assert names(parts.unseen) == ["f2", "g0", "g1"]
    assert {attack: names(part) for attack, part in parts.attack.items()} == {
        "a/1": ["f0", "f1", "g0", "g1"],
        "b/2": ["f2", "g0", "g1"],
        "c/3": ["f3", "g0", "g1"],
    }


def test_a_fold_without_fakes_is_empty_and_not_a_success(scores):
    blocks = metrics.fold_blocks([clip for clip in scores if clip.fold != "unseen"], draws=0)
    assert blocks["unseen"] == {"clips": 0} | dict.fromkeys(KEYS[1:])
    assert list(blocks["attack"]) == ["a/1", "c/3"]


def test_blocks_hold_figures_and_intervals(scores):
    blocks = metrics.fold_blocks(scores, draws=20, seed=3)
    parts = subsets(scores)
    for block, part in [
        (blocks["all"], parts.all),
        (blocks["seen"], parts.seen),
        (blocks["unseen"], parts.unseen),
        (blocks["attack"]["c/3"], parts.attack["c/3"]),
    ]:
        assert block == metrics_block(part) | {"ci": block_intervals(part, 20, 3)}
    assert json.loads(json.dumps(blocks, allow_nan=False)) == blocks


def test_no_draws_leave_the_intervals_out(scores):
    assert "ci" not in metrics.fold_blocks(scores, draws=0)["all"]
