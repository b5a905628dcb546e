"""The picture of an explanation: the spectrogram, and what in it speaks for "fake"."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from fakesound.inference.detection import Detection
from fakesound.inference.explanation import Explanation
from fakesound.report.style import PALETTE, look, new_figure, panel
from fakesound.report.timelines import Sound, spectrum_panel

WIDTH, HEIGHT = 10.4, 5.2
LEFT, RIGHT, FOOT, GAP, PANEL = 0.6, 0.95, 0.5, 0.35, 1.95
SPEAKING = LinearSegmentedColormap.from_list(
    "speaking", [PALETTE.seen, PALETTE.paper, PALETTE.unseen]
)


def explanation_figure(explanation: Explanation, detection: Detection, sound: Sound) -> Figure:
    """Return the spectrogram above, and below it the relevance of each part.

    Red speaks for "fake", blue for "genuine"; regions called fake are framed.
    """
    loudest = max(1e-6, float(np.abs(explanation.relevance).max()))
    with look():
        figure = new_figure(WIDTH, HEIGHT)
        above = panel(figure, LEFT, FOOT + PANEL + GAP, WIDTH - LEFT - RIGHT, PANEL)
        below = panel(figure, LEFT, FOOT, WIDTH - LEFT - RIGHT, PANEL)
        above.set_xlim(0, detection.duration)
        spectrum_panel(above, sound)
        shown = below.pcolormesh(
            explanation.seconds,
            explanation.hertz / 1000,
            explanation.relevance,
            cmap=SPEAKING,
            vmin=-loudest,
            vmax=loudest,
        )
        for axes in (above, below):
            axes.set(xlim=(0, detection.duration), ylim=(0, explanation.hertz[-1] / 1000))
            axes.set_ylabel("kHz")
            for region in detection.regions:
                for edge in (region.onset, region.offset):
                    axes.axvline(edge, color=PALETTE.found, linewidth=1.6)
        above.tick_params(labelbottom=False)
        below.set_xlabel("seconds")
        place = panel(figure, WIDTH - RIGHT + 0.12, FOOT, 0.14, PANEL)
        bar = figure.colorbar(shown, cax=place, ticks=[-loudest, 0, loudest])
        bar.ax.set_yticklabels(["genuine", "", "fake"])
        bar.outline.set_visible(False)
    return figure
