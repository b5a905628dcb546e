import json

import numpy as np
import pytest

from fakesound.errors import InputError
from fakesound.evaluation.converters import read_rows
from fakesound.evaluation.score_rows import ScoreFormat

KNOWN = {"LA_E_1", "LA_E_2"}
ASVSPOOF = ScoreFormat("asvspoof")
CSV = ScoreFormat("csv")
LAYOUTS = {
    "2021": "LA_E_1 3.25\nLA_E_2 -40.5\n",
    "aasist 2019": "LA_E_1 - bonafide 3.25\nLA_E_2 A07 spoof -40.5\n",
    "with key": "LA_E_1 bonafide 3.25\nLA_E_2 spoof -40.5\n",
    "asvspoof5 baseline": "T_1 LA_E_1 - bonafide 3.25\nT_2 LA_E_2 A07 spoof -40.5\n",
    "asvspoof5 trials": "T_1 LA_E_1 3.25 bonafide\nT_2 LA_E_2 -40.5 spoof\n",
    "asvspoof5": "filename\tcm-score\nLA_E_1\t3.25\nLA_E_2\t-40.5\n",
    "sasv": "spk\tfilename\tcm-score\tasv-score\nT\tLA_E_1\t3.25\t1\nT\tLA_E_2\t-40.5\t1\n",
    "windows": "\ufeffLA_E_1 3.25\r\n\r\nLA_E_2 -40.5\r\n",
}


def save(path, text):
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_asvspoof(tmp_path, layout):
    first, second = read_rows(save(tmp_path / "s.txt", LAYOUTS[layout]), ASVSPOOF, KNOWN)
    assert (first.clip_id, second.clip_id) == ("LA_E_1", "LA_E_2")
    # higher is bona fide there; a log likelihood ratio keeps all its digits, beyond saturation too
    assert (first.logit, second.logit) == (-3.25, 40.5)
    assert first.score == pytest.approx(1 / (1 + np.exp(3.25)))
    assert second.score == 1 - 1e-7
    assert not first.frame_scores.size
    claims = [] if "bonafide" not in LAYOUTS[layout] else ["genuine", "fake"]
    assert [row.claims["label"] for row in (first, second) if row.claims] == claims


def test_higher_may_be_fake(tmp_path):
    style = ScoreFormat("asvspoof", higher_is="fake")
    rows = read_rows(save(tmp_path / "s.txt", LAYOUTS["2021"]), style, KNOWN)
    assert [row.logit for row in rows] == [3.25, -40.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("LA_E_1 1\nLA_E_2 nan\n", r"row 2, score: nan is not a finite number"),
        ("LA_E_1 1\n\nLA_E_2 inf\n", r"row 3, score: inf is not a finite number"),
        ("LA_E_1 1\nLA_E_2 x\n", r"row 2, score: 'x' is not a number"),
        ("LA_E_1 1\nLA_E_2\n", r"row 2: 1 columns, but the first row has 2"),
        ("LA_E_1 1\nLA_E_1 2\n", r"row 2, clip_id: 'LA_E_1' is already in .*s\.txt, row 1"),
        ("LA_E_1 1 2\n", r"row 1: needs one clip and one number"),
        ("LA_E_1 spoof\n", r"row 1: needs one clip and one number"),
        ("other 1\nelse 2\n", r"row 1: no row has a clip_id of the manifest.*'other 1'"),
        ("name\tcm-score\nLA_E_1\t1\n", r"row 1: no column named clip_id or filename"),
        ("filename\tcm-score\n", r"s\.txt: holds no rows"),
        ("", r"s\.txt: holds no rows"),
    ],
)
def test_bad_asvspoof(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read_rows(save(tmp_path / "s.txt", text), ASVSPOOF, KNOWN)
    assert "s.txt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_text(tmp_path):
    (tmp_path / "s.txt").write_bytes(b"\xff\xfe\x00")
    for name in ("s.txt", "none.txt"):
        for style in (ASVSPOOF, CSV, ScoreFormat(), ScoreFormat("partialspoof")):
            with pytest.raises(InputError, match=rf"{name}: cannot be read as text"):
                read_rows(tmp_path / name, style, KNOWN)


def test_csv(tmp_path):
    text = 'score,clip_id,label,frame_scores,note\n0.25,"a, b",spoof,0.5 0.25;1,x\n1,c,real,,\n'
    first, second = read_rows(save(tmp_path / "s.csv", text), CSV, set())
    assert (first.clip_id, first.score) == ("a, b", 0.25)
    assert first.logit == pytest.approx(-np.log(3))
    assert first.frame_scores.tolist() == [0.5, 0.25, 1]
    assert (first.claims, second.claims) == ({"label": "fake"}, {"label": "genuine"})
    assert (second.score, second.frame_scores.size) == (1, 0)
    assert second.logit == pytest.approx(np.log(1e7), rel=1e-6)  # finite at the end


def test_csv_with_tabs_and_frames_alone(tmp_path):
    style = ScoreFormat("csv", higher_is="genuine", scale="logit", frame_step=0.04)
    text = "clip_id\tframe_scores\na\t3 -2 1\n"
    (row,) = read_rows(save(tmp_path / "s.tsv", text), style, set())
    assert (row.logit, row.frame_step) == (2, 0.04)
    assert row.frame_scores == pytest.approx(1 / (1 + np.exp([3.0, -2.0, 1.0])), abs=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip_id,score\na,1.5\n", r"row 2, score: 1\.5 is not in \[0, 1\]; is the scale logit"),
        ("clip_id,score\na,NaN\n", r"row 2, score: nan is not a finite number"),
        ("clip_id,score\na,\n", r"row 2, score: missing"),
        ("clip_id,score\na,0.5,1\n", r"row 2: 3 columns, but the header has 2"),
        ("clip_id,score\na,0.5\na,0.5\n", r"row 3, clip_id: 'a' is already in .*row 2"),
        ("clip_id,score,frame_scores\na,1,0 -1\n", r"row 2, frame_scores: -1\.0 is not in"),
        ("clip_id,score,frame_scores\na,1,0 x\n", r"row 2, frame_scores: 'x' is not a number"),
        ("clip_id,score,frame_scores\na,1,;\n", r"row 2, frame_scores: empty"),
        ("clip_id,score,label\na,1,maybe\n", r"row 2, label: 'maybe' is not one of genuine"),
        ("id,score\na,1\n", r"row 1: no column named clip_id"),
        ("clip_id,p\na,1\n", r"row 1: no column named score or frame_scores"),
        ("clip_id,score\n", r"s\.csv: holds no rows"),
    ],
)
def test_bad_csv(tmp_path, text, message):
    with pytest.raises(InputError, match=rf"s\.csv.*{message}|{message}"):
        read_rows(save(tmp_path / "s.csv", text), CSV, set())


