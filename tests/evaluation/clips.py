from pathlib import Path

from fakesound.data.manifest import Clip
from fakesound.timeline import Region


def known(clip_id, *regions, **fields):
    """A clip of a manifest, fake when it has regions."""
    values = {
        "path": Path("audio.wav"),
        "source_id": "s",
        "label": "fake" if regions else "genuine",
        "attack": "edit/splice" if regions else None,
        "regions": tuple(Region(*region) for region in regions),
        "duration": 0.1,
        "sample_rate": 16_000,
        "corpus": "corpus",
        "domain": "corpus",
    }
    return Clip(clip_id=clip_id, **(values | fields))
