"""The page and its files, all from the package; nothing is loaded from a network."""

from importlib.resources import files

from fakesound.report.style import PALETTE, environment

SCRIPT, STYLE = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
KINDS = {
    "page.css": STYLE,
    "page.js": SCRIPT,
    "screens.js": SCRIPT,
    "waveform.js": SCRIPT,
    "wavesurfer/wavesurfer.esm.js": SCRIPT,
    "wavesurfer/regions.esm.js": SCRIPT,
    "wavesurfer/timeline.esm.js": SCRIPT,
    "wavesurfer/LICENSE": "text/plain; charset=utf-8",
}


def _folder(name: str) -> tuple[str, ...]:
    return ("report",) if name.startswith("wavesurfer/") else ("listening_test", "page")


# content type and content of each file of the page, by path
STATIC = {
    name: (kind, files("fakesound").joinpath(*_folder(name), name).read_bytes())
    for name, kind in KINDS.items()
}


def page(nonce: str, listener: str, clips: int, thirds: bool = False) -> str:
    """Render the page; all values are escaped.

    Args:
        nonce: nonce of the styles.
        listener: suggested name.
        clips: number of clips.
        thirds: whether a third of the clips is genuine, instead of half.
    """
    template = environment("fakesound.listening_test", "page").get_template("page.html.jinja")
    return template.render(
        nonce=nonce,
        listener=listener,
        clips=clips,
        genuine="a third" if thirds else "half",
        palette=PALETTE,
    )