def test_jsonl_without_truth(tmp_path):
    rows = [
        {"clip_id": "a", "score": 0.8, "frame_scores": [0, 0.5], "frame_step": 0.05, "other": 1},
        {"clip_id": "b", "score": 0.5, "logit": 0.0001, "label": "fake", "attack": None},
        {"clip_id": "c", "score": 1, "fold": "seen", "clip_threshold": 0.3},
    ]
    path = save(tmp_path / "s.jsonl", "\n".join(map(json.dumps, rows)))
    a, b, c = read_rows(path, ScoreFormat(frame_step=0.01), set())
    assert (a.score, a.frame_step, a.frame_scores.tolist()) == (0.8, 0.05, [0, 0.5])
    assert a.logit == pytest.approx(np.log(4))
    assert (b.logit, b.frame_step, b.claims) == (0.0001, 0.01, {"label": "fake"})
    assert (a.extra, c.extra) == ({}, {"fold": "seen", "clip_threshold": 0.3})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"row 2: not JSON"),
        ("[]", r"row 2: not a JSON object"),
        ('{"score": 1}', r"row 2, clip_id: None is not a name"),
        ('{"clip_id": 3, "score": 1}', r"row 2, clip_id: 3 is not a name"),
        ('{"clip_id": "a"}', r"row 2, score: missing"),
        ('{"clip_id": "a", "score": NaN}', r"row 2, score: nan is not a finite number"),
        ('{"clip_id": "a", "score": true}', r"row 2, score: True is not a number"),
        ('{"clip_id": "a", "score": 1, "logit": Infinity}', r"row 2, logit: inf is not a finite"),
        ('{"clip_id": "a", "score": 1, "frame_scores": [true]}', r"row 2, frame_scores: not a"),
    ],
)
def test_bad_jsonl(tmp_path, line, message):
    path = save(tmp_path / "s.jsonl", '{"clip_id": "first", "score": 1}\n' + line)
    with pytest.raises(InputError, match=rf"s\.jsonl, {message}"):
        read_rows(path, ScoreFormat(), set())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "kaldi"}, "format: 'kaldi' is not one of jsonl, csv, asvspoof, partialspoof"),
        ({"name": "csv", "higher_is": "real"}, "higher_is: 'real' is not 'fake' or 'genuine'"),
        ({"name": "csv", "scale": "dB"}, "scale: 'dB' is not 'probability' or 'logit'"),
        ({"higher_is": "genuine"}, r"higher_is: 'genuine', but scores in jsonl are P\(fake\)"),
        ({"frame_step": 0.0}, "frame step 0 us: must be positive"),
        ({"frame_step": float("nan")}, "frame step nan s: must be a finite number"),
    ],
)
def test_unknown_formats_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        ScoreFormat(**fields)


@pytest.mark.parametrize("name", ["csv", "asvspoof"])
@pytest.mark.parametrize("higher_is", ["fake", "genuine"])
@pytest.mark.parametrize("scale", ["probability", "logit"])
def test_every_convention_ranks_as_the_detector_did(name, higher_is, scale):
    values = np.array([0.0, 1e-9, 0.2, 0.5, 0.75, 1.0])
    scores, logits = ScoreFormat(name, higher_is, scale).read(values, "f")
    order = 1 if higher_is == "fake" else -1
    assert (order * np.diff(logits) >= 0).all()
    assert (order * np.diff(logits)[1:] > 0).all()
    neutral = values.tolist().index(0.5 if scale == "probability" else 0.0)
    assert (scores[neutral], logits[neutral]) == (0.5, 0)
    assert scores == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-6)
