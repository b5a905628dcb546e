import json
from dataclasses import replace

import numpy as np
import pytest

from fakesound import metrics
from fakesound.metrics import (
    KEYS,
    frame_recall,
    metrics_block,
    part_blocks,
    subgroups,
    subsets,
    with_partners,
)


@pytest.fixture(autouse=True)
def few_sources_are_enough(monkeypatch):
    monkeypatch.setattr("fakesound.metrics.sample.MIN_SOURCES", 1)


def block_intervals(scores, part, draws, seed):
    return part_blocks(scores, {"part": part}, draws, seed)["part"]["ci"]


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


def test_folds_hold_all_genuines_and_attacks_one_for_each_fake(scores):
    parts = subsets(scores)
    assert parts.all == scores
    assert names(parts.seen) == ["f0", "f1", "g0", "g1"]
    assert names(parts.unseen) == ["f2", "g0", "g1"]
    assert {attack: names(part) for attack, part in parts.attack.items()} == {
        "a/1": ["f0", "f1", "g0", "g1"],
        "b/2": ["f2", "g0"],
        "c/3": ["f3", "g0"],
    }


def test_a_fake_is_measured_with_its_twin_else_with_a_clip_like_it(make_clip):
    def fake(name, source, **fields):
        return make_clip(name, regions=[(0, 1)], source_id=source, **fields)

    genuines = [
        make_clip("twin", source_id="s"),
        *(make_clip(f"d{i}", domain="page", corpus="web") for i in range(2)),
        *(make_clip(f"c{i}", domain="other page", corpus="web") for i in range(2)),
        make_clip("stranger", corpus="elsewhere"),
    ]
    twins = [fake("f1", "s", domain="page", corpus="web"), fake("f2", "s", corpus="elsewhere")]
    chosen = {clip.clip_id for clip in with_partners(twins, genuines)} - {"f1", "f2"}
    # one of the two has the twin, the other a clip of its own domain or corpus
    assert "twin" in chosen
    assert chosen - {"twin"} <= {"d0", "d1", "stranger"}
    page = [fake(f"p{i}", f"p{i}", domain="page", corpus="web") for i in range(4)]
    result = {clip.clip_id for clip in with_partners(page, genuines)}
    assert result == {"p0", "p1", "p2", "p3", "d0", "d1", "c0", "c1"}
    assert with_partners(page, genuines[::-1]) == with_partners(page, genuines)
    assert len(with_partners(page * 1, [])) == 4


def test_the_f1_of_an_attack_does_not_depend_on_its_number_of_clips(make_clip):
    def pair(number, attack):
        frames = [0.9] * 25 + [0.1] * 25  # half of the region is found, and half of the rest
        return [
            make_clip(f"{attack}{number}", regions=[(0, 0.5)], attack=attack, frames=frames[::-1],
                      source_id=f"{attack}{number}"),
            make_clip(f"g{attack}{number}", frames=frames, source_id=f"{attack}{number}"),
        ]  # fmt: skip

    scores = [clip for i in range(9) for clip in pair(i, "a/often")] + pair(0, "b/once")
    blocks = metrics.subset_blocks(scores, draws=0)["test"]["attack"]
    assert blocks["a/often"]["clips"] == 18
    assert blocks["b/once"]["clips"] == 2
    assert blocks["a/often"]["segment_f1_20ms"] == blocks["b/once"]["segment_f1_20ms"]


def test_a_fold_without_fakes_is_empty_and_not_a_success(scores):
    seen = [clip for clip in scores if clip.fold != "unseen"]
    blocks = metrics.subset_blocks(seen, draws=0)["test"]
    assert blocks["unseen"] == {"clips": 0} | dict.fromkeys(KEYS[1:])
    assert list(blocks["attack"]) == ["a/1", "c/3"]


