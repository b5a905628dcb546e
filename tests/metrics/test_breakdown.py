import json
from dataclasses import replace

import numpy as np
import pytest

from fakesound import metrics
from fakesound.metrics import (
    KEYS,
    block_intervals,
    frame_recall,
    metrics_block,
    partition_blocks,
    partitions,
    subsets,
)


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
        intervals = block_intervals(part, 20, 3)
        assert {key: value for key, value in block.items() if key != "ci"} == metrics_block(part)
        defined = {key for key in intervals if intervals[key]}
        assert {key for key, ends in block["ci"].items() if ends} == defined
    # every part hears the same draws, of the sources of all clips
    assert blocks["all"]["ci"] == block_intervals(parts.all, 20, 3)
    assert json.loads(json.dumps(blocks, allow_nan=False)) == blocks


def test_no_draws_leave_the_intervals_out(scores):
    assert "ci" not in metrics.fold_blocks(scores, draws=0)["all"]


@pytest.fixture
def mixed(make_clip):
    """Two families, corpora and subsets; one corpus and one subset without fakes."""
    return [
        make_clip("f1", regions=[(0, 0.1)], attack="a/1", corpus="x", subsets=("easy", "hard")),
        make_clip("f2", regions=[(0, 0.6)], attack="a/2", corpus="x", subsets=("hard",)),
        make_clip("f3", regions=[(0, 1)], attack="b/3", corpus="y"),
        make_clip("g1", corpus="x", subsets=("easy", "hard")),
        make_clip("g2", corpus="x", subsets=("zeroshot",)),
        make_clip("g3", corpus="y"),
        make_clip("g4", corpus="z"),
    ]


def test_partitions_hold_their_fakes_and_the_genuines_that_belong(mixed):
    genuines = ["g1", "g2", "g3", "g4"]
    found = {
        kind: {name: names(part) for name, part in parts.items()}
        for kind, parts in partitions(mixed).items()
    }
    assert found == {
        "family": {"a": ["f1", "f2", *genuines], "b": ["f3", *genuines]},
        "region_length": {
            "under 0.25 s": ["f1", *genuines],
            "0.5-1 s": ["f2", *genuines],
            "whole clip": ["f3", *genuines],
        },
        "corpus": {"x": ["f1", "f2", "g1", "g2"], "y": ["f3", "g3"]},
        "subset": {"easy": ["f1", "g1"], "hard": ["f1", "f2", "g1"]},
    }


@pytest.mark.parametrize(
    ("regions", "length"),
    [
        ([(1, 1.249)], "under 0.25 s"),
        ([(1, 1.25)], "0.25-0.5 s"),
        ([(1, 1.1), (3, 3.5)], "0.5-1 s"),
        ([(1, 1.5), (1.5, 2)], "1-2 s"),  # they touch, and are one
        ([(0, 1.999999)], "1-2 s"),
        ([(8, 10)], "2-4 s"),
        ([(0, 4)], "over 4 s"),
        ([(0, 9.99)], "over 4 s"),
        ([(0, 9.9995)], "whole clip"),
        ([(0, 5), (5, 10.001)], "whole clip"),
    ],
)
def test_fakes_go_by_their_longest_region(make_clip, regions, length):
    clip = make_clip(regions=regions, duration=10.0)
    assert list(partitions([clip])["region_length"]) == [length]


def test_lengths_go_from_short_to_whole(make_clip):
    ends = (10, 5, 3, 1.5, 0.7, 0.3, 0.1)
    clips = [make_clip(str(end), regions=[(0, end)], duration=10.0) for end in ends]
    assert list(partitions(clips)["region_length"]) == [
        "under 0.25 s", "0.25-0.5 s", "0.5-1 s", "1-2 s", "2-4 s", "over 4 s", "whole clip",
    ]  # fmt: skip


def test_partitions_without_fakes_are_empty(mixed):
    parts = partitions([clip for clip in mixed if not clip.fake])
    assert parts == {"family": {}, "region_length": {}, "corpus": {}, "subset": {}}


def test_partition_blocks_hold_figures_and_intervals(make_scores):
    scores = make_scores(1, pairs=6)
    blocks = partition_blocks(scores, draws=20, seed=3)
    parts = partitions(scores)
    assert len(parts["region_length"]) > 1
    for kind, of_kind in parts.items():
        assert blocks[kind].keys() == of_kind.keys()
        for name, part in of_kind.items():
            expected = metrics_block(part) | {"ci": block_intervals(part, 20, 3)}
            if kind == "region_length":
                expected["frame_recall"] = frame_recall(part)
            assert blocks[kind][name] == expected
    assert json.loads(json.dumps(blocks, allow_nan=False)) == blocks
    assert "ci" not in partition_blocks(scores, draws=0)["corpus"]["corpus"]


def test_frame_recall_by_hand(make_clip):
    found = make_clip(
        "f",
        regions=[(0.19, 0.4)],
        frames=[0.1, 0.9, 0.9, 0.9, 0.2],
        frame_step=0.1,
        duration=0.5,
    )
    lost = make_clip("l", regions=[(0, 1)], frames=[0.4] * 50)
    alarm = make_clip("g", frames=[0.9] * 50)
    assert frame_recall([found, alarm]) == 1
    assert frame_recall([found, lost, alarm]) == pytest.approx(3 / 53)
    assert frame_recall([replace(lost, frame_threshold=0.3)]) == 1
    assert frame_recall([alarm]) is None
    assert frame_recall([]) is None
    assert frame_recall([replace(lost, frame_scores=np.zeros(0, np.float32))]) is None
