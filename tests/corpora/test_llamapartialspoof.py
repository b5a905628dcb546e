import pytest

from fakesound.corpora.llamapartialspoof import LLAMAPARTIALSPOOF
from fakesound.timeline import Region
from tests.corpora.conftest import read_clips

# names and rows in the published form
A = [
    "dev-clean_1272_128104_000003_000002 2.0000 bonafide 0.0000-2.0000-bonafide",
    "test-clean_237_134500_000016_000000 2.0000 bonafide 0.0000-2.0000-bonafide",
    "dev01-yourtts-full_1272_128104_000003_000002 1.9990 spoof 0.0000-1.9990-spoof",
    "dev01-cosyvoice-partial-cf_84_121550_000007_000000 2.0000 spoof "
    "0.0000-0.3800-bonafide 0.3800-1.1000-spoof 1.1000-1.4000-bonafide 1.4000-2.0000-spoof",
]
B = [
    "dev01-cosyvoice-partial-cp_1272_128104_000005_000014 2.0000 spoof "
    "0.0000-0.5000-spoof 0.5000-2.0000-bonafide",
]


@pytest.fixture
def published(text, audio):
    def published(place=".", a=A, b=B):
        for part, rows in (("a", a), ("b", b)):
            text(f"{place}/label_R01TTS.0.{part}.txt", "\n".join(rows) + "\n")
            for row in rows:
                audio(f"{place}/R01TTS.0.{part}/{row.split()[0]}.wav", seconds=2.0)

    return published


@pytest.mark.parametrize("place", [".", "LlamaPartialSpoof"])
def test_label_files_become_clips(published, tmp_path, place):
    published(place)
    clips, remarks = read_clips(LLAMAPARTIALSPOOF, tmp_path)
    assert remarks == []
    result = {
        clip.clip_id.split("_")[0]: (clip.source_id, clip.attack, clip.regions, clip.subsets)
        for clip in clips
    }
    source = "llamapartialspoof/"
    assert result == {
        "dev-clean": (f"{source}1272", None, (), ()),
        "test-clean": (f"{source}237", None, (), ()),
        "dev01-yourtts-full": (f"{source}1272", "tts/yourtts", (Region(0, 2.0),), ("full",)),
        "dev01-cosyvoice-partial-cf": (
            f"{source}84",
            "splice/cosyvoice",
            (Region(0.38, 1.1), Region(1.4, 2.0)),
            ("partial-cf",),
        ),
        "dev01-cosyvoice-partial-cp": (
            f"{source}1272", "splice/cosyvoice", (Region(0, 0.5),), ("partial-cp",),
        ),
    }  # fmt: skip
    assert {clip.split for clip in clips} == {"test"}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("dev-clean_1_2_3_4 2.0 bonafide", "fields: found 3;"),
        ("dev-clean_1_2_3_4 2.0 maybe 0-2-bonafide", "label: 'maybe'"),
        ("dev-clean_1_2_3_4 2.0 spoof 0-2-spoof", "name: 'dev-clean_1_2_3_4' is not the"),
        ("dev01-x-full_1_2_3_4 2.0 spoof 0-2-bonafide", "label: dev01-x-full_1_2_3_4 is spoof,"),
        ("dev-clean_1_2_3_4 2.0 bonafide 0-1-spoof", "label: dev-clean_1_2_3_4 is bonafide, but 1"),
        ("dev01-x-full_1_2_3_4 2.0 spoof 0:2", "segment: '0:2' is not written"),
        ("dev01-x-full_1_2_3_4 2.0 spoof zero-2-spoof", "segment: 'zero-2-spoof' is not written"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_read_are_named(text, tmp_path, row, problem):
    text("label_R01TTS.0.a.txt", f"{A[0]}\n{row}\n")
    listing = LLAMAPARTIALSPOOF.read(tmp_path)
    assert len(listing.rows) == 1
    (line,) = listing.problems
    assert line.startswith(f"label_R01TTS.0.a.txt row 2, {problem}")
    (remark,) = listing.remarks
    assert "label_R01TTS.0.b.txt: not found" in remark
