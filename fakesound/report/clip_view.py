"""Draw a clip with waveform, spectrogram, scores and fake parts, and embed its audio in a page."""

import base64
import hashlib
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float, Float32
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from fakesound.data.audio import read_audio
from fakesound.data.location import AnyLocation
from fakesound.errors import InputError
from fakesound.metrics import ClipScore
from fakesound.report.formatting import DASH
from fakesound.report.run_results import RunResults
from fakesound.report.style import PALETTE, new_figure, save_figure, settle, style_context, svg
from fakesound.timeline import FrameGrid, Region, merge_regions

LONGEST = 60.0  # seconds of a test clip that are shown and embedded
# inches
HEIGHTS = {"truth": 0.16, "waveform": 0.6, "spectrogram": 1.6, "relevance": 1.6, "scores": 0.85}
LISTED = 12  # regions that are listed in text
COLUMNS = 1500  # points of a curve, more than screens resolve
WINDOW = 0.032  # seconds
RANGE = 75  # dB
# few levels keep the file small without a visible difference
LOUDNESS = LinearSegmentedColormap.from_list("loudness", ["#ffffff", "#8fa5b6", PALETTE.ink], N=20)
DIVERGING = LinearSegmentedColormap.from_list(
    "diverging", [PALETTE.seen, PALETTE.paper, PALETTE.unseen]
)


@dataclass(frozen=True, eq=False)
class Sound:
    """Audio of a clip.

    Attributes:
        samples: mono samples in [-1, 1].
        rate: samples per second.
    """

    samples: Float32[np.ndarray, " sample"]
    rate: int


@dataclass(frozen=True, eq=False)
class Relevance:
    """Evidence for "fake" (positive) and for "genuine" (negative) by time and frequency.

    Attributes:
        values: contribution of each cell to the logit of the clip.
        seconds: edges of the columns.
        hertz: edges of the rows.
    """

    values: Float[np.ndarray, "row column"]
    seconds: Float[np.ndarray, " edge"]
    hertz: Float[np.ndarray, " edge"]


@dataclass(frozen=True, eq=False)
class ClipContent:
    """Content of the picture of a clip.

    Attributes:
        duration: seconds that are shown.
        sound: audio; None for no waveform and spectrogram.
        frame_scores: P(fake) of each frame; empty for no curve.
        frame_step: length of a frame in seconds.
        threshold: frame threshold, drawn as a dashed line.
        found: regions called fake, shaded.
        truth: true fake regions, drawn as a bar; None if unknown.
        relevance: evidence by time and frequency; None for no such panel.
    """

    duration: float
    sound: Sound | None
    frame_scores: Float[np.ndarray, " frame"]
    frame_step: float
    threshold: float
    found: Sequence[Region] = ()
    truth: Sequence[Region] | None = None
    relevance: Relevance | None = None

    @classmethod
    def of_score(cls, clip: ClipScore, sound: Sound | None) -> "ClipContent":
        """Return the content of a test clip, up to `LONGEST` seconds."""
        return cls(
            duration=min(clip.duration, LONGEST),
            sound=sound,
            frame_scores=clip.frame_scores,
            frame_step=clip.frame_step,
            threshold=clip.frame_threshold,
            found=found_regions(clip),
            truth=merge_regions(clip.regions),
        )


