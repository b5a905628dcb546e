import pytest
from msgspec.structs import replace

from fakesound.data.merge import merge_manifests, take_parts, without_lost_twins
from fakesound.errors import InputError
from tests import factories


@pytest.fixture
def make_clip(tmp_path):
    """Return a clip whose file holds its corpus and source, or ``content``."""

    def make(clip_id, source, split, attack=None, corpus="one", content=None, donors=(), **more):
        path = tmp_path / corpus / f"{clip_id}.wav"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content or f"{corpus} {source} {attack}")
        return factories.make_clip(
            clip_id,
            path,
            attack,
            source_id=source,
            corpus=corpus,
            split=split,
            donor_ids=donors,
            **more,
        )

    return make


@pytest.fixture
def make_corpus(make_clip):
    """Return a genuine clip of each source, and a fake with this twin."""

    def make(corpus, split, sources):
        return [
            clip
            for name in sources
            for clip in (
                make_clip(f"{name}-g", name, split, None, corpus),
                make_clip(f"{name}-f", name, split, "a/b", corpus, twin_id=f"{name}-g"),
            )
        ]

    return make


def ids(clips, split=None):
    return [clip.clip_id for clip in clips if split in (None, clip.split)]


ALL = ("train", "validation", "test")


@pytest.mark.parametrize(
    ("splits", "roles", "parts"),
    [
        (ALL, ["train"], ["train", "validation"]),
        (ALL, ["test"], ["test"]),
        (ALL, ["validation"], ["validation"]),
        (ALL, ["train", "test"], ["train", "validation", "test"]),
        (("train", None, "test"), ["train"], ["train"]),
        ((None, None), ["train"], ["train", "train"]),
        ((None, None), ["test"], ["test", "test"]),
        (("train", None, "validation"), ["test"], ["test", "test", "test"]),
        (("train", "test"), ["validation"], ["validation", "validation"]),
        (("train", "test"), ["train", "test"], ["train", "test"]),
    ],
)
def test_rows_get_the_splits_of_their_manifest(make_clip, splits, roles, parts):
    clips = [make_clip(str(n), f"s{n}", split) for n, split in enumerate(splits)]
    assert [clip.split for clip in take_parts(clips, roles, "M")] == parts


@pytest.mark.parametrize(
    ("splits", "roles", "message"),
    [
        (("test", None), ["train"], r"data\.train=M: has no train rows, only null, test; "),
        (("train",), ["train", "test"], r"data\.test=M: is also data\.train and has no test"),
        (("train",), ["train", "validation"], r"data\.validation=M: is also data\.train"),
    ],
)
def test_manifests_without_rows_of_a_split_are_refused(make_clip, splits, roles, message):
    clips = [make_clip(str(n), f"s{n}", split) for n, split in enumerate(splits)]
    with pytest.raises(InputError, match=message):
        take_parts(clips, roles, "M")


def test_disjoint_corpora_are_merged(make_corpus):
    one = [*make_corpus("one", "train", "ab"), *make_corpus("one", "validation", "c")]
    other = make_corpus("two", "test", "de")
    assert merge_manifests([one, other]) == ([*one, *other], [])


def test_the_same_genuine_clip_counts_once(make_clip):
    first = make_clip("x", "s", "test", subsets=("easy",))
    path = replace(first, clip_id="p", corpus="two")
    twin = make_clip("q", "s", "test", None, "three", "one s None", subsets=("hard", "easy"))
    name = make_clip("x", "s", "test", None, "four", "recorded anew")
    other = make_clip("x", "other", "test", None, "five", "one s none")  # as long, not the same
    fake = make_clip("y", "s", "test", "a/b", "six", "one s None")
    clips, notes = merge_manifests([[first], [path], [twin], [name], [other], [fake]])
    assert ids(clips) == ["x", "five/x", "y"]
    assert clips[0] == replace(first, subsets=("easy", "hard"))
    assert notes == ["3 genuine clips given more than once, counted once"]


