import numpy as np
import pytest
from scipy.special import ndtr

from fakesound.metrics import auc, eer
from fakesound.metrics.abstention import abstention_block
from fakesound.report import read_run
from fakesound.report.attack_figure import attack_figure
from fakesound.report.figures import (
    det_figure,
    reliability_figure,
    reliability_of,
    risk_figure,
    roc_figure,
)
from fakesound.report.parts import attack_results, shown_parts
from fakesound.report.style import PALETTE
from fakesound.report.training_figure import training_figure
from fakesound.report.wording import number


def folds_of(run):
    return {part.name: part.scores for part in shown_parts(run)}


def test_det_marks_the_equal_error_rate(run):
    axes = det_figure(folds_of(run)).axes[0]
    points = [line for line in axes.lines if line.get_marker() == "o"]
    for scores, point in zip(folds_of(run).values(), points, strict=True):
        logits = np.array([clip.logit for clip in scores])
        rate = eer(logits, np.array([clip.fake for clip in scores])).rate
        assert ndtr(point.get_xdata()[0]) == pytest.approx(rate, abs=1e-5)
        assert ndtr(point.get_ydata()[0]) == pytest.approx(rate, abs=1e-5)


def test_det_needs_both_labels(run):
    genuine = [clip for clip in run.test_scores if not clip.fake]
    assert det_figure({"unseen": genuine}) is None


def test_roc_tells_the_area_under_it(run):
    axes = roc_figure(folds_of(run)).axes[0]
    curves = [line for line in axes.lines if not line.get_label().startswith("_")]
    for scores, curve in zip(folds_of(run).values(), curves, strict=True):
        logits = np.array([clip.logit for clip in scores])
        area = auc(logits, np.array([clip.fake for clip in scores]))
        false_alarms, found = (np.asarray(data) for data in curve.get_data())
        assert np.trapezoid(found, false_alarms) == pytest.approx(area, abs=1e-9)
        assert curve.get_label().endswith(f"AUC {number(area, 3)}")


def test_roc_needs_both_labels(run):
    assert roc_figure({"all": [clip for clip in run.test_scores if clip.fake]}) is None


def test_reliability_shows_each_part(run):
    points = reliability_of(folds_of(run))
    labels = reliability_figure(points).axes[0].get_legend_handles_labels()[1]
    assert labels == ["unseen", "seen"]
    assert points["unseen"].clips.sum() == len(folds_of(run)["unseen"])
    assert reliability_of({"unseen": []}) == {}
    assert reliability_figure({}) is None


def test_risk_ends_at_the_share_of_wrong_answers_and_marks_what_is_answered(run):
    folds = folds_of(run)
    blocks = {name: abstention_block(scores, 0.8) for name, scores in folds.items()}
    answered = {name: block["answered"] for name, block in blocks.items()}
    axes = risk_figure(folds, answered).axes[0]
    curves = [line for line in axes.lines if line.get_marker() != "o"]
    points = [line for line in axes.lines if line.get_marker() == "o"]
    for block, curve, point in zip(blocks.values(), curves, points, strict=True):
        assert curve.get_ydata()[-1] == pytest.approx(1 - block["accuracy_of_all"])
        assert point.get_xdata()[0] == block["answered"]
        assert point.get_ydata()[0] == pytest.approx(1 - block["accuracy"])
    assert risk_figure({"all": []}) is None


def test_bars_are_the_figures_and_held_out_attacks_stand_out(run):
    attacks = attack_results(run)
    figure = attack_figure(attacks)
    for axes, key in zip(figure.axes, ("clip/auc", "segment_f1_20ms"), strict=True):
        widths = [bar.get_width() for bar in axes.patches]
        assert widths == [attack.block[key] for attack in attacks]
    names = {text.get_text(): text.get_color() for text in figure.axes[0].texts}
    assert names["world"] == PALETTE.unseen
    assert names["splice"] == PALETTE.ink


def test_attacks_without_any_figure_give_no_bars(make_run, tmp_path):
    run = read_run(make_run(tmp_path / "run", clip_task=False, frame_task=False, audio=False))
    assert attack_figure(attack_results(run)) is None


def test_training_shows_what_was_logged_and_the_kept_epoch(run):
    loss, ranks = training_figure(run.epochs).axes
    assert loss.get_legend_handles_labels()[1] == ["total", "clip"]
    assert ranks.get_legend_handles_labels()[1] == ["clip"]
    assert list(ranks.lines[-1].get_xdata()) == [3, 3]


def test_nothing_logged_gives_no_training_figure():
    assert training_figure(()) is None
    assert training_figure([{"epoch": 0, "train/loss": None}]) is None
