"""The picture of one clip: what it sounds like, what is true of it, and what was found."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fakesound.data.audio import read_audio
from fakesound.data.manifest import Clip
from fakesound.errors import InputError
from fakesound.metrics import ClipScore
from fakesound.report.run_folder import RunResults
from fakesound.report.style import PALETTE, look, new_figure, panel, save_figure
from fakesound.timeline import FrameGrid, Region, merge_regions

LONGEST = 60.0  # seconds shown, and embedded, of a clip
WIDTH = 10.4  # inches
LEFT, RIGHT = 0.52, 0.12  # margins
TRUTH, SPECTRUM, SCORES, GAP, FOOT, HEAD = 0.15, 1.6, 0.85, 0.09, 0.48, 0.04
WINDOW = 0.032  # seconds
COLUMNS = 900
RANGE = 75  # dB
# few levels: the picture stays small, and looks the same
LOUDNESS = LinearSegmentedColormap.from_list("loudness", ["#ffffff", "#8fa5b6", PALETTE.ink], N=20)


@dataclass(frozen=True, eq=False)
class Sound:
    """Audio of a clip, up to the longest part that is shown.

    Attributes:
        samples: mono, in [-1, 1].
        rate: of them, in a second.
    """

    samples: Float32[np.ndarray, " sample"]
    rate: int


@dataclass(frozen=True)
class PlotArea:
    """Where a picture's panels lie.

    Attributes:
        left: start of the time axis, as a share of the picture's width.
        right: end of it.
        bottom: of the lowest panel, as a share of the picture's height from below.
        seconds: where it ends.
    """

    left: float
    right: float
    bottom: float
    seconds: float


def read_sound(clip: Clip | None) -> Sound | None:
    """Return the audio of ``clip``, None where it can no longer be read."""
    if clip is None:
        return None
    try:
        samples = read_audio(clip.path, clip.sample_rate, 0, int(LONGEST * clip.sample_rate))
    except InputError:
        return None
    return Sound(samples, clip.sample_rate)


def found_regions(clip: ClipScore) -> list[Region]:
    """Return the parts of ``clip`` that are called fake."""
    grid = FrameGrid.from_seconds(clip.frame_step)
    return grid.regions(clip.frame_scores > clip.frame_threshold, clip.duration)


def timeline(clip: ClipScore, sound: Sound | None) -> Figure:
    """Return the picture of ``clip``: true regions, spectrogram, frame scores over one time axis.

    Parts that are called fake are shaded. Without ``sound`` there is no spectrogram, without frame
    scores no curve.
    """
    heights = {"truth": TRUTH}
    heights |= {"spectrum": SPECTRUM} if sound is not None else {}
    heights |= {"scores": SCORES} if clip.frame_scores.size else {}
    total = HEAD + sum(heights.values()) + GAP * (len(heights) - 1) + FOOT
    with look():
        figure = new_figure(WIDTH, total)
        top = total - HEAD
        for name, height in heights.items():
            axes = panel(figure, LEFT, top - height, WIDTH - LEFT - RIGHT, height)
            axes.set_xlim(0, min(clip.duration, LONGEST))
            axes.tick_params(labelbottom=False, length=0)
            if name == "truth":
                _truth(axes, clip)
            elif sound is not None and name == "spectrum":
                spectrum_panel(axes, sound)
            else:
                _scores(axes, clip)
            top -= height + GAP
        axes.tick_params(axis="x", labelbottom=True, length=3)
        axes.set_xlabel("seconds")
    return figure


def plot_area(figure: Figure) -> PlotArea:
    """Return where the time axis of a :func:`timeline` lies."""
    lowest = figure.axes[-1]
    place = lowest.get_position()
    return PlotArea(float(place.x0), float(place.x1), float(place.y0), float(lowest.get_xlim()[1]))


def write_timelines(results: RunResults, folder: Path, clip_ids: Sequence[str]) -> dict[str, Path]:
    """Write the timelines of these test clips to ``folder`` as PNG; return each clip's file."""
    scores = {clip.clip_id: clip for clip in results.test_scores}
    pictures = {}
    for clip_id in clip_ids:
        pictures[clip_id] = folder / f"{_file_name(clip_id)}.png"
        sound = read_sound(results.clips.get(clip_id))
        save_figure(timeline(scores[clip_id], sound), pictures[clip_id])
    return pictures


def _truth(axes: Axes, clip: ClipScore) -> None:
    axes.set(ylim=(0, 1), yticks=[])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.axhline(0.5, color=PALETTE.line, linewidth=0.8, zorder=0)
    for region in merge_regions(clip.regions):
        axes.axvspan(region.onset, region.offset, color=PALETTE.ink, linewidth=0)
    axes.set_ylabel("fake", rotation=0, ha="right", va="center", labelpad=6)


def spectrum_panel(axes: Axes, sound: Sound) -> None:
    """Draw the spectrogram of ``sound`` over its seconds."""
    loudness, hop = _loudness(sound)
    half = hop / sound.rate / 2
    axes.imshow(
        loudness,
        origin="lower",
        aspect="auto",
        cmap=LOUDNESS,
        vmin=-RANGE,
        vmax=0,
        interpolation="none",
        extent=(-half, (2 * loudness.shape[1] - 1) * half, 0, sound.rate / 2000),
    )
    axes.set_xlim(0, axes.get_xlim()[1])
    axes.set_ylabel("kHz")
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.yaxis.set_major_locator(MaxNLocator(4, prune="both"))


def _loudness(sound: Sound) -> tuple[Float[np.ndarray, "bin column"], int]:
    """Return the spectrogram in dB below its loudest point, and the samples from column to column.

    Column ``k`` is centred on sample ``k * hop``.
    """
    window = 2 * round(WINDOW * sound.rate / 2)
    hop = max(1, sound.samples.size // COLUMNS)
    padded = np.pad(sound.samples, window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(window), axis=1).T) ** 2
    return 10 * np.log10(np.maximum(power / max(power.max(), 1e-12), 1e-12)), hop


def _scores(axes: Axes, clip: ClipScore) -> None:
    step = clip.frame_step
    for region in found_regions(clip):
        axes.axvspan(region.onset, region.offset, color=PALETTE.found, alpha=0.45, linewidth=0)
    edges = np.arange(clip.frame_scores.size + 1) * step
    axes.stairs(clip.frame_scores, edges, color=PALETTE.ink, linewidth=1.1)
    axes.axhline(clip.frame_threshold, color=PALETTE.muted, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set(ylim=(-0.02, 1.05))
    axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.spines["left"].set_visible(False)
    axes.set_ylabel("score")


def _file_name(clip_id: str) -> str:
    digest = hashlib.sha256(clip_id.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', clip_id)[:60]}-{digest}"
