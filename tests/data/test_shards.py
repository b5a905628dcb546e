"""Reading and writing of clips in tars, and errors."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from msgspec.structs import replace

from fakesound.config import DataConfig, SplitConfig
from fakesound.data.audio import audio_info, read_audio, read_pcm
from fakesound.data.dataset import WindowDataset
from fakesound.data.location import Location, parse_location
from fakesound.data.manifest import read_manifest, write_manifest
from fakesound.data.merge import merge_manifests
from fakesound.data.shards import write_shards
from fakesound.errors import InputError
from fakesound.forging.labelled import labelled_clips

from .made_clips import GRID, RATE, crops, make_clip, same


def at(clip):
    return parse_location(clip.location)


@pytest.fixture
def mixed(tmp_path, clips):
    """Return the clips of `made_clips`, and clips of other formats, rates and channels."""
    rng = np.random.default_rng(1)
    result = list(clips)
    for name, rate, channels, seconds in (
        ("a.flac", RATE, 1, 1.5),
        ("b.flac", 44_100, 2, 1.0),
        ("c.mp3", 22_050, 1, 1.0),
        ("long.wav", RATE, 2, 25.0),
    ):
        audio = rng.normal(0, 0.1, (round(seconds * rate), channels))
        soundfile.write(tmp_path / name, audio, rate)
        clip = make_clip(tmp_path / name, rate=rate)
        result.append(replace(clip, duration=audio_info(clip.location).duration))
    write_manifest(tmp_path / "mixed.jsonl", result)
    return read_manifest(tmp_path / "mixed.jsonl")


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_shards_are_read_back(mixed, tmp_path):
    done = []
    out = tmp_path / "out"
    assert write_shards(mixed, out, 150_000, progress=lambda *at: done.append(at)) == []
    assert done[-1] == (len(mixed), len(mixed))
    assert done == sorted(done)
    clips = read_manifest(out / "manifest.jsonl")
    tars = sorted((out / "shards").iterdir())
    assert [tar.name for tar in tars] == [f"{number:05}.tar" for number in range(len(tars))]
    assert len(tars) > 3
    assert [
        replace(clip, location=old.location) for clip, old in zip(clips, mixed, strict=True)
    ] == mixed
    for clip, old in zip(clips, mixed, strict=True):
        assert at(clip).member
        assert at(clip).suffix == at(old).suffix
        assert audio_info(clip.location) == audio_info(old.location)
        for rate, start, samples in ((RATE, 0, None), (RATE, 700, 5_000), (8_000, 100, 900)):
            here, there = (read_audio(c.location, rate, start, samples) for c in (clip, old))
            assert np.array_equal(here, there)
        assert np.array_equal(read_pcm(clip.location, 99, 500), read_pcm(old.location, 99, 500))
    windows, own = (WindowDataset(c, GRID, RATE, 0.5) for c in (clips, mixed))
    assert all(same(windows[i], own[i]) for i in range(len(own)))
    drawn, own = crops(clips), crops(mixed)
    assert all(same(drawn[i], own[i]) for i in range(20))


def test_shards_have_the_layout_of_webdataset(mixed, tmp_path):
    write_shards(mixed, tmp_path / "out", 150_000)
    number = 0
    for path in sorted((tmp_path / "out/shards").iterdir()):
        with tarfile.open(path) as tar:
            entries = tar.getmembers()
            for audio, row in zip(entries[::2], entries[1::2], strict=True):
                old = mixed[number]
                assert (audio.name, row.name) == (
                    f"{number:08}{at(old).suffix}",
                    f"{number:08}.json",
                )
                assert (audio.mtime, audio.uid, audio.uname, audio.mode) == (0, 0, "", 0o644)
                assert tar.extractfile(audio).read() == Path(old.location).read_bytes()
                values = json.load(tar.extractfile(row))
                assert (values["clip_id"], values["label"]) == (old.clip_id, old.label)
                assert "path" not in values
                number += 1
    assert number == len(mixed)


def test_the_same_clips_make_the_same_bytes_and_a_folder_can_move(mixed, tmp_path):
    for name in "ab":
        write_shards(mixed, tmp_path / name, 150_000)
        for clip in mixed:
            os.utime(clip.location, (1, len(name)))
    assert digests(tmp_path / "a/shards") == digests(tmp_path / "b/shards")
    before = (tmp_path / "a/manifest.jsonl").read_bytes()
    assert before == (tmp_path / "b/manifest.jsonl").read_bytes()
    (tmp_path / "a").rename(tmp_path / "moved")
    moved = read_manifest(tmp_path / "moved/manifest.jsonl")
    assert np.array_equal(read_pcm(moved[0].location, 0, -1), read_pcm(mixed[0].location, 0, -1))
    # and written again from shards, they are the same once more
    write_shards(moved, tmp_path / "c", 150_000)
    assert digests(tmp_path / "c/shards") == digests(tmp_path / "b/shards")


def test_only_missing_or_changed_shards_are_written_again(mixed, tmp_path):
    out = tmp_path / "out"
    write_shards(mixed, out, 150_000)
    first = digests(out / "shards")
    times = {path.name: path.stat().st_mtime_ns for path in (out / "shards").iterdir()}
    (out / "shards/00001.tar").unlink()
    (out / "shards/00099.tar").touch()
    (out / "shards/.00000.tar.7.tmp").touch()
    write_shards(mixed, out, 150_000)
    assert digests(out / "shards") == first
    again = {path.name: path.stat().st_mtime_ns for path in (out / "shards").iterdir()}
    assert {name for name in times if times[name] != again[name]} == {"00001.tar"}
    changed = [replace(mixed[0], source_id="another"), *mixed[1:]]
    write_shards([replace(c, twin_id=None) for c in changed], out, 150_000)
    assert digests(out / "shards") != first
    assert read_manifest(out / "manifest.jsonl")[0].source_id == "another"


def test_a_kill_leaves_whole_shards_only(mixed, tmp_path):
    write_manifest(tmp_path / "m.jsonl", mixed)
    code = f"""
