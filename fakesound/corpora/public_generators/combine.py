"""The clips of all repositories as one corpus: one name for one recording, none of a test bench."""

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

Progress = Callable[[int, int], None]


def combine(
    clips: Sequence[Clip],
    bench: Sequence[Clip] = (),
    progress: Progress = lambda done, total: None,
) -> tuple[list[Clip], int]:
    """Return ``clips`` with one source for each recording, and how many were dropped.

    Genuine clips with landmarks in common, and clips with one ``content_key``, are one source.
    Clips of a source that is in ``bench``, by its landmarks, are dropped.

    Args:
        clips: clips of all repositories, at one rate.
        bench: clips that are to be tested on.
        progress: progress bar of the reading.
    """
    genuine = [clip for clip in clips if not clip.is_fake]
    looked_at = [*genuine, *bench]
    marks: list[Landmarks] = []
    for number, clip in enumerate(looked_at, start=1):
        rate = clips[0].sample_rate
        marks.append(landmarks(read_audio(clip.location, rate), rate))
        progress(number, len(looked_at))
    names = [clip.source_id for clip in genuine] + [f"bench {n}" for n in range(len(bench))]
    links: list[tuple[str, ...]] = sorted({(clip.source_id,) for clip in clips})
    links += [
        (clip.source_id, f"key {clip.extra['content_key']}")
        for clip in clips
        if "content_key" in clip.extra
    ]
    links += [(names[one], names[other]) for one, other in same_recordings(marks)]
    found = linked(links)
    tested = {found[name] for name in names if name.startswith("bench ") and name in found}
    kept = [
        replace(clip, source_id=found[clip.source_id])
        for clip in clips
        if found[clip.source_id] not in tested
    ]
    return kept, len(clips) - len(kept)