@pytest.fixture
def mixed(make_clip):
    """Two families, corpora and subsets; one corpus and one subset without fakes."""
    return [
        make_clip(
            "f1", regions=[(0, 0.1)], attack="a/1", corpus="x", domain="x", subsets=("easy", "hard")
        ),
        make_clip(
            "f2", regions=[(0, 0.6)], attack="a/2", corpus="x", domain="x", subsets=("hard",)
        ),
        make_clip("f3", regions=[(0, 1)], attack="b/3", corpus="y", domain="y"),
        make_clip("g1", corpus="x", domain="x", subsets=("easy", "hard")),
        make_clip("g2", corpus="x", domain="x", subsets=("zeroshot",)),
        make_clip("g3", corpus="y", domain="y"),
        make_clip("g4", corpus="z", domain="z"),
    ]


def test_partitions_hold_their_fakes_and_the_genuines_that_belong(mixed):
    result = {
        kind: {name: names(part) for name, part in parts.items()}
        for kind, parts in subgroups(mixed).items()
    }
    assert result == {
        "family": {"a": ["f1", "f2", "g1", "g2"], "b": ["f3", "g3"]},
        "region_length": {
            "under 0.25 s": ["f1", "g2"],
            "0.5-1 s": ["f2", "g2"],
            "whole clip": ["f3", "g3"],
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
    assert list(subgroups([clip])["region_length"]) == [length]


def test_lengths_go_from_short_to_whole(make_clip):
    ends = (10, 5, 3, 1.5, 0.7, 0.3, 0.1)
    clips = [make_clip(str(end), regions=[(0, end)], duration=10.0) for end in ends]
    assert list(subgroups(clips)["region_length"]) == [
        "under 0.25 s", "0.25-0.5 s", "0.5-1 s", "1-2 s", "2-4 s", "over 4 s", "whole clip",
    ]  # fmt: skip


def test_partitions_without_fakes_are_empty(mixed):
    parts = subgroups([clip for clip in mixed if not clip.fake])
    assert parts == {"family": {}, "region_length": {}, "corpus": {}, "subset": {}}


def test_blocks_hold_figures_and_intervals(make_scores):
    """Every part has the same draws, of the sources of all clips."""
    scores = make_scores(1, pairs=6)
    parts, folds = subgroups(scores), subsets(scores)
    assert len(parts["region_length"]) > 1
    parts |= {"attack": folds.attack, "fold": folds.parts}
    result = metrics.subset_blocks(scores, draws=20, seed=3)
    attacks = result["test"].pop("attack")
    blocks = {**result["partition"], "attack": attacks, "fold": result["test"]}
    for kind, of_kind in parts.items():
        assert blocks[kind].keys() == of_kind.keys()
        for name, part in of_kind.items():
            expected = metrics_block(part) | {"ci": block_intervals(scores, part, 20, 3)}
            if kind == "region_length":
                expected["frame_recall"] = frame_recall(part)
            assert blocks[kind][name] == expected
    assert json.loads(json.dumps(blocks, allow_nan=False)) == blocks
    plain = metrics.subset_blocks(scores, draws=0)
    assert "ci" not in plain["partition"]["corpus"]["corpus"]
    assert "ci" not in plain["test"]["all"]


def test_frame_recall_by_hand(make_clip):
    detected = make_clip(
        "f",
        regions=[(0.19, 0.4)],
        frames=[0.1, 0.9, 0.9, 0.9, 0.2],
        frame_step=0.1,
        duration=0.5,
    )
    lost = make_clip("l", regions=[(0, 1)], frames=[0.4] * 50)
    alarm = make_clip("g", frames=[0.9] * 50)
    assert frame_recall([detected, alarm]) == 1
    assert frame_recall([detected, lost, alarm]) == pytest.approx(3 / 53)
    assert frame_recall([replace(lost, frame_threshold=0.3)]) == 1
    assert frame_recall([alarm]) is None
    assert frame_recall([]) is None
    assert frame_recall([replace(lost, frame_scores=np.zeros(0, np.float32))]) is None
