from dataclasses import replace

import pytest

from fakesound.report import headline, summary
from fakesound.report.wording import in_sentence, listed, number, p_value, signed, with_interval


@pytest.mark.parametrize(
    ("value", "text"), [(0.931, ".93"), (1.2, "1.20"), (0.0, ".00"), (None, "\N{EN DASH}")]
)
def test_numbers(value, text):
    assert number(value) == text


def test_interval_where_there_is_one():
    assert with_interval({"a": 0.5, "ci": {"a": [0.4, 0.6]}}, "a") == ".50 [.40, .60]"
    assert with_interval({"a": 0.5, "ci": {"a": None}}, "a") == ".50"


def test_lists():
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"


def outcome(run, auc, f1, floor=0.25):
    block = {"clip/auc": auc, "segment_f1_20ms": f1, "ci": {}}
    for key in ("clip/auc", "segment_f1_20ms"):
        if block[key] is not None:
            block["ci"][key] = [block[key] - 0.04, block[key] + 0.04]
    test = run.metrics["test"] | {"unseen": block}
    floors = {"unseen": {"all_fake": {"segment_f1_20ms": floor}}}
    return replace(run, metrics=run.metrics | {"test": test, "baseline_by_fold": floors})


def test_summary_names_the_attack_the_figures_and_the_baseline(run):
    assert summary(outcome(run, 0.93, 0.61)) == (
        "On the attack it never saw (vocoder/world): clip AUC .93 [.89, .97], segment F1 .61 "
        "[.57, .65] where calling everything fake gives .25."
    )


@pytest.mark.parametrize(
    ("auc", "f1", "words"),
    [
        (0.93, 0.61, "It recognises an attack it never saw, and finds the fake parts."),
        (
            0.7,
            0.4,
            "It recognises an attack it never saw only at times, and finds the fake parts only "
            "roughly.",
        ),
        (0.93, 0.26, "It recognises an attack it never saw, but does not find the fake parts."),
        (
            0.52,
            0.2,
            "It does not recognise an attack it never saw, and does not find the fake parts.",
        ),
        (None, 0.61, "It finds the fake parts of an attack it never saw."),
        (0.93, None, "It recognises an attack it never saw."),
        (None, None, "No figure is defined for this test."),
    ],
)
def test_headline_says_no_more_than_the_figures(run, auc, f1, words):
    assert headline(outcome(run, auc, f1)) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.034, "+.03"),
        (-0.2, "\N{MINUS SIGN}.20"),
        (-0.001, ".00"),
        (1.5, "+1.50"),
        (None, "\N{EN DASH}"),
    ],
)
def test_changes(value, text):
    assert signed(value) == text


def test_p_values():
    assert p_value(0.0004) == "< .001"
    assert p_value(0.012) == ".012"
    assert p_value(1.0) == "1.000"


@pytest.mark.parametrize(
    ("title", "words"),
    [("Clip AUC", "clip AUC"), ("EER", "EER"), ("Segment F1, 20 ms", "segment F1")],
)
def test_titles_inside_a_sentence(title, words):
    assert in_sentence(title) == words