import os, signal
from pathlib import Path
from fakesound.data.manifest import read_manifest
from fakesound.data.shards import write_shards
stop = lambda done, total: os.kill(os.getpid(), signal.SIGKILL) if done > 3 else None
write_shards(read_manifest(Path({str(tmp_path / "m.jsonl")!r})), Path({str(tmp_path / "out")!r}),
             150_000, progress=stop)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "out/manifest.jsonl").exists()
    there = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out/shards").glob("0*")}
    assert there
    write_shards(mixed, tmp_path / "out", 150_000)
    write_shards(mixed, tmp_path / "other", 150_000)
    assert digests(tmp_path / "out/shards") == digests(tmp_path / "other/shards")
    assert (tmp_path / "out/shards/00000.tar").stat().st_mtime_ns == there["00000.tar"]


def test_bad_audio_is_an_error_or_skipped(mixed, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no audio at all")
    short = replace(mixed[0], clip_id="short", duration=9.0)
    clips = [*mixed, make_clip(bad, duration=1.0), short]
    with pytest.raises(InputError, match=r"clip bad: .*bad.wav: cannot be read as audio"):
        write_shards(clips, tmp_path / "out", 150_000)
    assert not (tmp_path / "out/manifest.jsonl").exists()
    for _ in range(2):
        errors = write_shards(clips, tmp_path / "out", 150_000, skip=True)
        assert [text.partition(":")[0].rpartition("/")[2] for text in errors] == [
            "bad.wav",
            "genuine0.wav",
        ]
        result = read_manifest(tmp_path / "out/manifest.jsonl")
        assert [clip.clip_id for clip in result] == [clip.clip_id for clip in mixed]
        assert all(len(read_audio(clip.location, clip.sample_rate)) for clip in result)
    with pytest.raises(InputError, match="clip bad"):
        write_shards(clips, tmp_path / "out", 150_000)


def test_audio_that_contradicts_its_row_is_an_error(mixed, tmp_path):
    out = tmp_path / "out"
    write_shards(mixed, out, 10**7)
    clips = read_manifest(out / "manifest.jsonl")
    tar = out / "shards/00000.tar"
    whole = tar.read_bytes()
    # a shard that is shorter than its rows say
    tar.write_bytes(whole[:100_000])
    with pytest.raises(InputError, match=r"row \d+, path: .*00000.tar::.* does not exist; restore"):
        read_manifest(out / "manifest.jsonl")
    # other clips in the same place
    tar.write_bytes(b"\0" * 512 + whole[:-512])
    for clip in (clips[1], clips[-1]):
        with pytest.raises(InputError, match=r"does not hold 000.* at byte \d+, so it has changed"):
            read_audio(clip.location, RATE)
    tar.unlink()
    with pytest.raises(InputError, match=r"row 1, path: .* does not exist"):
        read_manifest(out / "manifest.jsonl")
    with pytest.raises(InputError, match=r"00000.tar: cannot be read \(No such file"):
        read_audio(clips[0].location, RATE)


def test_tars_of_other_tools_need_no_offsets(mixed, tmp_path):
    with tarfile.open(tmp_path / "theirs.tar", "w") as tar:
        for name in ("deep/" + "x" * 150 + ".wav", "é.wav", "b.wav"):
            tar.add(mixed[0].location, arcname=name)
    rows = [
        {
            "clip_id": name,
            "path": f"theirs.tar::{name}",
            "source_id": name,
            "label": "genuine",
            "attack": None,
            "regions": [],
            "duration": mixed[0].duration,
            "sample_rate": RATE,
            "corpus": "theirs",
        }
        for name in ("deep/" + "x" * 150 + ".wav", "é.wav", "b.wav")
    ]
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    for clip in read_manifest(path):
        assert at(clip).size == Path(mixed[0].location).stat().st_size
        assert np.array_equal(read_pcm(clip.location, 0, -1), read_pcm(mixed[0].location, 0, -1))
        assert str(at(clip)) == clip.location
    path.write_text(json.dumps(rows[0] | {"path": "theirs.tar::lost.wav"}))
    with pytest.raises(InputError, match=r"row 1, path: .*theirs.tar has no such member"):
        read_manifest(path)
    path.write_text(json.dumps(rows[0] | {"path": "m.jsonl.tar::lost.wav"}))
    with pytest.raises(InputError, match=r"row 1, path: .*m.jsonl.tar: cannot be read"):
        read_manifest(path)


def test_the_same_recording_in_two_shards_is_found(mixed, tmp_path):
    both = []
    for name in "ab":
        one = replace(mixed[0], clip_id=name, source_id=name, split="test", corpus=name)
        write_shards([one], tmp_path / name, 10**6)
        both.append(read_manifest(tmp_path / name / "manifest.jsonl"))
    (clip,), notes = merge_manifests(both)
    assert clip.clip_id == "a"
    assert notes == ["1 genuine clip given more than once, counted once"]


@pytest.fixture
def remote(mixed, tmp_path):
    """Return a manifest of shards and of a file in a store in memory."""
    fsspec = pytest.importorskip("fsspec")
    write_shards(mixed, tmp_path / "out", 150_000)
    store = fsspec.filesystem("memory")
    store.put(str(tmp_path / "out"), "/bucket/corpus", recursive=True)
    store.pipe("/bucket/alone.wav", Path(mixed[0].location).read_bytes())
    yield "memory://bucket/corpus/manifest.jsonl", store
    store.rm("/bucket", recursive=True)


def test_manifests_and_shards_at_a_url(remote, mixed, tmp_path):
    url, store = remote
    clips = read_manifest(parse_location(url))
    assert at(clips[0]).file == "memory://bucket/corpus/shards/00000.tar"
    for clip, old in zip(clips, mixed, strict=True):
        assert np.array_equal(read_audio(clip.location, RATE), read_audio(old.location, RATE))
        assert np.array_equal(read_pcm(clip.location, 99, 500), read_pcm(old.location, 99, 500))
    # rows of a manifest here may point there, and are written so
    write_manifest(tmp_path / "here.jsonl", clips)
    assert read_manifest(tmp_path / "here.jsonl") == clips
    alone = json.loads((tmp_path / "here.jsonl").read_text().split("\n")[0])
    for path in ("memory://bucket/alone.wav", "../alone.wav"):
        store.pipe("/bucket/corpus/alone.jsonl", json.dumps(alone | {"path": path}).encode())
        (clip,) = read_manifest(parse_location("memory://bucket/corpus/alone.jsonl"))
        assert clip.location == "memory://bucket/alone.wav"
        assert np.array_equal(read_audio(clip.location, RATE), read_audio(mixed[0].location, RATE))
    store.pipe("/bucket/corpus/alone.jsonl", json.dumps(alone | {"path": "lost.wav"}).encode())
    with pytest.raises(InputError, match=r"row 1, path: memory://\S+/lost.wav does not exist"):
        read_manifest(parse_location("memory://bucket/corpus/alone.jsonl"))
    with pytest.raises(InputError, match="no such manifest"):
        read_manifest(parse_location("memory://bucket/lost.jsonl"))


def test_a_run_takes_a_manifest_at_a_url_and_does_not_decode_it_again(remote, monkeypatch):
    url, _ = remote
    monkeypatch.setattr("fakesound.forging.labelled.decode", None)
    clips, left_out, _ = labelled_clips(DataConfig(manifest=url), SplitConfig("official", None))
    assert len(clips) == len(read_manifest(parse_location(url)))
    assert {clip.split for clip in clips} == {"train", "validation"}
    assert left_out == []
    with pytest.raises(InputError, match=r"data\.manifest=memory://lost\.jsonl: no such"):
        labelled_clips(DataConfig(manifest="memory://lost.jsonl"), SplitConfig("official", None))


def test_one_read_of_one_range_for_a_crop(remote, mixed, monkeypatch):
    url, store = remote
    clips = read_manifest(parse_location(url))
    asked = []
    true_read = type(store).cat_file

    def cat_file(self, path, start=None, end=None, **options):
        asked.append((path, start, end))
        return true_read(self, path, start, end, **options)

    monkeypatch.setattr(type(store), "cat_file", cat_file)
    for clip in clips[:5]:
        asked.clear()
        read_pcm(clip.location, 800, 4_000)
        ((_, start, end),) = asked
        assert (start, end) == (
            at(clip).offset - 512,
            at(clip).offset + at(clip).size,
        )
    # of a long clip, only the requested part, after its channels are known
    read_pcm(clips[-1].location, 0, 4_000)
    asked.clear()
    read_pcm(clips[-1].location, 23 * RATE, 4_000)
    assert sum(end - start for _, start, end in asked) < at(clips[-1]).size


def test_the_error_of_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(InputError) as caught:
        read_manifest(parse_location("s3://bucket/manifest.jsonl"))
    assert str(caught.value).endswith("pip install '.[remote]'")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="nosuch://a/b: cannot be read"):
        read_manifest(parse_location("nosuch://a/b"))


