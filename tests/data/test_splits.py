import pytest
from msgspec.structs import replace

from fakesound.data.manifest import SPLITS
from fakesound.data.splits import Split, check_split, inner_attack, split_clips
from fakesound.errors import InputError
from tests import factories

ATTACKS = ("codec/mp3", "codec/opus", "edit/splice", "vocoder/world")


def make_clip(clip_id, split, attack=None, donors=()):
    return factories.make_clip(
        clip_id, attack=attack, source_id=clip_id.split("-")[0], split=split, donor_ids=donors
    )


@pytest.fixture
def clips():
    """Return clips of two sources per split: a genuine one and a fake by every attack."""
    return [
        make_clip(f"{split}{number}-{attack}", split, attack)
        for split in SPLITS
        for number in (1, 2)
        for attack in (None, *ATTACKS)
    ]


def attacks_of(part):
    return {clip.attack for clip in part if clip.attack is not None}


def test_the_official_split_takes_all(clips):
    split = split_clips(clips)
    assert [*split.train, *split.validation, *split.test] == clips
    assert all(clip.split == "validation" for clip in split.validation)


def test_clips_without_a_split_are_not_used(clips):
    spare = make_clip("spare", None, "codec/mp3")
    split = split_clips([*clips, spare])
    assert spare not in (*split.train, *split.validation, *split.test)


def test_a_source_stays_in_one_part(clips):
    split = split_clips(clips, ["edit/splice"], ["codec/mp3"])
    sources = [{clip.source_id for clip in p} for p in (split.train, split.validation, split.test)]
    assert not sources[0] & sources[1] | sources[0] & sources[2] | sources[1] & sources[2]


def test_held_out_attacks_reach_the_test_only(clips):
    split = split_clips(clips, ["edit/splice"], ["codec/mp3"])
    assert attacks_of(split.train) == {"codec/opus", "vocoder/world"}
    assert attacks_of(split.validation) == {"codec/opus", "vocoder/world", "codec/mp3"}
    assert attacks_of(split.test) == set(ATTACKS)


def test_a_control_trains_on_them_and_is_measured_on_the_same_clips(clips):
    plain, control = (
        split_clips(clips, ["edit/splice"], ["codec/mp3"], control=c) for c in (False, True)
    )
    assert {clip.attack for clip in control.train} - {clip.attack for clip in plain.train} == {
        "edit/splice"
    }
    assert (control.validation, control.test) == (plain.validation, plain.test)
    tested = next(clip for clip in control.test if clip.attack == "edit/splice")
    assert (plain.fold(tested), control.fold(tested)) == ("unseen", "seen")


def test_folds_distinguish_seen_and_unseen(clips):
    split = split_clips(clips, ["edit/splice"], ["codec/mp3"])
    folds = {clip.attack: split.fold(clip) for clip in split.test}
    assert folds == {
        None: None,
        "codec/mp3": None,
        "codec/opus": "seen",
        "edit/splice": "unseen",
        "vocoder/world": "seen",
    }


@pytest.mark.parametrize("moved", ["test", "validation"])
def test_a_source_in_two_parts_is_an_error_that_names_it(clips, moved):
    leak = replace(make_clip("train2-again", moved), source_id="train2")
    with pytest.raises(InputError, match=f"'train2' is in train and {moved}"):
        split_clips([*clips, leak])


def test_donors_count_as_sources(clips):
    leak = make_clip("test1-spliced", "test", "edit/splice", donors=("validation2",))
    with pytest.raises(InputError, match="'validation2' is in validation and test"):
        split_clips([*clips, leak])
    fine = make_clip("test1-spliced", "test", "edit/splice", donors=("test2",))
    assert fine in split_clips([*clips, fine]).test


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_held_out_attack_outside_the_test_is_an_error(clips, part):
    parts = {name: tuple(c for c in clips if c.split == name) for name in SPLITS}
    with pytest.raises(InputError, match=f"held-out attack edit/splice is in {part}"):
        check_split(
            Split(
                **{
                    name: result
                    if name == part
                    else tuple(clip for clip in result if clip.attack != "edit/splice")
                    for name, result in parts.items()
                },
                held_out=("edit/splice",),
            )
        )


def test_an_inner_attack_in_training_is_an_error(clips):
    parts = {name: tuple(c for c in clips if c.split == name) for name in SPLITS}
    with pytest.raises(InputError, match="held-out attack codec/mp3 is in train"):
        check_split(Split(**parts, inner_held_out=("codec/mp3",)))


@pytest.mark.parametrize("part", SPLITS)
@pytest.mark.parametrize("label", ["genuine", "fake"])
def test_every_part_needs_both_labels(clips, part, label):
    left = [clip for clip in clips if (clip.split, clip.label) != (part, label)]
    with pytest.raises(InputError, match=f"no {label} clips in {part}"):
        split_clips(left)


def test_an_attack_is_held_out_once(clips):
    with pytest.raises(InputError, match="inner_held_out=codec/mp3: is already held out"):
        split_clips(clips, ["codec/mp3"], ["codec/mp3"])


@pytest.mark.parametrize("most", [1, 2, 3, 9])
def test_seen_fakes_are_limited_and_the_unseen_kept(clips, most):
    split = split_clips(clips, ["edit/splice"], ["codec/mp3"], seen_per_genuine=most)
    assert len(split.train) == 2 * 3
    for part in (split.validation, split.test):
        genuine = [clip for clip in part if not clip.is_fake]
        seen = [clip for clip in part if clip.attack in ("codec/opus", "vocoder/world")]
        assert len(genuine) == 2
        assert len(seen) == min(most * 2, 4)
        assert attacks_of(seen) == {"codec/opus", "vocoder/world"}
    assert sum(clip.attack == "edit/splice" for clip in split.test) == 2


def test_the_limit_does_not_depend_on_the_order_of_rows(clips):
    one = split_clips(clips, seen_per_genuine=1)
    other = split_clips(clips[::-1], seen_per_genuine=1)
    assert set(map(id, one.test)) == set(map(id, other.test))


@pytest.mark.parametrize("held_out", [[], ["codec/mp3"], ["edit/splice"], ["vocoder/world"]])
def test_the_inner_attack_is_of_another_family(held_out):
    inner = inner_attack(held_out, ATTACKS)
    assert inner in ATTACKS
    assert inner.split("/")[0] not in {name.split("/")[0] for name in held_out}


def test_the_inner_attack_rotates():
    assert len({inner_attack([name], ATTACKS) for name in ATTACKS}) > 1


def test_no_family_left_for_an_inner_attack():
    with pytest.raises(InputError, match="every attack family is held out"):
        inner_attack(["codec/mp3", "edit/splice", "vocoder/world"], ATTACKS)
