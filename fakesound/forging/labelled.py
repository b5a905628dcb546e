"""Labelled clips as manifests have them: read, checked, and given the part that each plays."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

from fakesound.config import DataConfig, SplitConfig
from fakesound.data.audio import DURATION_TOLERANCE, audio_info, read_audio
from fakesound.data.decoder_folds import split_by_decoder
from fakesound.data.folds import carve_validation, split_by_fold
from fakesound.data.manifest import Clip, read_manifest
from fakesound.data.places import AudioPath, Place, place
from fakesound.data.pooling import (
    carved_note,
    opened,
    pool_corpora,
    take_parts,
    without_lost_twins,
)
from fakesound.errors import InputError
from fakesound.forging.sources import assign_splits
from fakesound.progress import progress_bar


def labelled_clips(data: DataConfig, split: SplitConfig) -> tuple[list[Clip], list[str], list[str]]:
    """Return the clips of the manifests in ``data``, with a split each, and remarks.

    The remarks are what is wrong with audio that is left out, and what else was done to the clips.

    Raises:
        InputError: naming the key, manifest, clip or source that is wrong, and the mend.
    """
    roles = _roles(data)
    left_out: list[str] = []
    notes: list[str] = []
    if data.manifest is not None:
        (path,) = roles
        clips = _sound(_used(read_manifest(path), split), path, data, left_out)
        return without_lost_twins(_divided(clips, split, notes)), left_out, notes
    if split.name == "source_folds":
        raise InputError(
            "split=source_folds: deals one corpus into folds; give it as data.manifest, not as "
            "data.train and data.test"
        )
    corpora = []
    for path, parts in roles.items():
        clips = read_manifest(path)
        if len(parts) > 1 and all(clip.split is None for clip in clips):
            clips = assign_splits(clips)
        clips = _sound(take_parts(clips, parts, str(path)), path, data, left_out)
        opens = "train" in parts and not data.validation and split.name != "decoder_folds"
        corpora.append(opened(clips) if opens else clips)
    if split.name == "decoder_folds":
        corpora = _validated_by_decoder(corpora, split)
    pooled, notes = pool_corpora(
        corpora, data.shared_sources == "drop", split.validation_share, split.seed
    )
    return pooled, left_out, notes


def _validated_by_decoder(corpora: list[list[Clip]], split: SplitConfig) -> list[list[Clip]]:
    """Return ``corpora``, the training and validation clips of all of them dealt by decoder."""
    pairs = [
        (clip, number)
        for number, clips in enumerate(corpora)
        for clip in clips
        if clip.split != "test"
    ]
    # ids are unique in a corpus only
    named = [replace(clip, clip_id=f"{number} {clip.clip_id}") for clip, number in pairs]
    dealt = {
        clip.clip_id: clip.split
        for clip in split_by_decoder(
            named, split.fold, None, split.folds, split.seed, split.at_most
        )
    }
    return [
        [
            replace(clip, split=part)
            for clip in clips
            if (part := dealt.get(f"{number} {clip.clip_id}", clip.split == "test" and "test"))
        ]
        for number, clips in enumerate(corpora)
    ]


def _roles(data: DataConfig) -> dict[AudioPath, dict[str, None]]:
    """Return what each manifest is given for, all of which are there."""
    roles: dict[AudioPath, dict[str, None]] = {}
    for key, names in data.manifests().items():
        for name in names:
            path = place(name)
            if isinstance(path, Path):
                path = path.expanduser().resolve()
            if not path.is_file():
                raise InputError(
                    f"data.{key}={name}: no such manifest; check the path, relative ones start "
                    "where you are"
                )
            roles.setdefault(path, {})[key] = None
    return roles


def _used(clips: list[Clip], split: SplitConfig) -> list[Clip]:
    """Return the rows that have a split, or all where none has or folds are dealt instead."""
    if split.name.endswith("_folds") or all(clip.split is None for clip in clips):
        return clips
    return [clip for clip in clips if clip.split is not None]


def _divided(clips: list[Clip], split: SplitConfig, notes: list[str]) -> list[Clip]:
    """Return the clips of one manifest with a split each."""
    if split.name == "source_folds":
        return split_by_fold(clips, split.fold, split.folds, split.seed)
    if split.name == "decoder_folds":
        after = (split.fold + 1) % split.folds
        return split_by_decoder(clips, after, split.fold, split.folds, split.seed, split.at_most)
    if all(clip.split is None for clip in clips):
        return assign_splits(clips)
    before = opened(clips)
    if all(clip.split is not None for clip in before):
        return clips
    after = carve_validation(before, split.validation_share, split.seed)
    notes.append(carved_note(before, after))
    return after


def _sound(clips: list[Clip], path: AudioPath, data: DataConfig, left_out: list[str]) -> list[Clip]:
    """Return those of the clips of a manifest whose audio is sound; the rest is told.

    What is in a shard was decoded when that was written, and is not again: of a corpus that takes
    a tar to hold it, that would be hours before the first step.
    """
    if all(isinstance(clip.path, Place) and clip.path.member for clip in clips):
        return clips
    with ThreadPoolExecutor(8) as pool, progress_bar("checking audio") as progress:
        kept = []
        checks = pool.map(_problem, clips)
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
    return kept


def _problem(clip: Clip) -> str | None:
    path = clip.path
    if isinstance(path, Place):
        return None if path.member else _decode(path, 0, 0, clip.duration, clip.sample_rate)
    stat = path.stat()
    return _decode(path, stat.st_size, stat.st_mtime_ns, clip.duration, clip.sample_rate)


@cache
def _decode(path: AudioPath, size: int, changed: int, duration: float, rate: int) -> str | None:
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
