import pytest

from fakesound.corpora.had import HAD
from fakesound.timeline import Region
from tests.corpora.conftest import read_clips

# rows in the published form
ROWS = {
    "train": [
        "HAD_train_real_00000001 0.00-2.00-T 1",
        "HAD_train_fake_00000001 0.00-0.43-T/0.43-1.02-F/1.02-2.00-T 0",
    ],
    "dev": ["HAD_dev_fake_00000002 0.00-0.30-F/0.30-1.00-T/1.00-1.20-F/1.20-2.00-T 0"],
    "test": ["HAD_test_00000003 0.00-1.99-F 0"],
}
FOLDERS = {
    "published": {"train": "train/conbine", "dev": "dev/conbine", "test": "test"},
    "flat": {"train": "conbine", "dev": "conbine", "test": "."},
}


@pytest.fixture
def published(text, audio):
    def published(place=".", folders="published"):
        for part, rows in ROWS.items():
            text(f"{place}/HAD_{part}/HAD_{part}_label.txt", "\n".join(rows) + "\n")
            for row in rows:
                folder = f"{place}/HAD_{part}/{FOLDERS[folders][part]}"
                audio(f"{folder}/{row.split()[0]}.wav", seconds=2.0)

    return published


@pytest.mark.parametrize(("place", "folders"), [(".", "published"), ("HAD", "flat")])
def test_label_files_become_clips(published, tmp_path, place, folders):
    published(place, folders)
    clips, remarks = read_clips(HAD, tmp_path)
    assert remarks == []
    result = {clip.clip_id: (clip.split, clip.attack, clip.regions) for clip in clips}
    assert result == {
        "HAD_train_real_00000001": ("train", None, ()),
        "HAD_train_fake_00000001": ("train", "splice/had", (Region(0.43, 1.02),)),
        "HAD_dev_fake_00000002": (
            "validation", "splice/had", (Region(0, 0.3), Region(1.0, 1.2)),
        ),
        "HAD_test_00000003": ("test", "splice/had", (Region(0, 2.0),)),
    }  # fmt: skip
    assert len({clip.source_id for clip in clips}) == len(clips)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("a 0.00-2.00-T", "fields: found 2;"),
        ("a 0.00-2.00-T 2", "label: '2';"),
        ("a 0.00-2.00-T 0", "label: a is fake, but 0"),
        ("a 0.00-1.00-T/1.00-2.00-F 1", "label: a is genuine, but 1"),
        ("a 0.00-2.00-X 1", "segments: '0.00-2.00-X' is not written"),
        ("a 0.00:2.00-T 1", "segments: '0.00:2.00-T' is not written"),
        ("a zero-2.00-F 0", "segments: 'zero-2.00-F' is not written"),
    ],
)
def test_rows_that_cannot_be_read_are_named(text, tmp_path, row, problem):
    text("HAD_test/HAD_test_label.txt", f"{row}\n{ROWS['test'][0]}\n")
    listing = HAD.read(tmp_path)
    assert [r.clip_id for r in listing.rows] == ["HAD_test_00000003"]
    (line,) = listing.problems
    assert line.startswith(f"HAD_test_label.txt row 1, {problem}")
    assert len(listing.remarks) == 2
