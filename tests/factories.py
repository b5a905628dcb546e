"""Objects for tests of several packages, with defaults."""

from fakesound.clip import Clip
from fakesound.timeline import Region


def make_clip(clip_id="clip", location=None, attack=None, regions=None, **fields):
    """Make a clip: a fake if ``attack`` or ``regions`` are given, fake throughout without regions.

    Args:
        clip_id: Name of the clip, also of its source unless ``source_id`` is given.
        location: Path of its audio; ``CLIP_ID.wav`` by default.
        attack: ``family/generator``; ``edit/splice`` by default for a fake.
        regions: Fake spans, as `Region` or pairs of seconds.
        fields: Other fields of `Clip`.
    """
    fake = attack is not None or bool(regions)
    fields = {
        "source_id": clip_id,
        "label": "fake" if fake else "genuine",
        "duration": 1.0,
        "sample_rate": 16_000,
        "corpus": "corpus",
    } | fields
    if fake and not regions:
        regions = ((0.0, fields["duration"]),)
    spans = [span if isinstance(span, Region) else Region(*span) for span in regions or ()]
    return Clip(
        clip_id=clip_id,
        location=str(location or f"{clip_id}.wav"),
        attack=(attack or "edit/splice") if fake else None,
        regions=tuple(spans),
        **fields,
    )


def manifest_clip(clip_id, *regions, **fields):
    """Return a clip of 0.1 s of the source "s", which is fake if it has ``regions``."""
    return make_clip(clip_id, **({"regions": regions, "source_id": "s", "duration": 0.1} | fields))
