"""The page and all files it is made of, from the package; nothing comes from a network."""

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


# every file that is served beside the page, by its path
STATIC = {
    name: (kind, files("fakesound").joinpath(*_folder(name), name).read_bytes())
    for name, kind in KINDS.items()
}


def page(nonce: str, listener: str, clips: int, thirds: bool = False) -> str:
    """Return the page, every value escaped.

    Args:
        nonce: nonce of the styles.
        listener: suggested name.
        clips: number of clips.
        thirds: whether a third of them is genuine, not half.
    """
    template = environment("fakesound.listening_test", "page").get_template("page.html.jinja")
    return template.render(
        nonce=nonce,
        listener=listener,
        clips=clips,
        genuine="a third" if thirds else "half",
        palette=PALETTE,
    )