def test_twins_refer_to_an_identical_remaining_clip(make_clip):
    genuine = make_clip("g", "s", "test", None, "one", "audio")
    same = [
        make_clip("h", "t", "test", None, "two", "audio"),
        make_clip("f", "t", "test", "a/b", "two", twin_id="h"),
    ]
    recoded = [
        make_clip("g", "s", "test", None, "three", "other audio"),
        make_clip("f", "s", "test", "a/b", "three", twin_id="g"),
    ]
    clips, _ = merge_manifests([[genuine], same, recoded])
    assert [(clip.clip_id, clip.twin_id) for clip in clips] == [
        ("g", None),
        ("f", "g"),
        ("three/f", None),
    ]
    # two names of one recording become one source
    assert {clip.source_id for clip in clips} == {"s"}


def test_equal_ids_of_different_clips_get_the_corpus(make_corpus, make_clip):
    one = make_corpus("one", "test", "a")
    two = [replace(clip, source_id="b") for clip in make_corpus("two", "test", "a")]
    again = [make_clip("a-f", "c", "test", "a/b", "two", "more")]
    clips, _ = merge_manifests([one, two, again])
    assert ids(clips) == ["a-g", "a-f", "two/a-g", "two/a-f", "two/a-f/2"]
    assert [c.twin_id for c in clips if c.is_fake] == ["a-g", "two/a-g", None]


@pytest.fixture
def overlapping(make_corpus, make_clip):
    """Return a training corpus of a to e, and a test with b, a copy of c and the donor d."""
    train = [*make_corpus("one", "train", "abcd"), *make_corpus("one", "validation", "e")]
    test = [
        *make_corpus("two", "test", "bx"),
        make_clip("c", "sea", "test", None, "two", "one c None"),
        make_clip("m", "x", "test", "a/b", "two", donors=("d",)),
    ]
    return train, test


def test_sources_shared_with_the_test_are_an_error(overlapping):
    with pytest.raises(
        InputError,
        match=r"^data\.shared_sources=error: .*'b' of one .*3 sources in all",
    ):
        merge_manifests(overlapping)


def test_shared_sources_are_dropped_from_training(overlapping):
    clips, notes = merge_manifests(overlapping, drop_shared=True)
    assert ids(clips, "train") == ["a-g", "a-f"]
    assert ids(clips, "validation") == ["e-g", "e-f"]
    assert ids(clips, "test") == ids(overlapping[1])
    assert notes == ["6 clips left out of training: the test has their 3 sources"]


def test_a_donor_of_training_in_the_test_is_shared_too(make_corpus, make_clip):
    train = [*make_corpus("one", "train", "ab"), *make_corpus("one", "validation", "c")]
    train.append(make_clip("m", "a", "train", "a/b", donors=("d",)))
    test = make_corpus("two", "test", "d")
    with pytest.raises(InputError, match=r"source 'd' of one.*\(1 source in all"):
        merge_manifests([train, test])
    clips, notes = merge_manifests([train, test], drop_shared=True)
    assert ids(clips) == [i for i in ids([*train, *test]) if i != "m"]
    assert notes == ["1 clips left out of training: the test has their 1 source"]


def test_training_corpora_are_kept_apart_from_validation_ones(make_corpus):
    one = make_corpus("one", "train", "ab")
    two = make_corpus("two", "validation", "bc")
    test = make_corpus("three", "test", "d")
    with pytest.raises(InputError, match=r"source 'b' of one.*in the validation of two"):
        merge_manifests([one, two, test])
    clips, _ = merge_manifests([one, two, test], drop_shared=True)
    assert ids(clips, "train") == ["a-g", "a-f"]
    assert len(clips) == 8


def test_validation_is_taken_from_clips_without_a_split(make_corpus):
    open_ones = make_corpus("one", None, [f"s{n:02}" for n in range(20)])
    fixed = [*make_corpus("two", "train", "a"), *make_corpus("two", "validation", ["s03"])]
    clips, notes = merge_manifests([open_ones, fixed, make_corpus("three", "test", "d")])
    parts = [{c.source_id for c in clips if c.split == part} for part in ALL]
    assert parts[2] == {"d"}
    assert "s03" in parts[1]
    assert len(parts[1]) == 1 + 3
    assert len(parts[0] | parts[1]) == 21
    assert notes[0].startswith("validation: 8 of 40 training clips, all clips of 4 sources")


def test_references_to_missing_twins_are_removed(make_corpus):
    clips = make_corpus("one", "train", "ab")
    assert without_lost_twins(clips) == clips
    assert without_lost_twins(clips[1:]) == [replace(clips[1], twin_id=None), *clips[2:]]