def clip_figure(content: ClipContent) -> Figure | None:
    """Draw the panels of ``content`` over one time axis; None if there is nothing to draw."""
    panels: dict[str, Callable[[Axes], None]] = {}
    if content.truth is not None:
        panels["truth"] = lambda axes: _truth(axes, content)
    if (sound := content.sound) is not None:
        panels["waveform"] = lambda axes: _waveform(axes, sound)
        panels["spectrogram"] = lambda axes: _spectrogram(axes, sound)
    if (relevance := content.relevance) is not None:
        panels["relevance"] = lambda axes: _relevance(axes, relevance)
    if content.frame_scores.size:
        panels["scores"] = lambda axes: _scores(axes, content)
    if not panels.keys() - {"truth"}:
        return None
    heights = [HEIGHTS[name] for name in panels]
    with style_context():
        figure = new_figure(sum(heights) + 0.09 * len(heights) + 0.4)
        figure.set_layout_engine(ConstrainedLayoutEngine(h_pad=0.02, w_pad=0.03, hspace=0.02))
        rows = figure.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (name, draw) in zip(rows, panels.items(), strict=True):
            draw(axes)
            axes.tick_params(axis="x", length=0)
            if name in ("waveform", "scores"):
                for region in content.found:
                    axes.axvspan(
                        region.onset, region.offset, color=PALETTE.found, alpha=0.45, linewidth=0
                    )
            if name == "relevance":
                for edge in {e for r in content.found for e in (r.onset, r.offset)}:
                    axes.axvline(edge, color=PALETTE.found, linewidth=1.6)
        rows[-1].set_xlim(0, content.duration)
        rows[-1].tick_params(axis="x", length=3)
        rows[-1].set_xlabel("seconds")
    return figure


def plot_area(figure: Figure) -> dict[str, float]:
    """Return the position of the time axis in a `clip_figure`.

    "left", "right" and "bottom" are fractions of the picture, "seconds" is the last time shown.
    """
    settle(figure)
    lowest = next(axes for axes in figure.axes if axes.get_xlabel())
    box = lowest.get_position()
    return {
        "left": float(box.x0),
        "right": float(box.x1),
        "bottom": float(box.y0),
        "seconds": float(lowest.get_xlim()[1]),
    }


def write_timelines(results: RunResults, folder: Path, clip_ids: Sequence[str]) -> dict[str, Path]:
    """Write pictures of the test clips ``clip_ids`` to ``folder`` as PNG; return their paths."""
    scores = {clip.clip_id: clip for clip in results.test_scores}
    pictures = {}
    for clip_id in clip_ids:
        clip = scores[clip_id]
        figure = clip_figure(ClipContent.of_score(clip, clip_sound(results, clip_id)))
        if figure is not None:
            pictures[clip_id] = folder / f"{_file_name(clip_id)}.png"
            save_figure(figure, pictures[clip_id])
    return pictures


def clip_sound(results: RunResults, clip_id: str) -> Sound | None:
    """Return the audio of a test clip, up to `LONGEST` seconds; None if it cannot be read."""
    clip = results.clips.get(clip_id)
    if clip is None:
        return None
    return read_sound(clip.location, clip.sample_rate, int(LONGEST * clip.sample_rate))


def read_sound(path: AnyLocation, rate: int, samples: int | None = None) -> Sound | None:
    """Return the first ``samples`` of an audio file at ``rate``; None if it cannot be read."""
    try:
        return Sound(read_audio(path, rate, 0, samples), rate)
    except InputError:  # moved since, or not a file
        return None


def found_regions(clip: ClipScore) -> list[Region]:
    """Return the regions of ``clip`` with frame scores above the threshold."""
    grid = FrameGrid.from_seconds(clip.frame_step)
    return grid.regions(clip.frame_scores > clip.frame_threshold, clip.duration)


def spans(regions: Sequence[Region]) -> str:
    """Format regions as "0.50–0.75, 1.20–1.40 s"; "none" if there are none."""
    shown = [f"{region.onset:.2f}{DASH}{region.offset:.2f}" for region in regions[:LISTED]]
    more = f" and {len(regions) - LISTED} more" if len(regions) > LISTED else ""
    return f"{', '.join(shown)} s{more}" if shown else "none"


def figure_uri(figure: Figure) -> str:
    """Return ``figure`` as an SVG data URI."""
    return data_uri("image/svg+xml", svg(figure))


def sound_uri(sound: Sound) -> str:
    """Return ``sound`` as a 16-bit FLAC data URI."""
    buffer = io.BytesIO()
    samples = np.clip(sound.samples, -1, 1)
    soundfile.write(buffer, samples, sound.rate, format="FLAC", subtype="PCM_16")
    return data_uri("audio/flac", buffer.getvalue())


