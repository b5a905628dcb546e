"""The figure of how the training went."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fakesound.report.style import PALETTE, look, new_figure, panel

WIDTH, HALF = 10.4, 5.1  # inches
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
        figure = new_figure(WIDTH, 3.0)
        for place, (title, keys) in enumerate(panels):
            axes = panel(figure, 0.55 + place * (WIDTH - HALF), 0.5, HALF - 0.7, 2.15)
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


def _logged(epochs: Sequence[Mapping[str, Any]], key: str) -> bool:
    return any(row.get(key) is not None for row in epochs)


def _training_line(axes: Axes, epochs: Sequence[Mapping[str, Any]], key: str) -> None:
    rows = [row for row in epochs if row.get(key) is not None]
    epoch, value = ([float(row[column]) for row in rows] for column in ("epoch", key))
    epoch = [number + 1 for number in epoch]
    name, colour = (LOSSES | RANKS)[key]
    axes.plot(epoch, value, color=colour, marker="o", markersize=3, label=name)
