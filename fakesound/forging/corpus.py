"""What an experiment works on, resolved from the configuration before anything heavy starts."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from fakesound.attacks import ATTACKS, match_attacks
from fakesound.config import DataConfig, SplitConfig
from fakesound.data.audio import DURATION_TOLERANCE, audio_info, read_audio
from fakesound.data.manifest import Clip, read_manifest
from fakesound.data.splits import inner_attack
from fakesound.errors import InputError
from fakesound.forging.plan import ForgeSettings, Job, plan_jobs
from fakesound.forging.sources import assign_splits, check_apart, embedded_clips, folder_clips
from fakesound.progress import progress_bar


@dataclass(frozen=True)
class Corpus:
    """Clips that are there, or jobs that make them, and the attacks to hold out.

    Attributes:
        clips: of a given manifest; empty where they are forged.
        jobs: of the forge; empty where a manifest is given.
        folder: of the forged clips.
        held_out, inner_held_out: names of attacks.
        left_out: what is wrong with audio that is not used.
    """

    clips: tuple[Clip, ...]
    jobs: tuple[Job, ...]
    folder: Path
    held_out: tuple[str, ...]
    inner_held_out: tuple[str, ...]
    left_out: tuple[str, ...]


def resolve_corpus(data: DataConfig, split: SplitConfig) -> Corpus:
    """Return the corpus of an experiment.

    Raises:
        InputError: naming the key, file or attack that is wrong, and the mend.
    """
    if data.manifest is not None:
        clips, left_out = _labelled(Path(data.manifest), data)
        attacks = sorted({clip.attack for clip in clips if clip.attack is not None})
        held_out, inner = held_out_attacks(split, attacks)
        return Corpus(tuple(clips), (), Path(data.prepared), held_out, inner, tuple(left_out))
    attacks = match_attacks(data.attacks, ATTACKS, "data.attacks")
    held_out, inner = held_out_attacks(split, attacks)
    if data.root is None:
        genuine, left_out, name = embedded_clips(), [], "embedded"
    else:
        root = Path(data.root).expanduser()
        check_apart(root, Path(data.prepared), "data.prepared")
        genuine, left_out = folder_clips(root, data.clip_seconds, data.source, data.on_bad_audio)
        place = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:8]
        name = f"{root.resolve().name}-{place}"
    settings = ForgeSettings(data.sample_rate, data.train_attacks, data.evaluation_attacks)
    complete = {"validation": inner, "test": held_out}
    jobs = plan_jobs(genuine, settings, attacks, complete)
    return Corpus((), tuple(jobs), Path(data.prepared) / name, held_out, inner, tuple(left_out))


def held_out_attacks(
    split: SplitConfig, attacks: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the attacks held out, and of those held out for model selection.

    Raises:
        InputError: if a name or glob matches none of ``attacks``, or nothing is left to train on.
    """
    if split.name == "official":
        return (), ()
    held_out = match_attacks(split.patterns("held_out"), attacks, "split.held_out")
    if split.inner_held_out == "auto":
        inner = [inner_attack(held_out, attacks)]
    else:
        patterns = split.patterns("inner_held_out")
        inner = match_attacks(patterns, attacks, "split.inner_held_out")
    if not set(attacks) - set(held_out) - set(inner):
        raise InputError("split.held_out: no attack is left to train on; hold out fewer")
    return tuple(held_out), tuple(inner)


def _labelled(path: Path, data: DataConfig) -> tuple[list[Clip], list[str]]:
    """Return the clips of a manifest whose audio is sound, with a split each."""
    clips = read_manifest(path.expanduser())
    left_out: list[str] = []
    with ThreadPoolExecutor(8) as pool, progress_bar("checking audio") as progress:
        checks = pool.map(_problem, clips)
        kept = []
        for number, (clip, problem) in enumerate(zip(clips, checks, strict=True), start=1):
            if problem is None:
                kept.append(clip)
            elif data.on_bad_audio == "error":
                pool.shutdown(cancel_futures=True)
                raise InputError(f"{path} clip {clip.clip_id}: {problem}")
            else:
                left_out.append(problem)
            if number % 50 == 0 or number == len(clips):
                progress(number, len(clips))
    there = {clip.clip_id for clip in kept}
    kept = [clip if clip.twin_id in there else replace(clip, twin_id=None) for clip in kept]
    if all(clip.split is None for clip in kept):
        kept = assign_splits(kept)
    return kept, left_out


def _problem(clip: Clip) -> str | None:
    stat = clip.path.stat()
    return _decode(clip.path, stat.st_size, stat.st_mtime_ns, clip.duration, clip.sample_rate)


@cache
def _decode(path: Path, size: int, changed: int, duration: float, rate: int) -> str | None:
    """Return what is wrong with the audio of a clip; None if nothing is."""
    try:
        info = audio_info(path)
        read_audio(path, info.sample_rate)
    except InputError as error:
        return f"{error}, or set data.on_bad_audio=skip"
    if abs(info.duration - duration) > DURATION_TOLERANCE:
        return (
            f"{path}: lasts {info.duration:.3f} s, the manifest says {duration:.3f} s; correct "
            "the row, or set data.on_bad_audio=skip"
        )
    if info.sample_rate != rate:
        return (
            f"{path}: is at {info.sample_rate} Hz, the manifest says {rate} Hz; correct the row, "
            "or set data.on_bad_audio=skip"
        )
    return None
