import numpy as np
import pytest
import soundfile

from fakesound.config import DataConfig, SplitConfig
from fakesound.data.manifest import write_manifest
from fakesound.data.splits import split_clips
from fakesound.errors import InputError
from fakesound.forging import resolve_corpus
from tests.factories import make_clip


@pytest.fixture
def make_manifest(tmp_path):
    """Write a manifest with a genuine clip and two fakes of each source; return its path."""

    def make(corpus, splits):
        clips = []
        for source, split in splits.items():
            for attack in (None, "edit/splice", "codec/mp3"):
                name = f"{source}-{(attack or 'genuine')[:4]}"
                path = tmp_path / corpus / f"{name}.wav"
                path.parent.mkdir(exist_ok=True)
                seed = [*source.encode(), *corpus.encode(), len(name)]
                audio = np.random.default_rng(seed).normal(0, 0.1, 4_000)
                soundfile.write(path, audio, 8_000)
                clips.append(
                    make_clip(
                        name,
                        path,
                        attack,
                        attack and [(0.1, 0.3)],
                        source_id=source,
                        duration=0.5,
                        sample_rate=8_000,
                        corpus=corpus,
                        split=split,
                    )
                )
        write_manifest(tmp_path / corpus / "manifest.jsonl", clips)
        return str(tmp_path / corpus / "manifest.jsonl")

    return make


def dealt(corpus):
    """Return the sources of each part, by corpus."""
    parts = {}
    for clip in corpus.clips:
        parts.setdefault((clip.corpus, clip.split), set()).add(clip.source_id)
    return parts


def test_one_corpus_trains_and_another_tests(make_manifest):
    one = make_manifest("one", {f"a{n}": "train" for n in range(10)} | {"a10": "test"})
    two = make_manifest("two", {"b0": "train", "b1": "test"})
    three = make_manifest("three", {"c0": None, "c1": None})
    result = resolve_corpus(
        DataConfig(train=[one], test=[two, three]), SplitConfig("official", None)
    )
    parts = dealt(result)
    assert parts.pop(("two", "test")) == {"b1"}
    assert parts.pop(("three", "test")) == {"c0", "c1"}
    train, validation = parts.pop(("one", "train")), parts.pop(("one", "validation"))
    assert not parts
    assert not train & validation
    assert train | validation == {f"a{n}" for n in range(10)}
    (note,) = result.notes
    assert note.startswith(f"validation: {3 * len(validation)} of 30 training clips")
    split_clips(result.clips)


def test_existing_validation_rows_are_kept(make_manifest):
    one = make_manifest("one", {"a": "train", "b": "validation", "c": "test"})
    two = make_manifest("two", {"d": None, "e": None})
    result = resolve_corpus(DataConfig(train=[one], test=[two]), SplitConfig("official", None))
    assert dealt(result) == {
        ("one", "train"): {"a"},
        ("one", "validation"): {"b"},
        ("two", "test"): {"d", "e"},
    }
    assert result.notes == ()


def test_a_validation_corpus_leaves_the_training_set_whole(make_manifest):
    one = make_manifest("one", {"a": "train", "b": "train"})
    two = make_manifest("two", {"c": None})
    three = make_manifest("three", {"d": None})
    data = DataConfig(train=[one], validation=[two], test=[three])
    assert dealt(resolve_corpus(data, SplitConfig("official", None))) == {
        ("one", "train"): {"a", "b"},
        ("two", "validation"): {"c"},
        ("three", "test"): {"d"},
    }


def test_a_corpus_may_train_and_test_and_others_join_it(make_manifest):
    one = make_manifest("one", {"a": "train", "b": "validation", "c": "test"})
    two = make_manifest("two", {"d": "train", "e": "validation", "f": "test"})
    data = DataConfig(train=[one, two], test=[one])
    assert dealt(resolve_corpus(data, SplitConfig("official", None))) == {
        ("one", "train"): {"a"},
        ("one", "validation"): {"b"},
        ("one", "test"): {"c"},
        ("two", "train"): {"d"},
        ("two", "validation"): {"e"},
    }


def test_a_corpus_without_splits_that_trains_and_tests_gets_them(make_manifest):
    one = make_manifest("one", {f"a{n}": None for n in range(8)})
    two = make_manifest("two", {"b": None})
    result = resolve_corpus(DataConfig(train=[one], test=[one, two]), SplitConfig("official", None))
    alone = resolve_corpus(DataConfig(manifest=one), SplitConfig("official", None))
    parts = dealt(result)
    assert parts.pop(("two", "test")) == {"b"}
    assert parts == dealt(alone)
    assert len(parts) == 3


def test_shared_sources_are_an_error_or_dropped(make_manifest):
    one = make_manifest("one", {"a": "train", "b": "train", "c": "validation"})
    two = make_manifest("two", {"b": "test", "d": "test"})
    with pytest.raises(InputError, match=r"^data\.shared_sources=error: .*'b' of one"):
        resolve_corpus(DataConfig(train=[one], test=[two]), SplitConfig("official", None))
    data = DataConfig(train=[one], test=[two], shared_sources="drop")
    result = resolve_corpus(data, SplitConfig("official", None))
    assert dealt(result) == {
        ("one", "train"): {"a"},
        ("one", "validation"): {"c"},
        ("two", "test"): {"b", "d"},
    }
    assert result.notes == ("3 clips left out of training: the test has their 1 source",)


def test_attacks_are_held_out_of_all_corpora(make_manifest):
    one = make_manifest("one", {"a": "train", "b": "validation"})
    two = make_manifest("two", {"c": None})
    split = SplitConfig("leave_one_family_out", "edit", None)
    result = resolve_corpus(DataConfig(train=[one], test=[two]), split)
    parts = split_clips(result.clips, result.held_out)
    assert {c.attack for c in (*parts.train, *parts.validation)} == {None, "codec/mp3"}
    assert {c.attack: parts.fold(c) for c in parts.test} == {
        None: None,
        "codec/mp3": "seen",
        "edit/splice": "unseen",
    }


@pytest.mark.parametrize("key", ["manifest", "train", "validation", "test"])
def test_a_missing_manifest_is_named_before_any_is_read(key, tmp_path):
    there = tmp_path / "there.jsonl"
    there.write_text("no manifest")
    data = {part: [str(there)] for part in ("train", "validation", "test")}
    data = {"manifest": "lost.jsonl"} if key == "manifest" else data | {key: ["lost.jsonl"]}
    with pytest.raises(InputError, match=rf"data\.{key}=lost\.jsonl: no such manifest; check"):
        resolve_corpus(DataConfig(**data), SplitConfig("official", None))


def test_audio_of_unused_rows_is_not_checked(make_manifest, tmp_path):
    one = make_manifest("one", {"a": "train", "b": "validation", "c": "test"})
    two = make_manifest("two", {"d": None})
    (tmp_path / "one" / "c-genu.wav").write_bytes(b"no audio")
    assert (
        len(
            resolve_corpus(DataConfig(train=[one], test=[two]), SplitConfig("official", None)).clips
        )
        == 9
    )
    (tmp_path / "one" / "a-genu.wav").write_bytes(b"no audio")
    with pytest.raises(InputError, match=r"clip a-genu: .* cannot be read as audio"):
        resolve_corpus(DataConfig(train=[one], test=[two]), SplitConfig("official", None))


def test_folds_are_of_one_corpus(make_manifest):
    one, two = (make_manifest(name, {name: None}) for name in ("one", "two"))
    with pytest.raises(InputError, match="split=source_folds: divides one corpus"):
        resolve_corpus(DataConfig(train=[one], test=[two]), SplitConfig("source_folds", None))
