"""Figures over many clips: error trade-off, calibration, and answers withheld."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtri

from fakesound.metrics import ClipScore, Reliability, auc, operating_points, reliability
from fakesound.metrics.abstention import risk_coverage
from fakesound.report.style import FOLD_COLOURS, PALETTE, look, new_figure, panel
from fakesound.report.wording import number

WIDTH, HEIGHT = 5.1, 4.75  # inches of a figure that takes half the page
LEFT, RIGHT = 0.75, 0.2  # margins
RATES = (0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
LOWEST, HIGHEST = 0.005, 0.9
SHARES = (0, 0.25, 0.5, 0.75, 1)


def det_figure(folds: Mapping[str, Sequence[ClipScore]]) -> Figure | None:
    """Return the detection error trade-off of each part of the test, with its equal error rate.

    Axes are normal deviates, on which scores with normal distributions give straight lines
    (Martin et al. 1997). None where no part holds both fakes and genuines.
    """
    with look():
        figure = new_figure(WIDTH, HEIGHT)
        axes = panel(figure, LEFT, 0.5, WIDTH - LEFT - RIGHT, HEIGHT - 0.65)
        drawn = [name for name, clips in folds.items() if _det_curve(axes, name, clips)]
        if not drawn:
            return None
        limits = ndtri([LOWEST, HIGHEST])
        axes.plot(
            ndtri([LOWEST, 0.5]), ndtri([LOWEST, 0.5]), color=PALETTE.line, linewidth=0.8, zorder=0
        )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(ndtri(RATES), [f"{100 * rate:g} %" for rate in RATES])
        axes.set(xlim=limits, ylim=limits)
        axes.grid(True)
        axes.set_xlabel("genuine clips called fake")
        axes.set_ylabel("fake clips missed")
        axes.legend(loc="upper right")
    return figure


def roc_figure(folds: Mapping[str, Sequence[ClipScore]]) -> Figure | None:
    """Return the receiver operating characteristic of each part of the test, with its area.

    None where no part holds both fakes and genuines.
    """
    with look():
        figure = new_figure(WIDTH, HEIGHT)
        axes = panel(figure, LEFT, 0.5, WIDTH - LEFT - RIGHT, HEIGHT - 0.65)
        drawn = [name for name, clips in folds.items() if _roc_curve(axes, name, clips)]
        if not drawn:
            return None
        axes.plot([0, 1], [0, 1], color=PALETTE.line, linewidth=0.8, zorder=0)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(SHARES, [f"{100 * share:g} %" for share in SHARES])
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.grid(True)
        axes.set_xlabel("genuine clips called fake")
        axes.set_ylabel("fake clips found")
        axes.legend(loc="lower right")
    return figure


def reliability_of(folds: Mapping[str, Sequence[ClipScore]]) -> dict[str, Reliability]:
    """Return the points of the reliability diagram of each part of the test that has clips."""
    return {
        name: reliability(np.array([clip.score for clip in clips], dtype=np.float64), _fake(clips))
        for name, clips in folds.items()
        if clips
    }


def reliability_figure(points: Mapping[str, Reliability]) -> Figure | None:
    """Return how often clips of a score are fake, for each part of the test; None without clips.

    The area of a point is the number of its clips.
    """
    if not points:
        return None
    with look():
        figure = new_figure(WIDTH, HEIGHT)
        axes = panel(figure, LEFT, 0.5, WIDTH - LEFT - RIGHT, HEIGHT - 0.65)
        axes.plot([0, 1], [0, 1], color=PALETTE.muted, linewidth=0.8, linestyle=(0, (3, 3)))
        for name, part in points.items():
            colour = _colour(name)
            axes.plot(part.score, part.share_fake, color=colour, linewidth=1.2, label=_label(name))
            area = 12 + 240 * part.clips / part.clips.sum()
            axes.scatter(
                part.score, part.share_fake, s=area, color=colour, alpha=0.75, linewidths=0
            )
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        axes.grid(True)
        axes.set_xlabel("score")
        axes.set_ylabel("share of such clips that is fake")
        if set(points) != {"all"}:
            axes.legend(loc="best")
    return figure


def risk_figure(
    folds: Mapping[str, Sequence[ClipScore]], answered: Mapping[str, float] | None = None
) -> Figure | None:
    """Return the share of wrong answers where only the surest clips are answered.

    The risk-coverage curve (El-Yaniv and Wiener 2010) of each part of the test; a dot where the
    share ``answered`` lies. None without clips.
    """
    folds = {name: clips for name, clips in folds.items() if clips}
    if not folds:
        return None
    with look():
        figure = new_figure(WIDTH, HEIGHT)
        axes = panel(figure, LEFT, 0.5, WIDTH - LEFT - RIGHT, HEIGHT - 0.65)
        highest = 0.0
        for name, clips in folds.items():
            coverage, risk = risk_coverage(clips)
            axes.plot(coverage, risk, color=_colour(name), label=_label(name))
            highest = max(highest, float(risk.max()))
            share = (answered or {}).get(name)
            if share:
                wrong = risk[max(0, round(share * len(risk)) - 1)]
                axes.plot(share, wrong, "o", color=_colour(name), markersize=6)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.03 * highest, 1.15 * highest or 0.1))
        axes.xaxis.set_ticks(SHARES, [f"{100 * share:g} %" for share in SHARES])
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
        axes.grid(True)
        axes.set_xlabel("clips answered, the surest first")
        axes.set_ylabel("wrong answers among them")
        if set(folds) != {"all"}:
            axes.legend(loc="upper left")
    return figure


def _det_curve(axes: Axes, name: str, clips: Sequence[ClipScore]) -> bool:
    points = operating_points(np.array([clip.logit for clip in clips]), _fake(clips))
    if points is None:
        return False
    missed, alarmed = points.miss_rate, points.false_alarm_rate
    nearest = int(np.argmin(np.abs(missed - alarmed)))
    rate = np.array([missed[nearest] + alarmed[nearest]]) / 2
    colour = _colour(name)
    axes.plot(
        _deviate(alarmed),
        _deviate(missed),
        color=colour,
        drawstyle="steps-post",
        label=f"{_label(name)}, EER {number(rate[0], 3)}",
    )
    axes.plot(_deviate(rate), _deviate(rate), "o", color=colour, markersize=6)
    return True


def _roc_curve(axes: Axes, name: str, clips: Sequence[ClipScore]) -> bool:
    logit, fake = np.array([clip.logit for clip in clips]), _fake(clips)
    points = operating_points(logit, fake)
    if points is None:
        return False
    axes.plot(
        points.false_alarm_rate,
        1 - points.miss_rate,
        color=_colour(name),
        label=f"{_label(name)}, AUC {number(auc(logit, fake), 3)}",
    )
    return True


def _colour(name: str) -> str:
    return FOLD_COLOURS.get(name, PALETTE.ink)


def _label(name: str) -> str:
    return "test" if name == "all" else name


def _deviate(rate: Float[np.ndarray, " cut"]) -> Float[np.ndarray, " cut"]:
    # a rate of 0 or 1 lies at infinity, which is outside the axes as well
    deviate: Float[np.ndarray, " cut"] = ndtri(np.clip(rate, 1e-6, 1 - 1e-6))
    return deviate


def _fake(clips: Sequence[ClipScore]) -> Bool[np.ndarray, " clip"]:
    return np.array([clip.fake for clip in clips], dtype=bool)
