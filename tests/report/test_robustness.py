import pytest

from fakesound.report.robustness import parts_under_conditions, robustness_figure


def conditions(*blocks, part="all"):
    return {
        "conditions": [
            {
                "name": str(number),
                "title": "clean" if number == 0 else f"noise {number}",
                part: {"clip/auc": auc, "segment_f1_20ms": f1},
            }
            for number, (auc, f1) in enumerate(blocks)
        ]
    }


def test_changes_are_against_clean_audio():
    (part,) = parts_under_conditions(conditions((0.9, 0.6), (0.7, 0.65), (None, 0.2)))
    assert part.change(1, "clip/auc") == pytest.approx(-0.2)
    assert part.change(1, "segment_f1_20ms") == pytest.approx(0.05)
    assert part.change(2, "clip/auc") is None


def test_the_sentence_names_the_worst():
    (part,) = parts_under_conditions(conditions((0.9, 0.6), (0.7, 0.65), (0.8, 0.2)))
    assert part.sentence == (
        "clip AUC falls furthest under “noise 1”, from .90 to .70; segment F1 falls furthest under "
        "“noise 2”, from .60 to .20."
    )


def test_what_does_no_harm_is_not_called_worst():
    (part,) = parts_under_conditions(conditions((0.9, None), (0.9, None)))
    assert part.sentence == "clip AUC falls under none."


def test_clean_audio_alone_compares_nothing():
    assert parts_under_conditions(conditions((0.9, 0.6))) == []
    assert robustness_figure([]) is None


def test_parts_without_figures_are_left_out():
    assert parts_under_conditions(conditions((None, None), (None, None))) == []


def test_each_condition_has_its_dots_and_clean_audio_its_line(evaluation):
    robustness = evaluation.metrics["robustness"]
    parts = parts_under_conditions(robustness)
    assert [part.name for part in parts] == ["unseen", "seen"]
    axes = robustness_figure(parts).axes[0]
    dots = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert dots == [
        condition[part]["clip/auc"]
        for part in ("unseen", "seen")
        for condition in robustness["conditions"]
    ]
    lines = [list(line.get_xdata()) for line in axes.lines if line.get_linestyle() == "--"]
    clean = robustness["conditions"][0]
    assert lines == [[clean[part]["clip/auc"]] * 2 for part in ("unseen", "seen")]
