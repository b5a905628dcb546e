"""Partial fakes of published generators: spans of a fake in a genuine recording of the same page.

They measure localisation on generators that training does not contain.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from fakesound.clip import Clip
from fakesound.data.audio import read_pcm, write_wav
from fakesound.data.compose import cut_in, draw_cuts
from fakesound.timeline import Region

SHORTEST, LONGEST, MOST = 0.1, 2.0, 3


def splice_fakes(clips: Sequence[Clip], folder: Path, each: int) -> list[Clip]:
    """Write ``each`` partial fakes of every generator on a page to ``folder`` and return them.

    The host is a genuine clip of the page, from another source than the fake if possible. It is the
    twin of the result, which equals it outside the regions. Existing files are kept.

    Args:
        clips: whole-clip fakes and genuine clips at one rate.
        folder: folder for the audio.
        each: number of partial fakes of each generator on a page.
    """
    hosts: defaultdict[str, list[Clip]] = defaultdict(list)
    fakes: defaultdict[tuple[str, str], list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda c: c.clip_id):
        if not clip.is_fake:
            hosts[clip.domain].append(clip)
        elif clip.regions[0] == Region(0, clip.duration):
            fakes[clip.domain, clip.attack or ""].append(clip)
    splices = []
    for (domain, _), group in sorted(fakes.items()):
        if domain not in hosts:
            continue
        for fake in sorted(group, key=lambda clip: _digest(f"0|{clip.clip_id}"))[:each]:
            rng = np.random.default_rng(list(_digest(f"splice|0|{fake.clip_id}")))
            others = [host for host in hosts[domain] if host.source_id != fake.source_id]
            host = (others or hosts[domain])[int(rng.integers(len(others or hosts[domain])))]
            if (spliced := _splice(fake, host, folder, rng)) is not None:
                splices.append(spliced)
    return splices


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _splice(fake: Clip, host: Clip, folder: Path, rng: np.random.Generator) -> Clip | None:
    rate = host.sample_rate
    length = round(min(fake.duration, host.duration) * rate)
    if length < 2 * SHORTEST * rate:
        return None
    cuts = draw_cuts(rng, length, rate, SHORTEST, min(LONGEST, length / rate / 2), MOST)
    start = int(rng.integers(0, round(fake.duration * rate) - length + 1))
    name = f"{fake.clip_id}-in-{host.clip_id}"
    path = folder / f"{name}.wav"
    if not path.is_file():
        genuine = read_pcm(host.location, 0, round(host.duration * rate))
        span = cut_in(genuine[:length], read_pcm(fake.location, start, length), cuts)
        write_wav(path, np.concatenate((span, genuine[length:])), rate)
    return replace(
        fake,
        clip_id=name,
        location=str(path),
        source_id=host.source_id,
        donor_ids=() if fake.source_id == host.source_id else (fake.source_id,),
        regions=tuple(Region(cut.start / rate, cut.stop / rate) for cut in cuts),
        duration=host.duration,
        twin_id=host.clip_id,
        extra={**fake.extra, "evaluation_only": True},
    )
