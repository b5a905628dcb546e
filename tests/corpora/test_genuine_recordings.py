import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from fakesound.corpora import genuine_recordings
from fakesound.corpora.genuine_recordings import (
    RATE,
    Source,
    is_gated,
    prepare_recordings,
    prepare_source,
    read_sources,
    split_audio,
    trim_silence,
)
from fakesound.data.manifest import read_manifest
from fakesound.errors import InputError
from fakesound.forging import embedded_clips
from tests.corpora.public_sources import build_package, build_repository, encoded, sound


def with_pauses(silence):
    """Return three sounds with two pauses of a quarter of a second."""
    pause = np.full(RATE // 4, silence, np.float32)
    return np.concatenate([sound(1, 0.5), pause, sound(2, 0.5), pause, sound(3, 0.5)])


@pytest.fixture
def source(tmp_path):
    files = {
        "talk/anna_1.wav": encoded(sound(1)),
        "talk/anna_2.flac": encoded(sound(2, 25.0, 8_000), 8_000, "FLAC"),
        "talk/ben_1.wav": encoded(sound(3)),
        "talk/copy.wav": encoded(sound(3)),
        "talk/gate.wav": encoded(with_pauses(0)),
        "talk/lfs.wav": b"version https://git-lfs.github.com/spec/v1\n",
        "talk/quiet.wav": encoded(sound(4) * 0.01),
        "talk/word.wav": encoded(sound(5, 0.6)),
        "talk/robot/a.wav": encoded(sound(6)),
        "talk/notes.txt": b"",
        "other/b.wav": encoded(sound(7)),
    }
    commit = build_repository(tmp_path / "mirror" / "o+n", files)
    return Source(
        via="git",
        name="o/n",
        version=commit,
        globs=("talk/**",),
        exclude=("**/robot/**",),
        kind="speech",
        license="CC0-1.0",
        license_where="LICENSE",
        speaker="/([a-z]+)_",
    )


@pytest.fixture
def mirror(tmp_path):
    return tmp_path / "mirror"


def test_the_list_of_the_package_is_in_order():
    sources = read_sources()
    assert len(sources) > 40
    assert {source.via for source in sources} == {"git", "debian"}
    assert {source.kind for source in sources} == {"speech", "music", "sound"}
    assert max(Counter(source.slug for source in sources).values()) == 1
    assert all(s.license and s.license_where and s.version and s.globs for s in sources)
    assert all(len(s.version) == 40 for s in sources if s.via == "git")
    held_out = [source for source in sources if source.heldout]
    assert 0.1 <= len(held_out) / len(sources) < 0.25
    assert {source.kind for source in held_out} == {"speech", "music", "sound"}
    training = {source.name for source in sources if not source.heldout}
    assert not training & {source.name for source in held_out}


def test_sources_are_chosen_by_name():
    assert {s.name for s in read_sources(["0ad-*", "Tonejs/audio"])} == {"0ad-data", "Tonejs/audio"}
    with pytest.raises(InputError, match="sources=x/y: no such source"):
        read_sources(["x/y"])


@pytest.mark.parametrize(
    ("glob", "taken", "left"),
    [
        ("*/a.wav", "x/a.wav", "x/y/a.wav"),
        ("**/a.wav", "a.wav", "x/b.wav"),
        ("x/**", "x/y/z.ogg", "y/x/z.ogg"),
        ("d.zip:s/*.mp3", "d.zip:s/a.mp3", "d.zip:s/t/a.mp3"),
        ("x/a.b/*.wav", "x/a.b/c.wav", "x/aXb/c.wav"),
    ],
)
def test_globs_match_whole_paths(source, glob, taken, left):
    chosen = replace(source, globs=(glob,), exclude=())
    assert chosen.uses(taken)
    assert not chosen.uses(left)
    assert not chosen.uses(f"{taken}.txt")


def test_clips_are_equal_pieces_of_at_most_ten_seconds():
    pieces = split_audio(sound(0, 25.0), RATE)
    assert [len(piece) for piece in pieces] == pytest.approx([25 * RATE / 3] * 3, abs=1)
    assert np.array_equal(np.concatenate(pieces), sound(0, 25.0))
    assert len(split_audio(sound(0, 10.0), RATE)) == 1


def test_digital_silence_is_cut_off_and_found_inside():
    inside = sound(1)
    padded = np.concatenate([np.zeros(RATE), inside, np.zeros(RATE // 2)]).astype(np.float32)
    assert len(trim_silence(padded)) == pytest.approx(len(inside), abs=RATE // 50)
    assert not len(trim_silence(np.zeros(RATE, np.float32)))
    assert is_gated(with_pauses(0))
    room = with_pauses(0) + 1e-3 * np.random.default_rng(0).normal(size=2 * RATE)
    assert not is_gated(room.astype(np.float32))


def test_recordings_become_clips(source, mirror, tmp_path):
    taken = prepare_source(source, tmp_path / "out", mirror)
    assert taken.left_out == {"repeated": 1, "gated": 1, "unreadable": 1, "silent": 1, "short": 1}
    clips = read_manifest(tmp_path / "out" / source.slug / "manifest.jsonl")
    assert Counter(clip.source_id for clip in clips)["o/n:anna"] == 4
    assert len(clips) == 5
    assert taken.hours == pytest.approx((25 + 1.5 + 1.5) / 3600, rel=1e-3)
    for clip in clips:
        assert (clip.label, clip.split, clip.domain) == ("genuine", None, "o+n+speech")
        assert (clip.license, clip.corpus) == ("CC0-1.0", "genuine_recordings")
        info = soundfile.info(clip.location)
        assert (info.samplerate, info.channels, info.format) == (RATE, 1, "FLAC")
        assert info.duration == pytest.approx(clip.duration)
        assert clip.duration <= 10


def test_clips_are_reproducible_and_limited_in_hours(source, mirror, tmp_path):
    first = prepare_source(source, tmp_path / "a", mirror)
    again = prepare_source(source, tmp_path / "b", mirror)
    assert [clip.clip_id for clip in first.clips] == [clip.clip_id for clip in again.clips]
    few = prepare_source(replace(source, hours=0.1 / 3600), tmp_path / "c", mirror)
    assert {clip.source_id for clip in few.clips} < {clip.source_id for clip in first.clips}


def test_a_finished_source_is_not_opened_again(source, mirror, tmp_path, monkeypatch):
    first = prepare_source(source, tmp_path / "out", mirror)
    (mirror / "o+n").rename(mirror / "gone")
    again = prepare_source(source, tmp_path / "out", mirror)
    assert again == first

    def refuse(*arguments):
        raise InputError("asked")

    monkeypatch.setattr(genuine_recordings, "clone_commit", refuse)
    with pytest.raises(InputError, match="asked"):
        prepare_source(replace(source, shortest=0.5), tmp_path / "out", mirror)
    # a failure leaves what was there, and nothing half done
    assert {path.name for path in (tmp_path / "out").iterdir()} == {source.slug}


def test_a_source_that_was_stopped_starts_again(source, mirror, tmp_path):
    remains = tmp_path / "out" / f".{source.slug}.partial"
    remains.mkdir(parents=True)
    (remains / "odd.flac").write_bytes(b"half")
    prepare_source(source, tmp_path / "out", mirror)
    assert not remains.exists()
    assert not list((tmp_path / "out").rglob("odd.flac"))


def test_packages_give_clips(tmp_path, mirror):
    mirror.mkdir()
    build_package(mirror / "game_1_all.deb", {"usr/share/new.ogg": encoded(sound(2))})
    source = Source("debian", "game", "1", ("usr/**",), "sound", "CC0-1.0", "x", heldout=True)
    taken = prepare_source(source, tmp_path / "out", mirror)
    assert [clip.extra["origin"] for clip in taken.clips] == ["game (usr/share/new.ogg)"]
    assert taken.clips[0].split == "test"
    assert {path.suffix for path in (tmp_path / "out").rglob("*.*") if path.is_file()} == {
        ".flac",
        ".json",
        ".jsonl",
    }


def test_no_source_is_one_of_the_embedded_corpus():
    origins = {
        str(clip.extra.get("origin")).split(" (")[0].split(";")[0] for clip in embedded_clips()
    }
    assert "minetest-data" in origins
    assert not origins & {source.name for source in read_sources()}


def test_sources_without_clips_are_refused(source, mirror, tmp_path):
    with pytest.raises(InputError, match=r"o/n: gives no clips \(no files\)"):
        prepare_source(replace(source, globs=("none/*",)), tmp_path / "out", mirror)


def test_training_and_held_out_sources_lie_apart(source, mirror, tmp_path):
    held_out = replace(source, kind="sound", heldout=True)
    missing = replace(source, version="0" * 40, kind="music")
    calls = []
    taken, problems = prepare_recordings(
        tmp_path / "out", [source, held_out, missing], mirror, lambda *call: calls.append(call)
    )
    assert list(taken) == [source, held_out]
    assert len(problems) == 1
    assert "has no commit" in problems[0]
    assert calls[-1] == (3, 3)
    for part, split in (("train", None), ("heldout", "test")):
        clips = read_manifest(tmp_path / "out" / part / "manifest.jsonl")
        assert {clip.split for clip in clips} == {split}
    licenses = (tmp_path / "out" / "licenses.txt").read_text().splitlines()
    assert licenses[0] == "o/n (speech): CC0-1.0; see LICENSE"


def test_the_record_is_plain(source, mirror, tmp_path):
    prepare_source(source, tmp_path / "out", mirror)
    record = json.loads((tmp_path / "out" / source.slug / "source.json").read_text())
    assert record["settings"]["version"] == source.version
