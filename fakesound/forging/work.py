"""Run one job of the forge, in a worker process."""

from pathlib import Path

import numpy as np
from msgspec.structs import replace

from fakesound.attacks import ATTACKS, Attack
from fakesound.attacks.spectral import Audio
from fakesound.data.audio import read_audio, read_pcm, write_wav
from fakesound.data.compose import Cut, Pcm, cut_in, draw_cuts, level_gain
from fakesound.data.manifest import Clip
from fakesound.data.samples import from_pcm, to_pcm
from fakesound.errors import InputError
from fakesound.forging.plan import Job
from fakesound.timeline import Region

# quieter spans, relative to full scale, are not faked
QUIET = 1e-3
# share of whole-clip fakes
WHOLE_CLIP = 0.12
# seconds around the regions that an attack processes too
MARGIN = 0.5
# keys of a recording's row that its clips do not inherit
NOT_INHERITED = ("start", "changes")


class UnusableError(Exception):
    """The job has no usable result, such as a fake that equals its twin."""


def audio_path(folder: Path, clip_id: str) -> Path:
    """Return the path of the audio of ``clip_id`` in a prepared ``folder``."""
    return folder / "audio" / clip_id[:2] / f"{clip_id}.wav"


def do_job(job: Job, folder: Path, rate: int) -> Clip:
    """Write the audio of ``job`` under ``folder`` and return its manifest row.

    Raises:
        UnusableError: if nothing in the clip can be faked, or the fake equals its twin.
        InputError: if the recording cannot be used.
    """
    rng = np.random.default_rng(job.seed)
    cuts: list[Cut] = []
    if job.attack is None:
        pcm = launder(job.genuine, rate, rng)
    else:
        twin = _read(folder, job.twin_id)
        donor = from_pcm(_read(folder, job.donor_id)) if job.donor_id else None
        attack = ATTACKS[job.attack]
        if attack.needs_donor and donor is None:
            raise UnusableError("no other source in the split to take material from")
        make = _partial if job.fixed else _whole
        pcm, cuts = make(twin, attack, rate, rng, donor)
        changed = np.concatenate([pcm[c.start : c.stop] - twin[c.start : c.stop] for c in cuts])
        if np.mean(np.abs(changed) > 0) < 0.2:
            raise UnusableError("the fake equals its twin")
    path = audio_path(folder, job.clip_id)
    write_wav(path, pcm, rate)
    duration = round(len(pcm) / rate, 6)
    clip = replace(
        job.genuine,
        clip_id=job.clip_id,
        location=str(path),
        label="genuine" if job.attack is None else "fake",
        attack=job.attack,
        regions=tuple(Region(c.start / rate, min(c.stop / rate, duration)) for c in cuts),
        duration=duration,
        sample_rate=rate,
        donor_ids=(job.donor_source,) if job.donor_source else (),
        twin_id=None if job.attack is None else job.twin_id,
    )
    return inherit(clip, job.genuine)


def inherit(clip: Clip, genuine: Clip) -> Clip:
    """Return ``clip`` with the source, corpus, split and unknown keys of its recording."""
    extra = {key: value for key, value in genuine.extra.items() if key not in NOT_INHERITED}
    if clip.attack is not None and ATTACKS[clip.attack].edges_only:
        # read by training, whose regions of such a fake must have edges
        extra["edges_only"] = True
    return replace(
        clip,
        source_id=genuine.source_id,
        corpus=genuine.corpus,
        split=genuine.split,
        domain=genuine.domain,
        license=genuine.license,
        extra=extra,
    )


def launder(genuine: Clip, rate: int, rng: np.random.Generator) -> Pcm:
    """Return a recording in the common format of a prepared corpus.

    It has one channel at ``rate``, a random peak of -12 to -3 dB, a random offset within 32 LSB and
    triangular dither to 16 bits (1 LSB). Fakes are made from the result, so that none of this
    depends on the label. Without the offset, a mean of exactly zero would mark genuine clips.

    Raises:
        InputError: if the recording is silent or shorter than half a second.
    """
    start = int(genuine.extra.get("start", 0) * rate)
    audio = read_audio(genuine.location, rate, start, int(genuine.duration * rate))
    audio = audio - audio.mean()
    peak = float(np.max(np.abs(audio), initial=0.0))
    if peak < QUIET or len(audio) < rate // 2:
        raise InputError(f"{genuine.location}: is silent or shorter than half a second; remove it")
    gain = 10 ** (-rng.uniform(3, 12) / 20) / peak
    dither = rng.random(len(audio)) - rng.random(len(audio)) + rng.uniform(-32, 32)
    return to_pcm(audio * gain + dither.astype(np.float32) / 32_768)


