import pytest

from fakesound.metrics import metrics_block, subsets
from fakesound.report.paired import paired_figure, paired_parts


def entry(a, b, spread, p):
    difference = a - b
    low, high = difference - spread, difference + spread
    return {"a": a, "b": b, "difference": difference, "low": low, "high": high, "p": p}


def pair(part="all", **figures):
    names = {"auc": "clip/auc", "eer": "clip/eer", "f1": "segment_f1_20ms", "range": "range_eer"}
    entries = {names[name]: value for name, value in figures.items()}
    return paired_parts({"names": ["ours", "theirs"], "parts": {part: entries}})


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        (
            {"auc": entry(0.9, 0.8, 0.05, 0.01), "eer": entry(0.1, 0.2, 0.05, 0.01)},
            "On all test clips ours is better in clip AUC and EER.",
        ),
        (
            {"auc": entry(0.9, 0.8, 0.05, 0.01), "range": entry(0.3, 0.2, 0.05, 0.01)},
            "On all test clips ours is better in clip AUC; theirs is better in range EER.",
        ),
        (
            {"auc": entry(0.9, 0.8, 0.2, 0.3), "f1": entry(0.5, 0.6, 0.05, 0.049)},
            "On all test clips theirs is better in segment F1; in clip AUC it cannot be told.",
        ),
        (
            {"auc": entry(0.9, 0.8, 0.2, 0.05), "eer": entry(0.2, 0.2, 0.0, 0.01)},
            "On all test clips it cannot be told which is better: no difference in clip AUC and "
            "EER is beyond chance.",
        ),
    ],
)
def test_the_sentence_says_no_more_than_the_figures(figures, words):
    (part,) = pair(**figures)
    assert part.sentence == words


def test_a_part_without_the_figures_that_decide_claims_nothing():
    parts = {"all": {"clip/cllr": entry(0.3, 0.9, 0.1, 0.001)}}
    (part,) = paired_parts({"names": ["ours", "theirs"], "parts": parts})
    assert "cannot be told" in part.sentence
    assert "better: " not in part.sentence


def test_errors_are_turned_round_with_their_intervals():
    (part,) = pair(eer=entry(0.1, 0.3, 0.05, 0.01))
    turned = part.differences[0].turned
    assert turned.value == pytest.approx(0.2)
    assert turned.interval == pytest.approx((0.15, 0.25))


def test_folds_come_first_and_leave_out_the_whole(evaluation):
    parts = paired_parts(evaluation.metrics["paired"])
    assert [part.name for part in parts] == ["unseen", "seen"]
    unseen = metrics_block(subsets(evaluation.test_scores).unseen)
    values = {each.figure.key: each.a for each in parts[0].differences}
    assert values == pytest.approx({key: unseen[key] for key in values})


def test_the_figure_shows_each_difference_on_the_right_side():
    parts = pair(auc=entry(0.7, 0.9, 0.1, 0.01), eer=entry(0.1, 0.3, 0.05, 0.01))
    axes = paired_figure(parts).axes[0]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [dot.get_xdata()[0] for dot in dots] == pytest.approx([-0.2, 0.2])
    assert [text.get_text() for text in axes.texts] == ["Clip AUC", "EER"]
    assert axes.get_title(loc="left") == "to the right ours is better"


def test_without_a_difference_there_is_no_figure():
    assert paired_figure(pair()) is None
