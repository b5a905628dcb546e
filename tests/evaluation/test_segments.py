import pickle

import numpy as np
import pytest

from fakesound.errors import InputError
from fakesound.evaluation.score_rows import ScoreFormat
from fakesound.evaluation.segments import segment_rows

STYLE = ScoreFormat("partialspoof")
# bona fide similarity of the segments of two clips
A, B = [2.0, -1.5, 0.25], [0.5, 1.0]
TEXT = "A 0 2.0\nA 1 -1.5\nB 0 0.5\nB 1 1.0\nA 2 0.25\n"


def sigmoid(values):
    return 1 / (1 + np.exp(-np.asarray(values)))


def assert_a_and_b(rows):
    a, b = rows
    assert (a.clip_id, b.clip_id) == ("A", "B")
    # the most fake frame is the least bona fide
    assert (a.logit, b.logit) == (1.5, -0.5)
    assert a.score == pytest.approx(sigmoid(1.5))
    assert a.frame_scores == pytest.approx(sigmoid(np.negative(A)), abs=1e-6)
    assert b.frame_scores == pytest.approx(sigmoid(np.negative(B)), abs=1e-6)


def test_text(tmp_path):
    path = tmp_path / "s.txt"
    path.write_text(TEXT)
    assert_a_and_b(segment_rows(path, STYLE))


def test_text_of_wedefense_counting_from_one(tmp_path):
    path = tmp_path / "s.txt"
    lines = [
        f"{clip}\t{index}\t{value}\t{-value} 0"
        for clip, values in (("A", A), ("B", B))
        for index, value in enumerate(values, start=1)
    ]
    path.write_text("\n".join(lines))
    assert_a_and_b(segment_rows(path, STYLE))


def test_arrays(tmp_path):
    np.savez(tmp_path / "s.npz", A=A, B=np.array(B, dtype=np.float32))
    np.save(tmp_path / "s.npy", {"A": np.array(A), "B": np.array(B)})
    for name in ("s.npz", "s.npy"):
        assert_a_and_b(segment_rows(tmp_path / name, STYLE))


@pytest.mark.parametrize("labels", [0, 1])
def test_score_ali_of_partialspoof(tmp_path, labels):
    tables = [
        np.concatenate(
            (
                np.array([clip] * len(values)).reshape(-1, 1),
                np.stack((np.negative(values), values), axis=1),
                np.ones((len(values), labels)),
            ),
            axis=1,
        )
        for clip, values in (("A", A), ("B", B))
    ]
    assert tables[0].dtype.kind == "U"  # numpy makes text of all of it
    path = tmp_path / "dev_score_ali_2_20230101.pkl"
    path.write_bytes(pickle.dumps(tables))
    assert_a_and_b(segment_rows(path, STYLE))


def test_probabilities_of_fake(tmp_path):
    path = tmp_path / "s.txt"
    path.write_text("A 0 0.25\nA 1 0.75\n")
    style = ScoreFormat("partialspoof", higher_is="fake", scale="probability", frame_step=0.16)
    (row,) = segment_rows(path, style)
    assert row.frame_scores.tolist() == [0.25, 0.75]
    assert (row.score, row.frame_step) == (0.75, 0.16)
    assert row.logit == pytest.approx(np.log(3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A 0 1\nA 0\n", r"s\.txt, row 2: 'A 0' is not CLIP SEGMENT SCORE"),
        ("A 0 1\nA x 1\n", r"s\.txt, row 2, segment: 'x' is not a number"),
        ("A 0 1\nA 1 nan\n", r"s\.txt, row 2, score: nan is not a finite number"),
        ("A 0 1\nA 1 -inf\n", r"s\.txt, row 2, score: -inf is not a finite number"),
        ("A 0 1\nA 1 spoof\n", r"s\.txt, row 2, score: 'spoof' is not a number"),
        ("A 0 1\n\nA 0 2\n", r"s\.txt, row 3, segment: clip 'A' has segment 0 twice"),
        ("B 0 1\nA 0 1\nA 2 1\n", r"s\.txt, row 2, segment: clip 'A' has no segment 1"),
        ("B 0 1\nA 1 1\nA 2 1\n", r"s\.txt, row 2, segment: clip 'A' has no segment 0"),
        ("A 5 1\nA 6 1\n", r"s\.txt, row 1, segment: clip 'A' has no segment 0"),
        ("\n", r"s\.txt: holds no rows"),
    ],
)
def test_bad_text(tmp_path, text, message):
    path = tmp_path / "s.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        segment_rows(path, STYLE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"A": np.zeros((3, 2))}, r"clip 'A', score: an array of shape \[3, 2\]"),
        ({"A": np.zeros(0)}, r"clip 'A', score: an array of shape \[0\]"),
        ({"A": np.array(["1"])}, r"clip 'A', score: not an array of numbers"),
        ({"A": [1.0]}, r"clip 'A', score: not an array of numbers"),
        ({"A": np.array([0, np.nan])}, r"clip 'A', frame_scores: nan is not a finite number"),
        ([np.zeros((3, 2))], r"array 1: not a table of clip"),
        ([np.array([["A", "0", "x"]])], r"clip 'A', score: 'x' is not a number"),
        ({}, "holds no clips"),
        (3, "holds no clips"),
    ],
)
def test_bad_arrays(tmp_path, content, message):
    path = tmp_path / "s.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=rf"s\.pkl.*{message}"):
        segment_rows(path, STYLE)
