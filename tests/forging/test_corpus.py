from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from msgspec import structs

from fakesound.attacks import ATTACKS
from fakesound.config import DataConfig, SplitConfig
from fakesound.data.manifest import Clip, write_manifest
from fakesound.data.splits import split_clips
from fakesound.errors import InputError
from fakesound.forging import embedded_clips, resolve_corpus
from fakesound.forging.corpus import held_out_attacks
from tests.factories import make_clip

NAMES = ["codec/mp3", "codec/opus", "edit/splice", "vocoder/world"]


def leave_out(held_out, inner="auto"):
    return SplitConfig(name="leave_one_attack_out", held_out=held_out, inner_held_out=inner)


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ("edit/splice", ("edit/splice",)),
        ("codec/*", ("codec/mp3", "codec/opus")),
        (["edit/*", "vocoder/world"], ("edit/splice", "vocoder/world")),
    ],
)
def test_globs_are_held_out_by_name(patterns, names):
    held_out, inner = held_out_attacks(leave_out(patterns), NAMES)
    assert held_out == names
    (reserved,) = inner
    assert reserved.split("/")[0] not in {name.split("/")[0] for name in names}


def test_the_inner_attack_can_be_named_or_omitted():
    assert held_out_attacks(leave_out("edit/*", "codec/opus"), NAMES)[1] == ("codec/opus",)
    assert held_out_attacks(leave_out("edit/*", None), NAMES)[1] == ()


def test_the_official_split_holds_nothing_out():
    assert held_out_attacks(SplitConfig("official", None), NAMES) == ((), ())


def leave_family_out(held_out, inner="auto"):
    return SplitConfig(name="leave_one_family_out", held_out=held_out, inner_held_out=inner)


@pytest.mark.parametrize(
    ("families", "names"),
    [
        ("codec", ("codec/mp3", "codec/opus")),
        (["vocoder", "edit"], ("edit/splice", "vocoder/world")),
    ],
)
def test_families_are_held_out_whole(families, names):
    held_out, (reserved,) = held_out_attacks(leave_family_out(families), NAMES)
    assert held_out == names
    assert reserved.split("/")[0] not in {name.split("/")[0] for name in names}


@pytest.mark.parametrize("name", ["cod", "codec/mp3", "codec/*", "*"])
def test_unknown_families_are_refused(name):
    with pytest.raises(InputError) as caught:
        held_out_attacks(leave_family_out(name), NAMES)
    assert str(caught.value) == (
        f"split.held_out={name}: no such family; there are codec, edit, vocoder"
    )


def test_folds_may_hold_an_attack_out_or_none():
    assert held_out_attacks(SplitConfig("source_folds", None), NAMES) == ((), ())
    held_out, inner = held_out_attacks(SplitConfig("source_folds", "codec/*"), NAMES)
    assert (held_out, len(inner)) == (("codec/mp3", "codec/opus"), 1)
    assert held_out_attacks(SplitConfig("source_folds", None, "edit/splice"), NAMES) == (
        (),
        ("edit/splice",),
    )


def test_errors_of_wrong_names_name_their_key():
    with pytest.raises(InputError, match=r"split.held_out=edit/splce.*edit/splice"):
        held_out_attacks(leave_out("edit/splce"), NAMES)
    with pytest.raises(InputError, match=r"split.inner_held_out=x/\*"):
        held_out_attacks(leave_out("edit/splice", "x/*"), NAMES)
    with pytest.raises(InputError, match="no attack is left for training"):
        held_out_attacks(leave_out("*", None), NAMES)


@pytest.fixture
def corpus(tmp_path):
    """Return a manifest of eight genuine clips and their fakes, without splits."""
    clips = []
    for number in range(8):
        for attack in (None, "edit/splice", "codec/mp3"):
            name = f"{number}-{(attack or 'genuine').replace('/', '-')}"
            audio = np.random.default_rng(number).normal(0, 0.1, 8_000)
            soundfile.write(tmp_path / f"{name}.wav", audio, 16_000)
            clips.append(
                make_clip(
                    name,
                    tmp_path / f"{name}.wav",
                    attack,
                    attack and [(0.1, 0.3)],
                    source_id=f"s{number}",
                    duration=0.5,
                    twin_id=f"{number}-genuine" if attack else None,
                )
            )
    return clips


def resolve(clips, on_bad_audio="error", split=None):
    path = Path(clips[0].location).with_name("manifest.jsonl")
    write_manifest(path, clips)
    data = DataConfig(manifest=str(path), on_bad_audio=on_bad_audio)
    return resolve_corpus(data, split or SplitConfig("official", None))


def test_a_manifest_without_splits_gets_them_by_source(corpus):
    result = resolve(corpus, split=leave_out("edit/splice", None))
    assert result.held_out == ("edit/splice",)
    assert not result.jobs
    assert len({(clip.source_id, clip.split) for clip in result.clips}) == 8
    assert {clip.split for clip in result.clips} == {"train", "validation", "test"}