def _render(
    attack: Attack, audio: Audio, rate: int, rng: np.random.Generator, donor: Audio | None
) -> Audio:
    """Apply ``attack`` to ``audio``; the result has the offset of ``audio``."""
    offset = audio.mean()
    fake_audio = attack.render(audio - offset, rate, rng, donor=donor)
    return fake_audio - fake_audio.mean() + offset


def _whole(
    twin: Pcm, attack: Attack, rate: int, rng: np.random.Generator, donor: np.ndarray | None
) -> tuple[Pcm, list[Cut]]:
    """Return the clip fake throughout, or in many gaps, and the fake spans."""
    audio = from_pcm(twin)
    if not attack.fills_gaps:
        fake_audio = _render(attack, audio, rate, rng, donor)
        return to_pcm(fake_audio * level_gain(twin, fake_audio * 32_768)), [Cut(0, len(twin))]
    cuts = _many_gaps(rng, len(twin), rate, attack.longest_gap or 0.0)
    return _fill(twin, attack, rate, rng, cuts), cuts


def _partial(
    twin: Pcm, attack: Attack, rate: int, rng: np.random.Generator, donor: np.ndarray | None
) -> tuple[Pcm, list[Cut]]:
    """Return the clip with fake regions and their spans; a share of clips is fake throughout."""
    if attack.fills_gaps:
        cuts = _audible_cuts(twin, rate, rng, longest=attack.longest_gap, most=6)
        return _fill(twin, attack, rate, rng, cuts), cuts
    whole = rng.random() < WHOLE_CLIP
    if whole and not attack.edges_only:
        return _whole(twin, attack, rate, rng, donor)
    cuts = _audible_cuts(twin, rate, rng, longest=None, most=3)
    first = max(0, cuts[0].start - int(MARGIN * rate))
    after = min(len(twin), cuts[-1].stop + int(MARGIN * rate))
    fake_audio = _render(attack, from_pcm(twin[first:after]), rate, rng, donor)
    fake = twin.copy()
    fake[first:after] = to_pcm(fake_audio)
    return cut_in(twin, fake, cuts), cuts


def _fill(twin: Pcm, attack: Attack, rate: int, rng: np.random.Generator, cuts: list[Cut]) -> Pcm:
    gaps = [slice(cut.start, cut.stop) for cut in cuts]
    return cut_in(twin, to_pcm(attack.render(from_pcm(twin), rate, rng, gaps=gaps)), cuts)


def _many_gaps(rng: np.random.Generator, length: int, rate: int, longest: float) -> list[Cut]:
    """Draw gaps over the whole clip, 0.15 to 0.6 s apart."""
    cuts: list[Cut] = []
    position = int(rng.uniform(0.05, 0.3) * rate)
    while True:
        size = int(np.exp(rng.uniform(np.log(0.04), np.log(longest))) * rate)
        size = min(size, length // 3)
        if position + size > length - rate // 20:
            return cuts or [Cut(length // 3, length // 3 + min(size, length // 3))]
        cuts.append(Cut(position, position + size))
        position += size + int(rng.uniform(0.15, 0.6) * rate)


def _audible_cuts(
    twin: Pcm, rate: int, rng: np.random.Generator, longest: float | None, most: int
) -> list[Cut]:
    """Draw cuts that are not nearly silent: above `QUIET` and 5 % of the level of the clip."""
    loudness = np.sqrt(np.mean(twin.astype(np.float32) ** 2))
    floor = max(QUIET * 32_768, 0.05 * loudness)
    for _ in range(20):
        candidates = draw_cuts(rng, len(twin), rate, longest=longest, most=most)
        spans = [twin[cut.start : cut.stop].astype(np.float32) for cut in candidates]
        cuts = [c for c, s in zip(candidates, spans, strict=True) if np.sqrt(np.mean(s**2)) > floor]
        if cuts:
            return cuts
    raise UnusableError("no audible span to fake")


def _read(folder: Path, clip_id: str) -> Pcm:
    return read_pcm(audio_path(folder, clip_id), 0, -1)
