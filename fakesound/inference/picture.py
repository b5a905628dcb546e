"""The picture of a detection: waveform, spectrogram, scores of frames, regions."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fakesound.inference.detection import Detection
from fakesound.report.style import PALETTE, look, new_figure, panel
from fakesound.report.timelines import Sound, spectrum_panel

WIDTH = 10.4  # inches
LEFT, RIGHT, HEAD, FOOT, GAP = 0.52, 0.12, 0.04, 0.48, 0.09
HEIGHTS = {"wave": 0.7, "spectrum": 1.6, "scores": 0.85}
COLUMNS = 1500  # of a curve: no screen shows more


def detection_figure(detection: Detection, threshold: float, sound: Sound | None) -> Figure:
    """Return the picture; without ``sound`` of the scores alone.

    Args:
        detection: of the recording.
        threshold: at which a region begins.
        sound: the whole recording.
    """
    heights = HEIGHTS if sound is not None else {"scores": HEIGHTS["scores"]}
    total = HEAD + sum(heights.values()) + GAP * (len(heights) - 1) + FOOT
    with look():
        figure = new_figure(WIDTH, total)
        top = total - HEAD
        for name, height in heights.items():
            axes = panel(figure, LEFT, top - height, WIDTH - LEFT - RIGHT, height)
            axes.set_xlim(0, detection.duration)
            axes.tick_params(labelbottom=False, length=0)
            if sound is not None and name == "wave":
                _wave(axes, sound)
            elif sound is not None and name == "spectrum":
                spectrum_panel(axes, sound)
                axes.set_xlim(0, detection.duration)
            else:
                _scores(axes, detection, threshold)
            if name != "spectrum":
                for region in detection.regions:
                    axes.axvspan(
                        region.onset, region.offset, color=PALETTE.found, alpha=0.45, linewidth=0
                    )
            top -= height + GAP
        axes.tick_params(axis="x", labelbottom=True, length=3)
        axes.set_xlabel("seconds")
    return figure


def _wave(axes: Axes, sound: Sound) -> None:
    size = max(1, sound.samples.size // COLUMNS)
    parts = np.pad(sound.samples, (0, -sound.samples.size % size)).reshape(-1, size)
    seconds = np.arange(len(parts)) * size / sound.rate
    axes.fill_between(
        seconds, parts.min(1), parts.max(1), color=PALETTE.ink, linewidth=0, step="post"
    )
    loudest = max(1e-3, float(np.abs(sound.samples).max()))
    axes.set(ylim=(-1.05 * loudest, 1.05 * loudest), yticks=[])
    axes.spines[["left", "bottom"]].set_visible(False)


def _scores(axes: Axes, detection: Detection, threshold: float) -> None:
    scores, step = highest(detection.frame_scores, COLUMNS)
    edges = np.arange(scores.size + 1) * step * detection.frame_step
    axes.stairs(scores, edges, color=PALETTE.ink, linewidth=1.1)
    axes.axhline(threshold, color=PALETTE.muted, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set(ylim=(-0.02, 1.05))
    axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.spines["left"].set_visible(False)
    axes.set_ylabel("score")


def highest(
    scores: Float[np.ndarray, " frame"], most: int
) -> tuple[Float[np.ndarray, " column"], int]:
    """Return at most ``most`` columns, each the highest of its frames, and the frames in one."""
    step = max(1, -(-scores.size // most))
    padded = np.pad(scores, (0, -scores.size % step), constant_values=0)
    return padded.reshape(-1, step).max(1), step
