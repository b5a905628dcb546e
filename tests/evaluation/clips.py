from tests.factories import make_clip


def known(clip_id, *regions, **fields):
    """A clip of a manifest, fake when it has regions."""
    return make_clip(clip_id, **({"regions": regions, "source_id": "s", "duration": 0.1} | fields))