def data_uri(kind: str, data: bytes) -> str:
    """Return ``data`` of the MIME type ``kind`` as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _truth(axes: Axes, content: ClipContent) -> None:
    axes.set(ylim=(0, 1), yticks=[])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.axhline(0.5, color=PALETTE.line, linewidth=0.8, zorder=0)
    for region in content.truth or ():
        axes.axvspan(region.onset, region.offset, color=PALETTE.ink, linewidth=0)
    axes.set_ylabel("truth", rotation=0, ha="right", va="center")


def _waveform(axes: Axes, sound: Sound) -> None:
    size = max(1, sound.samples.size // COLUMNS)
    parts = np.pad(sound.samples, (0, -sound.samples.size % size)).reshape(-1, size)
    seconds = np.arange(len(parts)) * size / sound.rate
    axes.fill_between(
        seconds, parts.min(1), parts.max(1), color=PALETTE.ink, linewidth=0, step="post"
    )
    loudest = max(1e-3, float(np.abs(sound.samples).max()))
    axes.set(ylim=(-1.05 * loudest, 1.05 * loudest), yticks=[])
    axes.spines[["left", "bottom"]].set_visible(False)


def loudness(sound: Sound) -> tuple[Float[np.ndarray, "row column"], int]:
    """Return a spectrogram in dB relative to its maximum, and its hop in samples."""
    window = 2 * round(WINDOW * sound.rate / 2)
    hop = max(1, 2 * sound.samples.size // COLUMNS)
    padded = np.pad(sound.samples, window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(window), axis=1).T) ** 2
    return 10 * np.log10(np.maximum(power / max(power.max(), 1e-12), 1e-12)), hop


def _spectrogram(axes: Axes, sound: Sound) -> None:
    levels, hop = loudness(sound)
    half = hop / sound.rate / 2
    axes.imshow(
        levels,
        origin="lower",
        aspect="auto",
        cmap=LOUDNESS,
        vmin=-RANGE,
        vmax=0,
        interpolation="none",
        extent=(-half, (2 * levels.shape[1] - 1) * half, 0, sound.rate / 2000),
    )
    axes.set_ylabel("kHz")
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.yaxis.set_major_locator(MaxNLocator(4, prune="both"))


def _relevance(axes: Axes, relevance: Relevance) -> None:
    largest = max(1e-6, float(np.abs(relevance.values).max()))
    mesh = axes.pcolormesh(
        relevance.seconds,
        relevance.hertz / 1000,
        relevance.values,
        cmap=DIVERGING,
        vmin=-largest,
        vmax=largest,
    )
    axes.set_ylabel("kHz")
    bar = axes.figure.colorbar(mesh, ax=axes, ticks=[-largest, 0, largest], pad=0.01, fraction=0.03)
    bar.ax.set_yticklabels(["genuine", "0", "fake"])
    bar.set_label("change of the logit")
    bar.outline.set_visible(False)


def _scores(axes: Axes, content: ClipContent) -> None:
    scores, frames = highest(content.frame_scores)
    edges = np.arange(scores.size + 1) * frames * content.frame_step
    axes.stairs(scores, edges, color=PALETTE.ink, linewidth=1.1)
    axes.axhline(content.threshold, color=PALETTE.muted, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set(ylim=(-0.02, 1.05), yticks=[0, 0.5, 1])
    axes.spines["left"].set_visible(False)
    axes.set_ylabel("frame score")


def highest(
    scores: Float[np.ndarray, " frame"],
) -> tuple[Float[np.ndarray, " column"], int]:
    """Return at most `COLUMNS` maxima of consecutive frames, and the number of frames per value."""
    size = max(1, -(-scores.size // COLUMNS))
    padded = np.pad(scores, (0, -scores.size % size), constant_values=0)
    return padded.reshape(-1, size).max(1), size


def _file_name(clip_id: str) -> str:
    digest = hashlib.sha256(clip_id.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', clip_id)[:60]}-{digest}"
