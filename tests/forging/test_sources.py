from pathlib import Path

import numpy as np
import pytest
import soundfile

from fakesound.data.manifest import SPLITS
from fakesound.errors import InputError
from fakesound.forging import embedded_clips, folder_clips
from fakesound.forging.sources import FRACTIONS, assign_splits, check_apart, extra_clips
from tests.factories import make_clip


@pytest.fixture
def folder(tmp_path):
    """Return eight files in three folders: seven of 0.6 s and one of 5.3 s."""
    root = tmp_path / "tapes"
    for number in range(8):
        path = root / "abc"[number % 3] / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        seconds = 5.3 if number == 4 else 0.6
        soundfile.write(path, np.full(round(seconds * 8_000), 0.1), 8_000)
    (root / "notes.txt").write_text("no audio")
    return root


def test_recordings_become_genuine_clips(folder):
    clips, problems = folder_clips(folder)
    assert not problems
    assert len(clips) == len({clip.clip_id for clip in clips}) == 8
    for clip in clips:
        assert clip.label == "genuine"
        assert (clip.sample_rate, clip.corpus, clip.domain) == (8_000, "tapes", "tapes")
        assert clip.source_id == Path(clip.location).relative_to(folder).as_posix()
    assert {clip.split for clip in clips} == set(SPLITS)


def test_long_recordings_are_cut_and_their_pieces_stay_together(folder):
    clips, _ = folder_clips(folder, clip_seconds=1.0)
    pieces = [clip for clip in clips if Path(clip.location).name == "4.wav"]
    # the last 0.3 s are too short
    assert [(clip.extra["start"], clip.duration) for clip in pieces] == [(i, 1) for i in range(5)]
    assert len({clip.split for clip in pieces}) == 1


def test_folders_can_be_sources(folder):
    for name in ("d", "e", "f"):
        (folder / name).mkdir()
        soundfile.write(folder / name / "x.wav", np.full(6_000, 0.1), 8_000)
    clips, _ = folder_clips(folder, source="folder")
    assert {clip.source_id for clip in clips} == set("abcdef")
    splits = {(clip.source_id, clip.split) for clip in clips}
    assert len(splits) == 6


def test_the_same_names_fall_into_the_same_split(folder, tmp_path):
    other = tmp_path / "elsewhere"
    folder_clips(folder)
    before = {clip.source_id: (clip.clip_id, clip.split) for clip in folder_clips(folder)[0]}
    folder.rename(other)
    assert {c.source_id: (c.clip_id, c.split) for c in folder_clips(other)[0]} == before


@pytest.mark.parametrize(
    ("name", "spoil", "reason"),
    [
        ("short.wav", lambda path: soundfile.write(path, np.ones(100), 8_000), "at least 0.5 s"),
        ("empty.flac", lambda path: path.touch(), "is empty"),
        ("text.mp3", lambda path: path.write_text("text" * 500), "cannot be read as audio"),
    ],
)
def test_a_bad_file_is_named_or_skipped(folder, name, spoil, reason):
    spoil(folder / name)
    with pytest.raises(InputError, match=rf"{name}: .*{reason}.*on_bad_audio=skip"):
        folder_clips(folder)
    clips, problems = folder_clips(folder, on_bad_audio="skip")
    assert len(clips) == 8
    (problem,) = problems
    assert name in problem
    assert reason in problem


def test_missing_and_too_small_folders_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        folder_clips(tmp_path / "lost")
    for number in (0, 1, 2):
        next(folder.rglob(f"{number}.wav")).unlink()
    with pytest.raises(InputError, match=r"5 usable files with audio .* at least 6"):
        folder_clips(folder)


def test_extra_recordings_train_or_validate(folder):
    clips, problems = extra_clips(folder)
    plain = {Path(clip.location): clip for clip in folder_clips(folder)[0]}
    assert not problems
    assert {Path(clip.location) for clip in clips} == set(plain)
    for clip in clips:
        assert clip.split in ("train", "validation")
        assert clip.corpus == "tapes"
        assert clip.domain == f"tapes/{Path(clip.location).parent.name}"
        assert clip.source_id == f"tapes:{plain[Path(clip.location)].source_id}"
        assert clip.clip_id != plain[Path(clip.location)].clip_id
        assert clip.duration == plain[Path(clip.location)].duration
    soundfile.write(folder / "top.wav", np.full(6_000, 0.1), 8_000)
    assert {c.domain for c in extra_clips(folder)[0]} == {"tapes", *(f"tapes/{n}" for n in "abc")}


