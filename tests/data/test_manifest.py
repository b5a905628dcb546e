import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from fakesound.data.manifest import manifest_hash, read_manifest, read_rows, write_manifest
from fakesound.errors import InputError
from fakesound.timeline import Region

MISSING = object()


def genuine_row(**changes):
    row = {
        "clip_id": "g",
        "path": "audio/g.wav",
        "source_id": "tape 1",
        "label": "genuine",
        "attack": None,
        "regions": [],
        "duration": 2.0,
        "sample_rate": 16_000,
        "corpus": "tapes",
        "split": "test",
    } | changes
    return {key: value for key, value in row.items() if value is not MISSING}


def fake_row(**changes):
    fake = {
        "clip_id": "f",
        "path": "audio/f.wav",
        "label": "fake",
        "attack": "edit/splice",
        "regions": [[0.5, 1.25], [0.1, 0.2]],
        "donor_ids": ["tape 2"],
        "domain": "old tapes",
        "license": "CC0-1.0",
        "twin_id": "g",
        "author": "Zoë",
    }
    return genuine_row(**(fake | changes))


@pytest.fixture
def written(tmp_path):
    """Write rows (or lines) and their audio, and return the path of the manifest."""

    def write(*rows, files=("g", "f")):
        (tmp_path / "audio").mkdir(exist_ok=True)
        for name in files:
            (tmp_path / "audio" / f"{name}.wav").touch()
        path = tmp_path / "manifest.jsonl"
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def test_a_manifest_is_read(written, tmp_path):
    path = written(genuine_row(), "", fake_row())
    genuine, fake = read_manifest(path)
    assert (genuine.is_fake, fake.is_fake) == (False, True)
    assert fake.regions == (Region(0.1, 0.2), Region(0.5, 1.25))
    assert fake.location == str(tmp_path / "audio" / "f.wav")
    assert fake.sources == ("tape 1", "tape 2")
    assert (genuine.domain, fake.domain) == ("tapes", "old tapes")
    assert fake.extra == {"author": "Zoë"}
    assert (genuine.attack, genuine.twin_id, genuine.license, genuine.extra) == (None,) * 3 + ({},)


def test_optional_keys_may_be_missing_or_null(written):
    rows = [genuine_row(split=MISSING), genuine_row(clip_id="h", split=None, donor_ids=None)]
    assert [(c.split, c.donor_ids) for c in read_manifest(written(*rows))] == [(None, ())] * 2


@pytest.mark.parametrize(
    "field",
    ["clip_id", "path", "source_id", "label", "attack", "regions", "duration", "sample_rate"],
)
def test_a_missing_field_is_named_with_its_row(written, field):
    with pytest.raises(InputError, match=rf"manifest.jsonl row 2, {field}: missing"):
        read_manifest(written(genuine_row(), fake_row(**{field: MISSING})))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("clip_id", 7),
        ("clip_id", None),
        ("clip_id", "g"),
        ("path", 7),
        ("path", "audio/lost.wav"),
        ("source_id", None),
        ("label", 1),
        ("label", "spoof"),
        ("label", "genuine"),
        ("attack", 7),
        ("attack", ["edit/splice"]),
        ("regions", None),
        ("regions", "all"),
        ("regions", [0.1, 0.2]),
        ("regions", ["01"]),
        ("regions", [[0.1]]),
        ("regions", [[0.1, 0.2, 0.3]]),
        ("regions", [["0.1", "0.2"]]),
        ("regions", [[False, True]]),
        ("regions", [[0.2, 0.1]]),
        ("regions", [[-0.2, 0.1]]),
        ("regions", [[0.1, float("nan")]]),
        ("regions", [[0.1, float("inf")]]),
        ("regions", [[0.1, 2.1]]),
        ("regions", [[2.0002, 2.0005]]),
        ("duration", "2"),
        ("duration", True),
        ("duration", 0),
        ("duration", -1.0),
        ("duration", float("nan")),
        ("duration", float("inf")),
        ("sample_rate", 0),
        ("sample_rate", -16_000),
        ("sample_rate", 16_000.5),
        ("corpus", None),
        ("split", "dev"),
        ("split", 2),
        ("donor_ids", "tape 2"),
        ("donor_ids", [2]),
        ("domain", 3),
        ("license", 3),
        ("twin_id", 3),
        ("twin_id", "nobody"),
        ("twin_id", "f"),
        ("subsets", "easy"),
        ("subsets", [1]),
    ],
)
def test_a_bad_field_is_named_with_its_row(written, field, value):
    with pytest.raises(InputError) as caught:
        read_manifest(written(genuine_row(), "", fake_row(**{field: value})))
    message = str(caught.value)
    assert f"manifest.jsonl row 3, {field}: " in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (genuine_row(clip_id="x", attack="edit/splice"), "label"),
        (genuine_row(clip_id="x", regions=[[0.1, 0.2]]), "label"),
        (fake_row(attack=None), "label"),
        (fake_row(attack=""), "label"),
        (fake_row(regions=[]), "label"),
        (fake_row(source_id="tape 9"), "twin_id"),
    ],
)
def test_fields_that_contradict_each_other(written, row, field):
    with pytest.raises(InputError, match=f"row 2, {field}: "):
        read_manifest(written(genuine_row(), row))


