import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import ndtr

from fakesound.metrics import auc, eer
from fakesound.report.figures import (
    det_figure,
    reliability_figure,
    reliability_points,
    risk_figure,
    roc_figure,
    training_figure,
)
from fakesound.report.formatting import number
from fakesound.report.run_results import shown_parts


@pytest.fixture(scope="module")
def parts(run):
    return {part.name: part.scores for part in shown_parts(run)}


def columns(clips):
    return np.array([clip.logit for clip in clips]), np.array([clip.fake for clip in clips])


def test_det_marks_the_equal_error_rate(parts):
    axes = det_figure(parts).axes[0]
    points = [line for line in axes.lines if line.get_marker() == "o"]
    for clips, point in zip(parts.values(), points, strict=True):
        rate = eer(*columns(clips)).rate
        assert ndtr(point.get_xdata()[0]) == ndtr(point.get_ydata()[0]) == pytest.approx(rate)


def test_roc_has_the_area_in_its_legend(parts):
    axes = roc_figure(parts).axes[0]
    curves = [line for line in axes.lines if not line.get_label().startswith("_")]
    for clips, curve in zip(parts.values(), curves, strict=True):
        area = auc(*columns(clips))
        false_alarms, detections = (np.asarray(data, dtype=float) for data in curve.get_data())
        assert np.trapezoid(detections, false_alarms) == pytest.approx(area)
        assert curve.get_label().endswith(f"AUC {number(area, 3)}")


def test_rankings_need_both_labels(run):
    genuine = [clip for clip in run.test_scores if not clip.fake]
    assert det_figure({"unseen": genuine}) is None
    assert roc_figure({"unseen": genuine}) is None


def test_reliability_shows_the_points_of_each_part(parts):
    points = reliability_points(parts)
    axes = reliability_figure(points).axes[0]
    assert axes.get_legend_handles_labels()[1] == ["unseen", "seen"]
    for part, line in zip(points.values(), axes.lines, strict=False):
        assert line.get_xdata() == pytest.approx(part.score)
        assert line.get_ydata() == pytest.approx(part.share_fake)
    assert points["unseen"].clips.sum() == len(parts["unseen"])
    assert reliability_points({"unseen": []}) == {}
    assert reliability_figure({}) is None


def test_risk_marks_the_share_that_is_answered(parts):
    axes = risk_figure(parts, {"unseen": 0.5}).axes[0]
    (point,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert point.get_xdata()[0] == 0.5
    curve = axes.lines[0]
    wrong = np.mean([(clip.score > 0.5) != clip.fake for clip in parts["unseen"]])
    assert curve.get_ydata()[-1] == pytest.approx(wrong)
    assert risk_figure({"all": []}) is None


def test_the_training_figure_shows_logged_values_and_the_selected_epoch(run):
    loss, validation = training_figure(run.epochs).axes
    assert loss.get_legend_handles_labels()[1] == ["total", "clip"]
    assert validation.get_legend_handles_labels()[1] == ["Clip AUC"]
    assert list(validation.lines[-1].get_xdata()) == [3, 3]
    assert training_figure(()) is None
    assert training_figure([{"epoch": 0, "train/loss": None}]) is None


def test_no_warning_where_matplotlib_cannot_write_its_cache():
    done = subprocess.run(
        [sys.executable, "-c", "import fakesound.report"],
        env=os.environ | {"MPLCONFIGDIR": "/proc/none"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