def test_s3(mixed, tmp_path, monkeypatch):
    pytest.importorskip("s3fs")
    pytest.importorskip("flask_cors")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0)
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        import s3fs

        store = s3fs.S3FileSystem()
        write_shards(mixed, tmp_path / "out", 150_000)
        store.mkdir("bucket")
        store.put(str(tmp_path / "out"), "bucket/corpus", recursive=True)
        clips = read_manifest(parse_location("s3://bucket/corpus/manifest.jsonl"))
        for clip, old in zip(clips, mixed, strict=True):
            assert np.array_equal(read_audio(clip.location, RATE), read_audio(old.location, RATE))
        with pytest.raises(InputError, match="no such manifest"):
            read_manifest(parse_location("s3://bucket/corpus/lost.jsonl"))
        with pytest.raises(InputError, match=r"s3://bucket/lost\.tar: cannot be read"):
            read_audio(Location("s3://bucket/lost.tar", "a.wav", 512, 100), RATE)
    finally:
        server.stop()


def test_a_member_reads_as_a_file(mixed, tmp_path):
    from fakesound.data.location import open_audio

    write_shards(mixed, tmp_path / "out", 10**8)
    clip = read_manifest(tmp_path / "out/manifest.jsonl")[-1]
    assert at(clip).size > 2**20
    whole = Path(mixed[-1].location).read_bytes()
    with open_audio(clip.location) as file:
        assert file.read() == whole
        for start, count in ((0, 10), (70_000, 200_000), (len(whole) - 5, 100), (len(whole), 5)):
            file.seek(start)
            assert file.read(count) == whole[start : start + count]
        assert file.seek(-7, io.SEEK_END) == len(whole) - 7
        assert file.read() == whole[-7:]
