"""The look of all figures and pages: colours, type, and how a figure is saved."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from fakesound.files import write_whole


@dataclass(frozen=True)
class Palette:
    """Every colour; told apart with any kind of colour vision.

    Attributes:
        ink: text and what is true.
        muted: what is said in passing, and trivial baselines.
        line: rules and grids.
        wash: quiet backgrounds.
        paper: the page.
        unseen: attacks that were not in training.
        seen: attacks that were.
        found: parts a model calls fake.
        clip: the clip task.
        frame: the frame task.
    """

    ink: str = "#1d2833"
    muted: str = "#66717d"
    line: str = "#dde2e6"
    wash: str = "#f5f6f7"
    paper: str = "#ffffff"
    unseen: str = "#c4501b"
    seen: str = "#2d6e9e"
    found: str = "#e8b33f"
    clip: str = "#6a4c93"
    frame: str = "#1d8a80"


PALETTE = Palette()
FOLD_COLOURS = {"unseen": PALETTE.unseen, "seen": PALETTE.seen}
# matplotlib lays text out in DejaVu Sans, which is wider than all of these
FONTS = "'Helvetica Neue', 'Segoe UI', Roboto, Arial, 'DejaVu Sans', sans-serif"

_LOOK: dict[Any, Any] = {
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": PALETTE.ink,
    # names of attacks and keys are no formulas
    "text.parse_math": False,
    "axes.edgecolor": PALETTE.muted,
    "axes.labelcolor": PALETTE.muted,
    "axes.labelsize": 9,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "xtick.color": PALETTE.muted,
    "ytick.color": PALETTE.muted,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "grid.color": PALETTE.line,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": PALETTE.paper,
    "savefig.dpi": 144,
    "svg.fonttype": "none",
    "svg.hashsalt": "fakesound",
}


def tint(colour: str) -> tuple[float, float, float]:
    """Return a lighter ``colour``, opaque so that no grid shows through."""
    red, green, blue = to_rgb(colour)
    return 0.35 + 0.65 * red, 0.35 + 0.65 * green, 0.35 + 0.65 * blue


def blend(start: str, end: str, share: float) -> str:
    """Return the colour that lies ``share`` of the way from ``start`` to ``end``."""
    low, high = to_rgb(start), to_rgb(end)
    red, green, blue = ((1 - share) * low[part] + share * high[part] for part in range(3))
    return to_hex((red, green, blue))


@contextmanager
def look() -> Iterator[None]:
    """Draw what is drawn inside in the one look."""
    with matplotlib.rc_context(_LOOK), warnings.catch_warnings():
        # a name in a script that DejaVu Sans lacks still shows right in the SVG
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches; call it, and draw on it, inside :func:`look`."""
    return Figure(figsize=(width, height))


def panel(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Return new axes at these inches of ``figure``."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def svg(figure: Figure) -> bytes:
    """Return ``figure`` as SVG; the same figure gives the same bytes."""
    data = _saved(figure, "svg", {"Date": None})
    return data.replace(b"font-family: 'DejaVu Sans', sans-serif", f"font-family: {FONTS}".encode())


def png(figure: Figure) -> bytes:
    """Return ``figure`` as PNG."""
    return _saved(figure, "png", {})


def save_figure(figure: Figure, path: Path) -> None:
    """Write ``figure`` to ``path``, as SVG or PNG by its suffix, whole or not at all."""
    write_whole(path, svg(figure) if path.suffix == ".svg" else png(figure))


def _saved(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    buffer = io.BytesIO()
    with look():
        figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()
