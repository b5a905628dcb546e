"""Figures over many clips: error trade-off, calibration, and training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.special import ndtri

from fakesound.metrics import ClipScore, operating_points, reliability
from fakesound.reporting.style import FOLD_COLOURS, PALETTE, look, new_figure, panel
from fakesound.reporting.wording import number

WIDTH, HEIGHT = 5.1, 4.75  # inches of a figure that takes half the page
WHOLE = 10.4
RATES = (0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
LOWEST, HIGHEST = 0.005, 0.9
KEPT = "validation/selection"
LOSSES = {
    "train/loss": ("total", PALETTE.ink),
    "train/clip_loss": ("clip", PALETTE.clip),
    "train/frame_loss": ("frame", PALETTE.frame),
}
RANKS = {
    "validation/clip/auc": ("clip", PALETTE.clip),
    "validation/frame/auc": ("frame", PALETTE.frame),
}


def det_figure(folds: Mapping[str, Sequence[ClipScore]]) -> Figure | None:
    """Return the detection error trade-off of each part of the test, with its equal error rate.

    Axes are normal deviates, on which scores with normal distributions give straight lines
    (Martin et al. 1997). None where no part holds both fakes and genuines.
    """
    with look():
        figure = new_figure(WIDTH, HEIGHT)
        axes = panel(figure, 0.6, 0.5, WIDTH - 0.7, HEIGHT - 0.65)
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


def reliability_figure(folds: Mapping[str, Sequence[ClipScore]]) -> Figure | None:
    """Return how often clips of a score are fake, for each part of the test; None without clips.

    The area of a point is the number of its clips.
    """
    folds = {name: clips for name, clips in folds.items() if clips}
    if not folds:
        return None
    with look():
        figure = new_figure(WIDTH, HEIGHT)
        axes = panel(figure, 0.6, 0.5, WIDTH - 0.7, HEIGHT - 0.65)
        axes.plot([0, 1], [0, 1], color=PALETTE.muted, linewidth=0.8, linestyle=(0, (3, 3)))
        for name, clips in folds.items():
            score = np.array([clip.score for clip in clips], dtype=np.float64)
            points = reliability(score, _fake(clips))
            colour = FOLD_COLOURS.get(name, PALETTE.ink)
            axes.plot(points.score, points.share_fake, color=colour, linewidth=1.2, label=name)
            area = 12 + 240 * points.clips / points.clips.sum()
            axes.scatter(
                points.score, points.share_fake, s=area, color=colour, alpha=0.75, linewidths=0
            )
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        axes.grid(True)
        axes.set_xlabel("score")
        axes.set_ylabel("share of such clips that is fake")
        if set(folds) != {"all"}:
            axes.legend(loc="upper left")
    return figure


def training_figure(epochs: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Return losses and validation figures over the epochs, the kept epoch marked.

    None where nothing of it was logged.
    """
    panels = [
        (title, [key for key in lines if _logged(epochs, key)])
        for title, lines in (("loss in training", LOSSES), ("AUC on validation", RANKS))
    ]
    panels = [(title, keys) for title, keys in panels if keys]
    if not panels:
        return None
    kept = max(
        (row for row in epochs if row.get(KEPT) is not None),
        key=lambda row: float(row[KEPT]),
        default=None,
    )
    with look():
        figure = new_figure(WHOLE, 3.0)
        for place, (title, keys) in enumerate(panels):
            axes = panel(figure, 0.55 + place * (WHOLE - WIDTH), 0.5, WIDTH - 0.7, 2.15)
            axes.set_title(title, color=PALETTE.ink)
            for key in keys:
                _training_line(axes, epochs, key)
            axes.legend(loc="best")
            if kept is not None:
                axes.axvline(float(kept["epoch"]) + 1, color=PALETTE.muted, linewidth=0.8, zorder=0)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(True, axis="y")
            axes.margins(x=0.02)
            axes.set_xlabel("epoch")
    return figure


def _det_curve(axes: Axes, name: str, clips: Sequence[ClipScore]) -> bool:
    points = operating_points(np.array([clip.logit for clip in clips]), _fake(clips))
    if points is None:
        return False
    missed, alarmed = points.miss_rate, points.false_alarm_rate
    nearest = int(np.argmin(np.abs(missed - alarmed)))
    rate = np.array([missed[nearest] + alarmed[nearest]]) / 2
    colour = FOLD_COLOURS.get(name, PALETTE.ink)
    axes.plot(
        _deviate(alarmed),
        _deviate(missed),
        color=colour,
        drawstyle="steps-post",
        label=f"{name if name != 'all' else 'test'}, EER {number(rate[0], 3)}",
    )
    axes.plot(_deviate(rate), _deviate(rate), "o", color=colour, markersize=6)
    return True


def _deviate(rate: Float[np.ndarray, " cut"]) -> Float[np.ndarray, " cut"]:
    # a rate of 0 or 1 lies at infinity, which is outside the axes as well
    deviate: Float[np.ndarray, " cut"] = ndtri(np.clip(rate, 1e-6, 1 - 1e-6))
    return deviate


def _fake(clips: Sequence[ClipScore]) -> Bool[np.ndarray, " clip"]:
    return np.array([clip.fake for clip in clips], dtype=bool)


def _logged(epochs: Sequence[Mapping[str, Any]], key: str) -> bool:
    return any(row.get(key) is not None for row in epochs)


def _training_line(axes: Axes, epochs: Sequence[Mapping[str, Any]], key: str) -> None:
    rows = [row for row in epochs if row.get(key) is not None]
    epoch, value = ([float(row[column]) for row in rows] for column in ("epoch", key))
    epoch = [number + 1 for number in epoch]
    name, colour = (LOSSES | RANKS)[key]
    axes.plot(epoch, value, color=colour, marker="o", markersize=3, label=name)
