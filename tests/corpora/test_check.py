from pathlib import Path

import pytest

from fakesound.corpora.check import check_rows
from fakesound.corpora.listing import Row
from fakesound.timeline import Region


def row(path, clip_id=None, **changes):
    path = Path(path)
    known = {"where": f"list row {path.stem}", "label": "genuine", "source_id": path.stem}
    return Row(clip_id=clip_id or path.stem, path=path, corpus="mine", **(known | changes))


def fake(path, *spans, **changes):
    regions = tuple(Region(*span) for span in spans)
    return row(path, label="fake", attack="edit/x", **({"regions": regions} | changes))


def test_duration_and_rate_are_those_of_the_file(audio):
    checked = check_rows([row(audio("a.wav", 1.2345678, 8_000)), fake(audio("b.flac", 2), (0, 1))])
    a, b = checked.clips
    assert (a.duration, a.sample_rate) == (pytest.approx(1.2345678, abs=1e-4), 8_000)
    assert (b.duration, b.sample_rate, b.domain) == (2.0, 1_000, "mine")


@pytest.mark.parametrize(
    ("offset", "kept"), [(1.9, 1.9), (2.0, 2.0), (2.01, 2.0), (2.05, 2.0), (2.051, None), (9, None)]
)
def test_a_rounding_past_the_end_is_cut_and_no_more(audio, offset, kept):
    checked = check_rows([fake(audio("a.wav", 2), (1, offset))])
    assert [clip.regions[0].offset for clip in checked.clips] == ([] if kept is None else [kept])
    assert len(checked.wrong) == (kept is None)
    assert len(checked.remarks) == (kept == 2.0 and offset > 2)


def test_a_region_that_starts_at_the_end_is_wrong(audio):
    (line,) = check_rows([fake(audio("a.wav", 2), (2.0, 2.01))]).wrong
    assert "[2.0, 2.01] ends after a.wav, which lasts 2.0 s" in line


def test_regions_that_touch_are_one(audio):
    (clip,) = check_rows([fake(audio("a.wav", 4), (2, 3), (0, 1), (1, 1.5))]).clips
    assert clip.regions == (Region(0, 1.5), Region(2, 3))


def test_all_errors_are_listed_at_once(audio, text, tmp_path):
    rows = [
        row(tmp_path / "lost.wav"),
        row(text("empty.wav", "")),
        row(text("junk.wav", "junk" * 99)),
        row(audio("none.wav", 0)),
        fake(audio("f.wav", 1)),
        row(audio("ok.wav", 1)),
    ]
    seen = []
    checked = check_rows(rows, lambda done, total: seen.append((done, total)))
    assert [clip.clip_id for clip in checked.clips] == ["ok"]
    assert checked.missing == [f"list row lost: no such file: {tmp_path / 'lost.wav'}"]
    assert [line.partition(",")[0] for line in checked.wrong] == [
        f"list row {name}" for name in ("empty", "junk", "none", "f")
    ]
    assert seen == [(number, 6) for number in range(1, 7)]


def test_one_file_of_two_labels_is_used_for_neither(audio):
    path = audio("a.wav", 2)
    checked = check_rows([row(path), fake(path, (0, 1), where="other row 9")])
    assert checked.clips == []
    (line,) = checked.wrong
    assert line.startswith("list row a, other row 9: different labels for the same file")


def test_rows_that_agree_on_a_file_are_one(audio):
    path = audio("a.wav", 2)
    rows = [
        fake(path, (0, 1), subsets=("easy",), donor_ids=("d",)),
        fake(path.parent / "." / "a.wav", (0, 1), subsets=("hard", "easy"), donor_ids=("e",)),
    ]
    (clip,) = check_rows(rows).clips
    assert (clip.subsets, clip.donor_ids) == (("easy", "hard"), ("d", "e"))


def test_numbered_ids_are_unique(audio):
    names = ["x", "x~2", "x", "x"]
    rows = [row(audio(f"{index}.wav", 1), clip_id=name) for index, name in enumerate(names)]
    checked = check_rows(rows)
    ids = [clip.clip_id for clip in checked.clips]
    assert ids[:2] == ["x", "x~2"]
    assert len(set(ids)) == 4
    assert checked.remarks == ["2 clips had the id of another clip: numbered ~2, ~3 ..."]
    assert [clip.clip_id for clip in check_rows(rows).clips] == ids