@pytest.mark.parametrize("line", ["{", "[]", "3", '"g"', "clip_id,path"])
def test_lines_without_an_object_are_refused(written, line):
    with pytest.raises(InputError, match=r"manifest.jsonl row 2: not (a )?JSON"):
        read_manifest(written(genuine_row(), line))


def test_missing_empty_and_binary_manifests_are_refused(tmp_path):
    path = tmp_path / "manifest.jsonl"
    with pytest.raises(InputError, match="no such manifest"):
        read_manifest(path)
    path.write_bytes(b"\n \n")
    with pytest.raises(InputError, match="no rows"):
        read_manifest(path)
    path.write_bytes("Zoë".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        read_manifest(path)


def test_audio_is_not_needed_for_rows_alone(written):
    path = written(genuine_row(), files=())
    with pytest.raises(InputError, match=r"row 1, path: .*g\.wav does not exist"):
        read_manifest(path)
    assert read_manifest(path, check_files=False)[0].clip_id == "g"


def test_regions_may_end_a_rounding_error_late(written):
    (clip,) = read_manifest(written(fake_row(regions=[[0, 2.0009]], twin_id=None)))
    assert clip.regions == (Region(0, 2.0),)


def test_written_manifests_are_read_back(written, tmp_path):
    extra = {"author": "Zoë\u2028\x85x", "nested": {"a": [1, None]}, "note": "two\nlines"}
    clips = read_manifest(written(genuine_row(**extra), fake_row()))
    other = tmp_path / "deep" / "er" / "copy.jsonl"
    write_manifest(other, clips)
    assert read_manifest(other) == clips
    assert read_manifest(other)[0].extra == extra
    assert json.loads(other.read_text("utf-8").split("\n")[0])["path"] == "../../audio/g.wav"


def test_official_subsets_are_written(written, tmp_path):
    clips = read_manifest(written(genuine_row(subsets=["easy", "hard"]), fake_row(subsets=[])))
    assert [clip.subsets for clip in clips] == [("easy", "hard"), ()]
    assert all("subsets" not in clip.extra for clip in clips)
    write_manifest(tmp_path / "copy.jsonl", clips)
    lines = (tmp_path / "copy.jsonl").read_text().splitlines()
    assert [json.loads(line).get("subsets") for line in lines] == [["easy", "hard"], None]
    assert read_manifest(tmp_path / "copy.jsonl") == clips
    bare = [replace(clip, subsets=()) for clip in clips]
    assert manifest_hash(bare) != manifest_hash(clips)


def test_a_manifest_that_fails_to_be_written_leaves_the_old_one(written, monkeypatch):
    path = written(genuine_row())
    before = path.read_bytes()
    (clip,) = read_manifest(path)
    with pytest.raises(TypeError):
        write_manifest(path, [clip, replace(clip, extra={"bad": {1, 2}})])
    assert path.read_bytes() == before

    def fail(self, target):
        raise OSError("killed")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="killed"):
        write_manifest(path, [clip, replace(clip, clip_id="h")])
    assert path.read_bytes() == before


def test_writing_leaves_no_other_files(written, tmp_path):
    path = written(genuine_row())
    write_manifest(path, read_manifest(path))
    assert {entry.name for entry in tmp_path.iterdir()} == {"audio", "manifest.jsonl"}


def test_the_hash_depends_on_clips_and_not_on_folders(written, tmp_path):
    clips = read_manifest(written(genuine_row(), fake_row()))
    moved = [replace(clip, location=f"/elsewhere/{Path(clip.location).name}") for clip in clips]
    digest = manifest_hash(clips)
    assert manifest_hash(moved[::-1]) == digest
    assert manifest_hash(clips[:1]) != digest
    for change in ({"regions": (Region(0, 1),)}, {"split": "train"}, {"extra": {}}):
        assert manifest_hash([clips[0], replace(clips[1], **change)]) != digest


def test_rows_in_memory_are_named_by_their_clip(tmp_path):
    assert read_rows([genuine_row()], tmp_path, "journal")[0].location == str(
        tmp_path / "audio/g.wav"
    )
    with pytest.raises(InputError, match="journal clip g, duration: "):
        read_rows([genuine_row(duration=0)], tmp_path, "journal")