def test_attacks_are_those_of_the_manifest(corpus):
    with pytest.raises(InputError, match=r"there are codec/mp3, edit/splice$"):
        resolve(corpus, split=leave_out("vocoder/world", None))


def test_splits_of_a_manifest_are_kept(corpus):
    given = [structs.replace(clip, split="test") for clip in corpus]
    assert {clip.split for clip in resolve(given).clips} == {"test"}
    splits = ["train"] * 12 + ["validation"] * 6 + ["test"] * 6
    given = [structs.replace(clip, split=name) for clip, name in zip(corpus, splits, strict=True)]
    result = resolve(given)
    assert [clip.split for clip in result.clips] == splits
    assert result.notes == ()


def test_rows_without_a_split_are_not_used_where_others_have_one(corpus):
    splits = [None] + ["train"] * 11 + ["validation"] * 6 + ["test"] * 6
    given = [structs.replace(clip, split=name) for clip, name in zip(corpus, splits, strict=True)]
    result = resolve(given)
    assert [clip.clip_id for clip in result.clips] == [clip.clip_id for clip in corpus[1:]]
    assert result.clips[0].twin_id is None


def test_validation_is_taken_from_an_official_training_set(corpus):
    given = [structs.replace(c, split="test" if c.source_id > "s5" else "train") for c in corpus]
    given[0] = structs.replace(given[0], donor_ids=("s1",))
    result = resolve(given, split=SplitConfig("official", None, validation_share=0.4, seed=3))
    parts = {c.source_id: c.split for c in result.clips}
    assert parts["s6"] == parts["s7"] == "test"
    assert {parts[f"s{n}"] for n in range(6)} == {"train", "validation"}
    assert parts["s0"] == parts["s1"]
    assert len({(c.source_id, c.split) for c in result.clips}) == 8
    count = sum(c.split == "validation" for c in result.clips)
    (note,) = result.notes
    assert note.startswith(f"validation: {count} of 18 training clips, all clips of {count // 3} ")
    # the remaining clips are a valid split
    assert split_clips(result.clips).fold(result.clips[-1]) == "seen"


@pytest.mark.parametrize("fold", range(4))
def test_folds_use_all_rows_of_a_manifest(corpus, fold):
    given = [structs.replace(c, split="train" if c.source_id < "s3" else None) for c in corpus]
    chosen = SplitConfig("source_folds", "edit/splice", None, folds=4, fold=fold)
    result = resolve(given, split=chosen)
    split = split_clips(result.clips, result.held_out, result.inner_held_out)
    assert len(result.clips) == len(corpus)
    assert [len(split.train), len(split.validation), len(split.test)] == [8, 4, 6]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            lambda clip: structs.replace(clip, duration=0.6),
            "lasts 0.500 s",
        ),
        (
            lambda clip: structs.replace(clip, sample_rate=8_000),
            "has 16000 Hz",
        ),
        (
            lambda clip: Path(clip.location).write_bytes(Path(clip.location).read_bytes()[:4_000]),
            "truncated",
        ),
        (lambda clip: Path(clip.location).write_text("text" * 99), "cannot be read as audio"),
    ],
)
def test_bad_audio_of_a_manifest_is_named_or_skipped(corpus, spoil, reason):
    corpus[0] = changed if isinstance(changed := spoil(corpus[0]), Clip) else corpus[0]
    with pytest.raises(InputError, match=rf"clip 0-genuine: .*0-genuine\.wav.*{reason}"):
        resolve(corpus)
    result = resolve(corpus, "skip")
    assert len(result.clips) == len(corpus) - 1
    assert len(result.left_out) == 1
    # its fakes stay, as fakes without a twin
    assert [c.twin_id for c in result.clips if c.source_id == "s0"] == [None, None]


def test_without_a_manifest_there_are_jobs(tmp_path):
    data = DataConfig(prepared=str(tmp_path), attacks=["edit/*", "codec/mp3"])
    result = resolve_corpus(data, leave_out("codec/mp3", None))
    names = {job.attack for job in result.jobs if job.attack}
    assert names == {"codec/mp3", *(name for name in ATTACKS if name.startswith("edit/"))}
    evaluated = {job.genuine.clip_id for job in result.jobs if job.genuine.split == "test"}
    complete = {j.genuine.clip_id for j in result.jobs if j.attack == "codec/mp3" and j.fixed}
    assert evaluated <= complete
    assert result.folder == tmp_path / "embedded"


def fold_of_the_embedded(fold, folds=3, held_out="edit/splice", seed=0):
    data = DataConfig(prepared="prepared", attacks=["edit/*", "codec/mp3"], train_attacks=2)
    split = SplitConfig("source_folds", held_out, "codec/mp3", folds=folds, fold=fold, seed=seed)
    return resolve_corpus(data, split)


