"""Pictures and audio inside a page, so that it is one file and needs no network."""

import base64
import io

import numpy as np
import soundfile
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from fakesound.report.style import PALETTE, svg
from fakesound.report.timelines import Sound


def figure_uri(figure: Figure) -> str:
    """Return ``figure`` as a data URI, SVG."""
    return _uri("image/svg+xml", svg(figure))


def sound_uri(sound: Sound) -> str:
    """Return ``sound`` as a data URI, FLAC of 16 bits."""
    buffer = io.BytesIO()
    samples = np.clip(sound.samples, -1, 1)
    soundfile.write(buffer, samples, sound.rate, format="FLAC", subtype="PCM_16")
    return _uri("audio/flac", buffer.getvalue())


def render(template: str, context: dict[str, object]) -> str:
    """Return the page that ``template`` makes of ``context``; every value is escaped."""
    environment = Environment(
        loader=PackageLoader("fakesound.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(palette=PALETTE, **context)


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