def test_a_tenth_of_the_extra_sources_validates_and_more_files_move_none(tmp_path):
    root = tmp_path / "tapes"
    root.mkdir()

    def add(numbers):
        for number in numbers:
            soundfile.write(root / f"{number}.wav", np.full(12_000, 0.1), 8_000)
        return extra_clips(root, clip_seconds=1.0)[0]

    before, after = add(range(100)), add(range(100, 300))
    parts = {(clip.source_id, clip.split) for clip in after}
    assert len(after) == 600
    assert len(parts) == 300
    assert {(clip.source_id, clip.split) for clip in before} < parts
    assert 15 <= sum(split == "validation" for _, split in parts) <= 45


def test_folders_of_extra_recordings_can_be_sources(folder):
    clips, _ = extra_clips(folder, source="folder")
    assert {clip.source_id for clip in clips} == {"tapes:a", "tapes:b", "tapes:c"}
    assert len({(clip.source_id, clip.split) for clip in clips}) == 3


def test_missing_empty_and_damaged_extra_folders_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match=r"^data.extra=.*lost: no such folder"):
        extra_clips(tmp_path / "lost")
    (tmp_path / "void").mkdir()
    with pytest.raises(InputError, match=r"^data.extra=.*void: 0 usable files with audio"):
        extra_clips(tmp_path / "void")
    (folder / "bad.wav").write_text("text" * 99)
    with pytest.raises(InputError, match=r"bad\.wav: .*on_bad_audio=skip"):
        extra_clips(folder)
    clips, (problem,) = extra_clips(folder, on_bad_audio="skip")
    assert len(clips) == 8
    assert "bad.wav" in problem


def test_splits_have_their_shares_and_never_share_a_source():
    rng = np.random.default_rng(0)
    clips = [
        make_clip(f"c{i}", source_id=f"s{i // 3}", duration=rng.uniform(1, 9)) for i in range(300)
    ]
    assigned = assign_splits(clips)
    assert [clip.clip_id for clip in assigned] == [clip.clip_id for clip in clips]
    assert len({(clip.source_id, clip.split) for clip in assigned}) == 100
    total = sum(clip.duration for clip in clips)
    for name, share in FRACTIONS.items():
        held = sum(clip.duration for clip in assigned if clip.split == name)
        assert held / total == pytest.approx(share, abs=0.03)
    assert {c.source_id: c.split for c in assign_splits(clips[::-1])} == {
        c.source_id: c.split for c in assigned
    }


def test_donors_stay_with_their_fakes():
    clips = [
        make_clip(f"c{i}", source_id=f"s{i}", donor_ids=donors)
        for i in range(60)
        for donors in [(f"s{i + 1}",) if i % 3 == 0 else ()]
    ]
    split = {clip.source_id: clip.split for clip in assign_splits(clips)}
    assert set(split.values()) == set(SPLITS)
    assert all(split[clip.source_id] == split[d] for clip in clips for d in clip.donor_ids)


def test_fakes_are_never_written_among_the_recordings(folder, tmp_path):
    for inner in (folder, folder / "a" / "fakes", tmp_path / "x" / ".." / "tapes" / "b"):
        with pytest.raises(InputError, match=r"OUT=.*would be read as genuine"):
            check_apart(folder, inner, "OUT")
    check_apart(folder, tmp_path / "tapes 2", "OUT")
    check_apart(folder / "a", folder / "b", "OUT")


def test_the_embedded_recordings_are_ready_to_forge_from():
    clips = embedded_clips()
    assert len(clips) > 100
    assert {clip.split for clip in clips} == set(SPLITS)
    assert not any(clip.is_fake for clip in clips)
