from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fakesound.data.splits import (
    carve_validation,
    deal_folds,
    deal_groups,
    source_groups,
    split_by_fold,
    split_clips,
)
from fakesound.errors import InputError
from tests import factories

ATTACKS = ("codec/mp3", "edit/splice", "vocoder/world")


def make_clip(clip_id, source, attack=None, donors=(), split=None):
    return factories.make_clip(
        clip_id, attack=attack, source_id=source, split=split, donor_ids=donors
    )


@pytest.fixture
def clips():
    """Return clips of twenty sources: a genuine one and a fake by each attack, some with donor."""
    clips = []
    for number in range(20):
        source = f"s{number:02}"
        clips.append(make_clip(f"{source}-g", source))
        for attack in ATTACKS:
            donors = (f"s{number + 1:02}",) if attack == "edit/splice" and number % 4 == 0 else ()
            clips.append(make_clip(f"{source}-{attack}", source, attack, donors))
    return clips


def sources_of(clips):
    return {source for clip in clips for source in clip.sources}


def groups_by_hand(links):
    """Return connected components by repeated merging."""
    parts = [set(link) for link in links]
    while True:
        pair = next(((a, b) for a, b in combinations(parts, 2) if a & b), None)
        if pair is None:
            return sorted(sorted(part) for part in parts)
        parts.remove(pair[0])
        pair[1].update(pair[0])


@given(st.lists(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=3), max_size=9))
def test_sources_that_clips_join_are_one_group(links):
    clips = [make_clip(str(n), s, "a/b", tuple(d)) for n, (s, *d) in enumerate(links)]
    groups = source_groups(clips)
    result = [sorted(s for s in groups if groups[s] == name) for name in set(groups.values())]
    assert sorted(result) == groups_by_hand(links)
    assert source_groups(clips[::-1]) == groups


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 39), st.sampled_from(ATTACKS), st.integers(0, 99))),
    st.integers(2, 6),
    st.integers(0, 3),
)
def test_folds_share_no_source_for_any_donors(fakes, piles, seed):
    clips = [make_clip(f"g{n}", f"s{n}") for n in range(40)]
    clips += [
        make_clip(f"f{n}", f"s{source}", attack, (f"s{donor}",) if donor < 50 else ())
        for n, (source, attack, donor) in enumerate(fakes)
    ]
    dealt = deal_groups(clips, [1 / piles] * piles, seed)
    held = [
        sources_of(c for c, pile in zip(clips, dealt, strict=True) if pile == k)
        for k in range(piles)
    ]
    assert sum(map(len, held)) == len(sources_of(clips))
    assert set().union(*held) == sources_of(clips)


@pytest.mark.parametrize("folds", [3, 5])
def test_every_clip_is_tested_once_and_validates_once(clips, folds):
    tested, validated = Counter(), Counter()
    for fold in range(folds):
        split = split_clips(split_by_fold(clips, fold, folds))
        parts = [sources_of(part) for part in (split.train, split.validation, split.test)]
        assert not any(one & other for one, other in combinations(parts, 2))
        assert len(split.train) + len(split.validation) + len(split.test) == len(clips)
        tested.update(clip.clip_id for clip in split.test)
        validated.update(clip.clip_id for clip in split.validation)
    assert tested == validated == Counter(clip.clip_id for clip in clips)


@pytest.mark.parametrize("fold", range(5))
def test_a_held_out_attack_is_only_in_the_test_of_its_fold(clips, fold):
    dealt = split_by_fold(clips, fold, 5)
    split = split_clips(dealt, ["vocoder/world"], ["codec/mp3"], seen_per_genuine=1)
    assert {clip.attack for clip in split.train} == {None, "edit/splice"}
    assert {clip.attack for clip in split.validation} == {None, "edit/splice", "codec/mp3"}
    tested = {clip.source_id for clip in split.test}
    for attack in (None, "vocoder/world"):
        assert {c.source_id for c in split.test if c.attack == attack} == tested
    assert 3 <= len(tested) <= 5


def test_the_next_fold_validates(clips):
    def sources(fold, part):
        return {c.source_id for c in split_by_fold(clips, fold, 4) if c.split == part}

    for fold in range(4):
        assert sources(fold, "validation") == sources((fold + 1) % 4, "test")


