from tests.factories import make_clip


def known(clip_id, *regions, **fields):
    """Return a clip of a manifest, which is fake if it has regions."""
    return make_clip(clip_id, **({"regions": regions, "source_id": "s", "duration": 0.1} | fields))
