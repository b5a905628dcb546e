"""Style of figures and pages: colours, fonts and output formats."""

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from fakesound.files import write_whole


@dataclass(frozen=True)
class Palette:
    """Colours, distinguishable with any kind of colour vision.

    Attributes:
        ink: text and ground truth.
        muted: secondary text and trivial baselines.
        line: rules and grids.
        wash: light background.
        paper: page background.
        unseen: attacks that were not in training.
        seen: attacks that were in training.
        found: parts that a detector calls fake.
        clip: clip task.
        frame: frame task.
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
PART_COLOURS = {"unseen": PALETTE.unseen, "seen": PALETTE.seen}
# fonts of SVG text; all are narrower than DejaVu Sans, with which matplotlib computes the layout
FONTS = "'Helvetica Neue', 'Segoe UI', Roboto, Arial, 'DejaVu Sans', sans-serif"
WIDE, HALF = 10.4, 5.1  # width in inches of a figure over the whole page, and over half of it

_STYLE: dict[Any, Any] = {
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": PALETTE.ink,
    # names may contain dollar signs
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
    "axes.formatter.useoffset": False,
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


@contextmanager
def style_context() -> Iterator[None]:
    """Apply the style to figures drawn inside the block."""
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # glyphs missing from DejaVu Sans are shown by other fonts in the SVG
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def new_figure(height: float, width: float = WIDE) -> Figure:
    """Create an empty figure with constrained layout; call it in `style_context`."""
    return Figure(figsize=(width, height), layout="constrained")


def svg(figure: Figure) -> bytes:
    """Return ``figure`` as SVG; equal figures give equal bytes."""
    data = _saved(figure, "svg", {"Date": None})
    return data.replace(b"font-family: 'DejaVu Sans', sans-serif", f"font-family: {FONTS}".encode())


def png(figure: Figure) -> bytes:
    """Return ``figure`` as PNG."""
    return _saved(figure, "png", {})


def save_figure(figure: Figure, path: Path) -> None:
    """Write ``figure`` to ``path`` atomically, as SVG or PNG by its suffix."""
    write_whole(path, svg(figure) if path.suffix == ".svg" else png(figure))


def render(template: str, context: Mapping[str, object]) -> str:
    """Render the page ``template`` with ``context``; all values are escaped."""
    page = environment("fakesound.report", "templates").get_template(template)
    return page.render(palette=PALETTE, **context)


@cache
def environment(package: str, folder: str) -> Environment:
    """Return the environment of the templates in a folder of a package; all values are escaped."""
    return Environment(
        loader=PackageLoader(package, folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def settle(figure: Figure) -> None:
    """Compute the layout of ``figure`` and fix it.

    The positions are rounded, because the last digits of the layout solver are not reproducible.
    """
    if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        with style_context():
            figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for axes in figure.axes:
            left, bottom, width, height = (round(part, 6) for part in axes.get_position().bounds)
            axes.set_position((left, bottom, width, height))


def _saved(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    settle(figure)
    buffer = io.BytesIO()
    with style_context():
        figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()