def test_folds_are_the_same_for_the_same_seed_in_any_order(clips):
    def by_id(clips, seed):
        return {c.clip_id: f for c, f in zip(clips, deal_folds(clips, 5, seed), strict=True)}

    assert by_id(clips, 0) == by_id(clips[::-1], 0)
    assert by_id(clips, 0) != by_id(clips, 1)


def test_folds_have_their_share_of_every_attack():
    rng = np.random.default_rng(0)
    clips = [make_clip(f"g{n}", f"s{n}") for n in range(200)]
    counts = {"codec/mp3": 200, "edit/splice": 31, "vocoder/world": 77}
    for attack, count in counts.items():
        clips += [make_clip(f"{attack}{n}", f"s{rng.integers(200)}", attack) for n in range(count)]
    dealt = deal_folds(clips, 5)
    for attack, count in {None: 200, **counts}.items():
        held = Counter(f for c, f in zip(clips, dealt, strict=True) if c.attack == attack)
        assert all(abs(held[fold] - count / 5) <= 1.5 for fold in range(5)), attack


def test_a_group_too_large_for_the_folds_is_named(clips):
    joined = [
        replace(c, donor_ids=("s00",)) if c.attack == "codec/mp3" and c.source_id < "s16" else c
        for c in clips
    ]
    with pytest.raises(
        InputError,
        match=r"split\.folds=5: .*'s00', has 64 of 80 clips",
    ):
        deal_folds(joined, 5)
    assert Counter(deal_folds(joined, 4)) == {0: 64, 1: 8, 2: 4, 3: 4}


def test_a_fold_without_fakes_is_an_error(clips):
    few = [clip for clip in clips if not clip.is_fake or clip.source_id < "s02"]
    with pytest.raises(InputError, match="gets no fake clips"):
        deal_folds(few, 3)


def test_genuine_recordings_alone_can_be_split(clips):
    genuine = [clip for clip in clips if not clip.is_fake]
    assert Counter(deal_folds(genuine, 5)) == dict.fromkeys(range(5), 4)


@pytest.mark.parametrize("share", [0.1, 0.15, 0.3])
def test_validation_gets_its_share_by_source(share):
    clips = [
        make_clip(f"{n}-{attack}", f"s{n}", attack, ("s0",) if n == 1 and attack else ())
        for n in range(100)
        for attack in (None, *ATTACKS)
    ]
    carved = carve_validation(clips, share)
    assert [replace(clip, split=None) for clip in carved] == clips
    moved = [clip for clip in carved if clip.split == "validation"]
    kept = [clip for clip in carved if clip.split == "train"]
    assert len(moved) + len(kept) == 400
    assert not sources_of(moved) & sources_of(kept)
    for attack in (None, *ATTACKS):
        assert sum(c.attack == attack for c in moved) == pytest.approx(100 * share, abs=1.5)
    assert {c.clip_id for c in carve_validation(clips[::-1], share) if c.split != "train"} == {
        clip.clip_id for clip in moved
    }
    assert carve_validation(clips, share, seed=1) != carved


def test_only_clips_without_a_split_are_dealt_and_join_their_sources(clips):
    fixed = {"s00": "train", "s02": "validation", "s19": "test"}
    before = [replace(clip, split=fixed.get(clip.source_id)) for clip in clips]
    # another clip of a source that trains, and one with a donor that validates
    before += [make_clip("more", "s00"), make_clip("spliced", "s03", "edit/splice", ("s02",))]
    carved = carve_validation(before, 0.3)
    assert all(new.split == old.split for new, old in zip(carved, before, strict=True) if old.split)
    splits = {clip.clip_id: clip.split for clip in carved}
    # s01 is a donor of s00
    assert splits["more"] == splits["s01-g"] == "train"
    assert splits["spliced"] == splits["s03-g"] == "validation"
    assert {clip.split for clip in carved if clip.source_id > "s03"} >= {"train", "validation"}


def test_too_few_groups_to_carve_from(clips):
    few = [clip for clip in clips if clip.source_id < "s02"]
    with pytest.raises(InputError, match=r"split\.validation_share=0\.15: 1 groups"):
        carve_validation(few, 0.15)
