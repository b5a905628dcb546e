import json
from dataclasses import fields, replace

import numpy as np
import pytest

from fakesound.errors import InputError
from fakesound.metrics import read_scores, write_scores
from fakesound.metrics.scores import FamilyScores

ROW = {
    "clip_id": "a",
    "score": 0.8,
    "label": "fake",
    "attack": "inpainting/audioldm2",
    "corpus": "FakeSound",
    "source_id": "s",
    "regions": [[0.1, 0.3]],
    "duration": 0.5,
}


def save(path, *rows):
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows))
    return path


def assert_equal(ours, theirs):
    for field in fields(ours):
        a, b = getattr(ours, field.name), getattr(theirs, field.name)
        assert np.array_equal(a, b), field.name


def test_round_trip(tmp_path, make_scores, make_clip):
    frames = np.linspace(0, 1, 50).round(6)
    family = FamilyScores({"codec": 0.25, "edit": 0.75}, -1 / 3, unknown=True)
    optional = [
        make_clip("plain", frames=frames, clip_threshold=0.3),
        make_clip("subsets", frames=frames, subsets=("easy", "hard")),
        make_clip(
            "edges",
            frames=frames,
            boundary_scores=frames.astype(np.float32),
            boundary_threshold=0.2,
        ),
        make_clip("unknown", frames=frames, family=family),
        make_clip("known", frames=frames, family=replace(family, unknown=False)),
    ]
    scores = [*optional, *make_scores()]
    path = tmp_path / "scores.jsonl"
    write_scores(path, scores)
    for ours, theirs in zip(scores, read_scores(path), strict=True):
        assert_equal(ours, theirs)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    added = [sorted(row.keys() - rows[0].keys()) for row in rows[:5]]
    heads = ["attack_family", "family_energy", "family_scores"]
    assert added == [[], ["subsets"], ["boundary_scores", "boundary_threshold"], heads, heads]
    assert [row.get("attack_family") for row in rows[3:5]] == ["unknown", "edit"]
    assert rows[3]["family_scores"] == {"codec": 0.25, "edit": 0.75}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"family_scores": [0.5]}, "family_scores: "),
        ({"family_scores": {"a": 2.0}, "family_energy": 0.0}, r"family_scores: .* in \[0, 1\]"),
        ({"family_scores": {}, "family_energy": 0.0}, r"family_scores: .* in \[0, 1\]"),
        ({"family_scores": {"a": 1.0}}, "family_energy: missing"),
        ({"boundary_scores": [0.5] * 3}, "boundary_scores: 3 frames of .* expected 25"),
        ({"boundary_scores": [1.5] * 25}, r"boundary_scores: all values must be in \[0, 1\]"),
    ],
)
def test_outputs_of_further_heads_are_validated(tmp_path, change, words):
    with pytest.raises(InputError, match=f"row 1, {words}"):
        read_scores(save(tmp_path / "scores.jsonl", ROW | change))


def test_scores_are_rounded_and_logits_are_not(tmp_path, make_clip):
    clip = make_clip(score=0.123456789, logit=-1.96, frames=np.full(50, 1 / 3))
    write_scores(tmp_path / "scores.jsonl", [clip])
    row = json.loads((tmp_path / "scores.jsonl").read_text())
    assert (row["score"], row["logit"]) == (0.123457, -1.96)
    assert row["frame_scores"][0] == 0.333333


def test_rows_are_written_as_they_were_read(tmp_path, make_scores):
    write_scores(tmp_path / "a.jsonl", make_scores(levels=12_345_678))
    write_scores(tmp_path / "b.jsonl", read_scores(tmp_path / "a.jsonl"))
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_defaults_of_absent_and_null_fields(tmp_path):
    path = save(tmp_path / "s.jsonl", ROW, "", ROW | {"clip_id": "b", "domain": None, "x": 1}, "")
    for clip in read_scores(path):
        assert clip.logit == pytest.approx(np.log(4))
        assert clip.domain == "FakeSound"
        assert clip.frame_step == 0.02
        assert clip.frame_scores.dtype == np.float32
        assert clip.frame_scores.size == 0
        assert clip.subsets == ()
        assert (clip.fold, clip.clip_threshold, clip.frame_threshold) == (None, 0.5, 0.5)


def test_genuine_row_needs_neither_attack_nor_regions(tmp_path):
    row = ROW | {"label": "genuine"}
    del row["attack"], row["regions"]
    assert not read_scores(save(tmp_path / "s.jsonl", row))[0].fake


@pytest.mark.parametrize("field", ["clip_id", "score", "label", "corpus", "source_id", "duration"])
@pytest.mark.parametrize("null", [False, True])
def test_missing_field(tmp_path, field, null):
    row = ROW | {field: None}
    if not null:
        del row[field]
    with pytest.raises(InputError, match=rf"s\.jsonl, row 2, {field}: missing"):
        read_scores(save(tmp_path / "s.jsonl", ROW, row))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("clip_id", 7),
        ("clip_id", ""),
        ("clip_id", "a"),
        ("score", "0.8"),
        ("score", True),
        ("score", 1.2),
        ("attack", 3),
        ("domain", 1),
        ("source_id", 1),
        ("regions", 0.5),
        ("regions", [0.1, 0.3]),
        ("regions", [[0.1, 0.2, 0.3]]),
        ("regions", [[0.3, 0.1]]),
        ("regions", [[-0.1, 0.1]]),
        ("regions", [["0", "1"]]),
        ("duration", "1"),
        ("frame_scores", "0.5"),
        ("frame_scores", [0.5] * 24 + [None]),
        ("frame_threshold", "x"),
        ("subsets", "easy"),
        ("subsets", ["easy", 1]),
        ("subsets", ["easy", ""]),
        ("subsets", ["easy", "easy"]),
    ],
)
def test_an_invalid_row_is_named_with_its_field(tmp_path, field, value):
    row = ROW | {"clip_id": "b"} | {field: value}
    with pytest.raises(InputError, match=rf"^[^\n]*s\.jsonl, row 2, {field}: [^\n]+$"):
        read_scores(save(tmp_path / "s.jsonl", ROW, row))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "not a JSON object"),
        ("NaN", "not a"),
    ],
    ids=["cut", "deep", "list", "number"],
)
def test_lines_without_an_object_are_refused(tmp_path, line, message):
    with pytest.raises(InputError, match=f"row 3: {message}"):
        read_scores(save(tmp_path / "s.jsonl", ROW, "", line))


def test_frames_for_some_clips_only(tmp_path):
    path = save(tmp_path / "s.jsonl", ROW, ROW | {"clip_id": "b", "frame_scores": [0.5] * 25})
    with pytest.raises(InputError, match="frame_scores: missing for clip 'a'"):
        read_scores(path)


def test_unreadable_and_empty_files(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "absent", tmp_path / "binary"):
        with pytest.raises(InputError, match="cannot be read"):
            read_scores(path)
    with pytest.raises(InputError, match="holds no rows"):
        read_scores(save(tmp_path / "empty", ""))


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, make_clip, monkeypatch):
    path = tmp_path / "scores.jsonl"
    write_scores(path, [make_clip()])
    before = path.read_bytes()
    monkeypatch.setattr(json, "dumps", lambda *_, **__: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_scores(path, [make_clip("b")])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
