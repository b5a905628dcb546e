import itertools

import numpy as np
import pytest

from fakesound.errors import InputError
from fakesound.metrics import metrics_block
from fakesound.metrics.abstention import (
    abstention_block,
    calibration_metrics,
    risk_coverage,
)
from fakesound.scoring.decision import decide


def build(make_clip, rows):
    return [
        make_clip(str(number), score=score, regions=((0, 1),) if fake else ())
        for number, (score, fake) in enumerate(rows)
    ]


@pytest.fixture
def clips(make_clip):
    """Surest first: right, wrong, right, wrong, right; three fakes and two genuines."""
    rows = [(0.95, True), (0.1, True), (0.8, True), (0.7, False), (0.4, False)]
    return build(make_clip, rows)


def test_block_by_hand(clips):
    assert abstention_block(clips, 0.7) == {
        "confidence": 0.7,
        "answered": pytest.approx(4 / 5),
        "answered_fake": 1,
        "answered_genuine": pytest.approx(1 / 2),
        "accuracy": pytest.approx(2 / 4),
        "balanced_accuracy": pytest.approx((2 / 3 + 0) / 2),
        "accuracy_of_all": pytest.approx(3 / 5),
    }


@pytest.mark.parametrize("confidence", [0.5, 0.6, 0.8])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7, 1.0])
def test_verdicts_are_those_of_a_detection(make_clip, threshold, confidence):
    fakes = [
        make_clip(str(at), score=at / 20, regions=((0, 1),), clip_threshold=threshold)
        for at in range(21)
    ]
    verdicts = [decide(clip.score, threshold, confidence) for clip in fakes]
    answered = [verdict for verdict in verdicts if verdict != "uncertain"]
    result = abstention_block(fakes, confidence)
    assert result["answered"] == pytest.approx(len(answered) / 21)
    assert result["accuracy"] == pytest.approx(answered.count("fake") / len(answered))


def test_a_half_is_genuine(make_clip):
    assert abstention_block([make_clip("a", score=0.5)], 0.5)["accuracy"] == 1
    fake = make_clip("a", score=0.5, regions=((0, 1),))
    assert abstention_block([fake], 0.5)["accuracy"] == 0


def test_without_abstention_the_accuracy_is_that_of_the_block(make_scores):
    scores = make_scores()
    result, block = abstention_block(scores, 0.5), metrics_block(scores)
    assert result["answered"] == result["answered_fake"] == result["answered_genuine"] == 1
    assert result["accuracy"] == result["accuracy_of_all"] == block["clip/accuracy"]
    assert result["balanced_accuracy"] == block["clip/balanced_accuracy"]


def test_undefined_values_are_none(clips):
    result = abstention_block(clips, 0.99)
    assert result["answered"] == 0
    assert result["accuracy"] is None
    assert result["balanced_accuracy"] is None
    fakes = abstention_block(clips[:3], 0.6)
    assert fakes["answered_genuine"] is None
    assert fakes["balanced_accuracy"] is None
    assert fakes["accuracy"] == pytest.approx(2 / 3)
    nothing = abstention_block([], 0.6)
    assert {nothing[key] for key in nothing.keys() - {"confidence"}} == {None}


@pytest.mark.parametrize("confidence", [0.49, 1.01, float("nan")])
def test_confidence_is_at_least_a_half(clips, confidence):
    with pytest.raises(InputError, match=r"^confidence: .* is not in \[0\.5, 1\]"):
        abstention_block(clips, confidence)


def test_curve_by_hand(clips):
    coverage, risk = risk_coverage(clips[::-1])
    assert coverage == pytest.approx([0.2, 0.4, 0.6, 0.8, 1])
    assert risk == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4, 2 / 5])


def test_ties_do_not_depend_on_the_order(make_clip):
    rows = [(0.9, True), (0.8, True), (0.2, True), (0.2, True), (0.8, False), (0.4, False)]
    clips = build(make_clip, rows)
    wrong = [0, 0, 1, 1, 1, 0]
    orders = [[0, *tied, 5] for tied in itertools.permutations([1, 2, 3, 4])]
    risks = [np.cumsum([wrong[clip] for clip in order]) / np.arange(1, 7) for order in orders]
    assert risk_coverage(clips)[1] == pytest.approx(np.mean(risks, axis=0))


def test_the_curve_ends_at_the_error_of_all(make_scores):
    scores = make_scores(pairs=40)
    coverage, risk = risk_coverage(scores)
    assert coverage[-1] == 1
    assert risk[-1] == pytest.approx(1 - abstention_block(scores, 0.5)["accuracy_of_all"])
    for confidence in (0.6, 0.75):
        result = abstention_block(scores, confidence)
        answered = round(result["answered"] * len(scores))
        assert 0 < answered < len(scores)
        assert risk[answered - 1] == pytest.approx(1 - result["accuracy"])


def test_no_clips_have_no_curve():
    assert [part.size for part in risk_coverage([])] == [0, 0]


def test_figures_by_hand(make_clip):
    rows = [(0.9, True), (0.9, True), (0.1, True), (0.1, False), (0.9, False)]
    clips = build(make_clip, rows)
    figures = calibration_metrics(clips)
    # fakes: two off by .1, one by .9; genuines: one each
    assert figures["brier"] == pytest.approx(((0.01 * 2 + 0.81) / 3 + (0.01 + 0.81) / 2) / 2)
    block = metrics_block(clips)
    assert all(figures[key] == block[f"clip/{key}"] for key in figures if key != "brier")


def test_figures_of_one_label_are_undefined(make_clip):
    assert set(calibration_metrics(build(make_clip, [(0.5, True)])).values()) == {None}
    assert set(calibration_metrics([]).values()) == {None}