def test_recordings_are_divided_into_folds_before_forging():
    tested = []
    for fold in range(3):
        jobs = fold_of_the_embedded(fold).jobs
        assert len({job.clip_id for job in jobs}) == len(jobs)
        parts = {}
        for job in jobs:
            for source in filter(None, (job.genuine.source_id, job.donor_source)):
                parts.setdefault(source, set()).add(job.genuine.split)
        assert all(len(result) == 1 for result in parts.values())
        assert any(job.donor_source for job in jobs)
        genuine = [job.genuine for job in jobs if job.attack is None]
        test = [clip.clip_id for clip in genuine if clip.split == "test"]
        # the attack held out is tried on every recording of the fold
        faked = {j.genuine.clip_id for j in jobs if j.attack == "edit/splice" and j.fixed}
        assert faked >= set(test)
        tested += test
    assert sorted(tested) == sorted(clip.clip_id for clip in embedded_clips())


def test_all_folds_share_their_fakes():
    first, second, other = (
        fold_of_the_embedded(0),
        fold_of_the_embedded(1),
        fold_of_the_embedded(0, seed=1),
    )
    donors = [{job.clip_id: job.donor_id for job in corpus.jobs} for corpus in (first, second)]
    common = donors[0].keys() & donors[1].keys()
    assert sum(donors[0][clip_id] is not None for clip_id in common) > 50
    assert all(donors[0][clip_id] == donors[1][clip_id] for clip_id in common)
    assert first.folder == second.folder == Path("prepared", "embedded-3-folds-0")
    assert other.folder == Path("prepared", "embedded-3-folds-1")


def test_a_folder_is_not_forged_into_itself(recordings):
    data = DataConfig(root=str(recordings), prepared=str(recordings / "prepared"))
    with pytest.raises(InputError, match=r"data.prepared=.*would be read as genuine"):
        resolve_corpus(data, SplitConfig("official", None))


@pytest.mark.parametrize("split", [leave_out("codec/mp3", None), SplitConfig("source_folds", None)])
def test_extra_recordings_add_to_training_and_validation_alone(recordings, tmp_path, split):
    extra = tmp_path / "more"
    for number in range(30):
        path = extra / "ab"[number % 2] / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full(12_000, 0.1), 16_000)
    plain = DataConfig(root=str(recordings), attacks=["edit/splice", "codec/*"])
    base = resolve_corpus(plain, split)
    result = resolve_corpus(replace(plain, extra=[str(extra)]), split)
    added = [job for job in result.jobs if job.genuine.corpus == "more"]
    # forged clips of the other recordings do not change
    assert [job for job in result.jobs if job.genuine.corpus != "more"] == list(base.jobs)
    assert {Path(job.genuine.location) for job in added} == set(extra.rglob("*.wav"))
    assert {job.genuine.split for job in added} == {"train", "validation"}
    assert {job.genuine.domain for job in added} == {"more/a", "more/b"}
    assert len({job.clip_id for job in result.jobs}) == len(result.jobs)
    assert {job.donor_source[:5] for job in added if job.donor_source} == {"more:"}
    # the folder of forged clips differs
    again = resolve_corpus(replace(plain, extra=[str(extra / ".." / "more")]), split)
    other = resolve_corpus(replace(plain, extra=[str(extra / "a")]), split)
    assert result.folder == again.folder
    assert len({base.folder, result.folder, other.folder}) == 3
    assert result.folder.parent == base.folder.parent == Path("prepared")


def test_extra_folders_must_not_overlap(recordings, tmp_path):
    def resolve_with(*extra, root=recordings, prepared=tmp_path / "prepared"):
        data = DataConfig(
            root=root and str(root), extra=[str(f) for f in extra], prepared=str(prepared)
        )
        return resolve_corpus(data, SplitConfig("official", None))

    named = tmp_path / "here" / "tapes", tmp_path / "there" / "tapes"
    for folder in named:
        folder.mkdir(parents=True)
        soundfile.write(folder / "x.wav", np.full(12_000, 0.1), 16_000)
    assert len(resolve_with(named[0]).jobs) > len(resolve_with().jobs)
    for wrong in (recordings, recordings.parent):
        with pytest.raises(InputError, match=r"^data.extra=.*shares recordings with"):
            resolve_with(wrong)
    with pytest.raises(InputError, match=r"^data.extra=.*shares recordings with"):
        resolve_with(named[0], named[0].parent)
    with pytest.raises(InputError, match=r"^data.extra=.*has the same name as .*rename one"):
        resolve_with(*named)
    with pytest.raises(InputError, match=r"^data.extra=.*shares recordings with"):
        resolve_with(Path(embedded_clips()[0].location).parent, root=None)
    with pytest.raises(InputError, match=r"^data.prepared=.*would be read as genuine"):
        resolve_with(named[0], prepared=named[0] / "prepared")
