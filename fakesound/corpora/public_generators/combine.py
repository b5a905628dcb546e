"""Merge the clips of all repositories: one source for each recording, none of a test bench."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from fakesound.clip import Clip
from fakesound.corpora.public_generators.fingerprints import (
    Landmarks,
    landmarks,
    same_recordings,
)
from fakesound.data.audio import read_audio
from fakesound.data.splits import linked


def combine(
    clips: Sequence[Clip],
    bench: Sequence[Clip] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Clip], int]:
    """Return ``clips`` with one source for each recording, and the number of dropped clips.

    Genuine clips with common landmarks, and clips with the same ``content_key``, share a source.
    Clips whose source has landmarks in common with ``bench`` are dropped.

    Args:
        clips: clips of all repositories, at one rate.
        bench: clips of test benches.
        progress: function called with the number of recordings read and of all.
    """
    rate = clips[0].sample_rate
    genuine = [clip for clip in clips if not clip.is_fake]
    compared = [*genuine, *bench]
    marks: list[Landmarks] = []
    for number, clip in enumerate(compared, start=1):
        marks.append(landmarks(read_audio(clip.location, rate), rate))
        progress(number, len(compared))
    names = [clip.source_id for clip in genuine] + [f"bench {n}" for n in range(len(bench))]
    links: list[tuple[str, ...]] = sorted({(clip.source_id,) for clip in clips})
    links += [
        (clip.source_id, f"key {clip.extra['content_key']}")
        for clip in clips
        if "content_key" in clip.extra
    ]
    links += [(names[one], names[other]) for one, other in same_recordings(marks)]
    sources = linked(links)
    tested = {sources[name] for name in names[len(genuine) :] if name in sources}
    remaining = [
        replace(clip, source_id=sources[clip.source_id])
        for clip in clips
        if sources[clip.source_id] not in tested
    ]
    return remaining, len(clips) - len(remaining)
