"""Draw curves of a test (DET, ROC, reliability, risk-coverage) and of a training run."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from scipy.special import ndtri

from fakesound.metrics import ClipScore, Reliability, auc, eer, reliability
from fakesound.metrics.abstention import risk_coverage
from fakesound.metrics.block import ClipColumns
from fakesound.report.formatting import number
from fakesound.report.glossary import METRICS
from fakesound.report.style import HALF, PALETTE, PART_COLOURS, new_figure, style_context

HEIGHT = 4.6  # inches
RATES = (0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
LOWEST, HIGHEST = 0.005, 0.9
SELECTION = "validation/selection"
LOSSES = {
    "train/loss": ("total", PALETTE.ink),
    "train/clip_loss": ("clip", PALETTE.clip),
    "train/frame_loss": ("frame", PALETTE.frame),
}
AREAS = {
    "validation/clip/auc": (METRICS["clip/auc"].title, PALETTE.clip),
    "validation/frame/auc": (METRICS["frame/auc"].title, PALETTE.frame),
}

Parts = Mapping[str, Sequence[ClipScore]]


def det_figure(parts: Parts) -> Figure | None:
    """Draw the detection error trade-off of each part of the test, with its equal error rate.

    The axes are normal deviates: normally distributed scores give straight lines (Martin et al.
    1997). None if no part has clips of both classes.
    """
    from sklearn.metrics import DetCurveDisplay

    def draw(axes: Axes, name: str, clips: Sequence[ClipScore]) -> None:
        columns = ClipColumns.of(clips)
        logit, fake = columns.logit, columns.fake
        point = eer(logit, fake)
        assert point is not None
        label = f"{_label(name)}, EER {number(point.rate, 3)}"
        colour = _colour(name)
        DetCurveDisplay.from_predictions(fake, logit, name=label, ax=axes, color=colour)
        axes.plot(*[ndtri(np.clip(point.rate, 1e-6, 1 - 1e-6))] * 2, "o", color=colour)

    def finish(axes: Axes) -> None:
        limits = ndtri([LOWEST, HIGHEST])
        middle = ndtri([LOWEST, 0.5])
        axes.plot(middle, middle, color=PALETTE.line, linewidth=0.8, zorder=0)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(ndtri(RATES), [f"{100 * rate:g} %" for rate in RATES])
        axes.set(xlim=limits, ylim=limits)

    return _curves(
        _both_labels(parts), draw, finish, "genuine clips called fake", "fake clips missed"
    )


def roc_figure(parts: Parts) -> Figure | None:
    """Draw the receiver operating characteristic of each part of the test, with its area.

    None if no part has clips of both classes.
    """
    from sklearn.metrics import RocCurveDisplay

    def draw(axes: Axes, name: str, clips: Sequence[ClipScore]) -> None:
        columns = ClipColumns.of(clips)
        logit, fake = columns.logit, columns.fake
        curve = RocCurveDisplay.from_predictions(
            fake, logit, ax=axes, curve_kwargs={"color": _colour(name)}
        )
        curve.line_.set_label(f"{_label(name)}, AUC {number(auc(logit, fake), 3)}")

    def finish(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=PALETTE.line, linewidth=0.8, zorder=0)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1))

    return _curves(
        _both_labels(parts), draw, finish, "genuine clips called fake", "fake clips found"
    )


def reliability_points(parts: Parts) -> dict[str, Reliability]:
    """Return the points of the reliability diagram of each part of the test that has clips."""
    columns = {name: ClipColumns.of(clips) for name, clips in parts.items() if clips}
    return {name: reliability(clips.score, clips.fake) for name, clips in columns.items()}


def reliability_figure(points: Mapping[str, Reliability]) -> Figure | None:
    """Draw the share of fakes against the score for each part of the test.

    The area of a point is proportional to its number of clips. None without clips.
    """
    from sklearn.calibration import CalibrationDisplay

    def draw(axes: Axes, name: str, part: Reliability) -> None:
        colour = _colour(name)
        display = CalibrationDisplay(part.share_fake, part.score, None)
        display.plot(
            ax=axes, name=_label(name), ref_line=False, color=colour, linewidth=1.2, marker=""
        )
        area = 12 + 240 * part.clips / part.clips.sum()
        axes.scatter(part.score, part.share_fake, s=area, color=colour, alpha=0.75, linewidths=0)

    def finish(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=PALETTE.muted, linewidth=0.8, linestyle=(0, (3, 3)))
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))

    return _curves(points, draw, finish, "score", "share of fakes among such clips")


def risk_figure(parts: Parts, answered: Mapping[str, float] | None = None) -> Figure | None:
    """Draw the risk-coverage curve (El-Yaniv and Wiener 2010) of each part of the test.

    A dot marks the share of clips that is ``answered``. None without clips.
    """

    def draw(axes: Axes, name: str, clips: Sequence[ClipScore]) -> None:
        coverage, risk = risk_coverage(clips)
        axes.plot(coverage, risk, color=_colour(name), label=_label(name))
        share = (answered or {}).get(name)
        if share:
            wrong = risk[max(0, round(share * len(risk)) - 1)]
            axes.plot(share, wrong, "o", color=_colour(name), markersize=6)

    def finish(axes: Axes) -> None:
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1))

    clips = {name: clips for name, clips in parts.items() if clips}
    return _curves(clips, draw, finish, "clips answered, surest first", "wrong answers among them")


def training_figure(epochs: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Draw losses and validation metrics over epochs, with a line at the selected epoch.

    None if none of them was logged.
    """

    def logged(key: str) -> list[Mapping[str, Any]]:
        return [row for row in epochs if row.get(key) is not None]

    panels = [
        (title, {key: line for key, line in lines.items() if logged(key)})
        for title, lines in (("training loss", LOSSES), ("validation", AREAS))
    ]
    panels = [(title, lines) for title, lines in panels if lines]
    if not panels:
        return None
    selected = max(logged(SELECTION), key=lambda row: float(row[SELECTION]), default=None)
    with style_context():
        figure = new_figure(3.0)
        for axes, (title, lines) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            axes.set_title(title, color=PALETTE.ink)
            for key, (label, colour) in lines.items():
                rows = logged(key)
                axes.plot(
                    [float(row["epoch"]) + 1 for row in rows],
                    [float(row[key]) for row in rows],
                    **{"color": colour, "marker": "o", "markersize": 3, "label": label},
                )
            axes.legend(loc="best")
            if selected is not None:
                axes.axvline(
                    float(selected["epoch"]) + 1, color=PALETTE.muted, linewidth=0.8, zorder=0
                )
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(True, axis="y")
            axes.margins(x=0.02)
            axes.set_xlabel("epoch")
    return figure


def _curves(
    parts: Mapping[str, Any],
    draw: Callable[[Axes, str, Any], None],
    finish: Callable[[Axes], None],
    xlabel: str,
    ylabel: str,
) -> Figure | None:
    """Draw a curve for each part on common axes; None without parts."""
    if not parts:
        return None
    with style_context():
        figure = new_figure(HEIGHT, HALF)
        axes = figure.add_subplot()
        for name, part in parts.items():
            draw(axes, name, part)
        finish(axes)
        axes.grid(True)
        # replaces the labels and the legend of scikit-learn's displays
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.legend(loc="best")
    return figure


def _both_labels(parts: Parts) -> dict[str, Sequence[ClipScore]]:
    return {name: clips for name, clips in parts.items() if len({c.fake for c in clips}) == 2}


def _colour(name: str) -> str:
    return PART_COLOURS.get(name, PALETTE.ink)


def _label(name: str) -> str:
    return "test" if name == "all" else name
