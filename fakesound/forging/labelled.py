"""Read the labelled clips of manifests, check their audio and assign their splits."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from msgspec.structs import replace

from fakesound.clip import Clip
from fakesound.config import DataConfig, SplitConfig
from fakesound.data.audio import AudioInfo, decode
from fakesound.data.decoder_folds import split_by_decoder
from fakesound.data.location import Location, file_state, parse_location
from fakesound.data.manifest import read_manifest
from fakesound.data.merge import (
    carved_note,
    merge_manifests,
    take_parts,
    without_lost_twins,
    without_train_split,
)
from fakesound.data.shards import audio_error
from fakesound.data.splits import carve_validation, split_by_fold
from fakesound.errors import InputError
from fakesound.forging.sources import assign_splits
from fakesound.progress import progress_bar


def labelled_clips(data: DataConfig, split: SplitConfig) -> tuple[list[Clip], list[str], list[str]]:
    """Return the clips of the manifests in ``data`` with their splits, errors and notes.

    The errors are those of unused audio, the notes name other changes to the clips.

    Raises:
        InputError: naming the key, manifest, clip or source, and the fix.
    """
    roles = _roles(data)
    left_out: list[str] = []
    notes: list[str] = []
    if data.manifest is not None:
        (path,) = roles
        clips = _with_valid_audio(_used(read_manifest(path), split), path, data, left_out)
        return without_lost_twins(_divided(clips, split, notes)), left_out, notes
    if split.name == "source_folds":
        raise InputError(
            "split=source_folds: divides one corpus into folds; give it as data.manifest, not as "
            "data.train and data.test"
        )
    corpora = []
    for path, parts in roles.items():
        clips = read_manifest(path)
        if len(parts) > 1 and all(clip.split is None for clip in clips):
            clips = assign_splits(clips)
        clips = _with_valid_audio(take_parts(clips, parts, str(path)), path, data, left_out)
        opens = "train" in parts and not data.validation and split.name != "decoder_folds"
        corpora.append(without_train_split(clips) if opens else clips)
    if split.name == "decoder_folds":
        corpora = _validated_by_decoder(corpora, split)
    pooled, notes = merge_manifests(
        corpora, data.shared_sources == "drop", split.validation_share, split.seed
    )
    return pooled, left_out, notes


def _validated_by_decoder(corpora: list[list[Clip]], split: SplitConfig) -> list[list[Clip]]:
    """Return ``corpora`` with their training and validation clips assigned by decoder."""
    pairs = [
        (clip, number)
        for number, clips in enumerate(corpora)
        for clip in clips
        if clip.split != "test"
    ]
    # ids are only unique within a corpus
    named = [replace(clip, clip_id=f"{number} {clip.clip_id}") for clip, number in pairs]
    splits = {
        clip.clip_id: clip.split
        for clip in split_by_decoder(
            named, split.fold, None, split.folds, split.seed, split.at_most
        )
    }
    return [
        [
            replace(clip, split=part)
            for clip in clips
            if (part := splits.get(f"{number} {clip.clip_id}", clip.split == "test" and "test"))
        ]
        for number, clips in enumerate(corpora)
    ]


def _roles(data: DataConfig) -> dict[Location, dict[str, None]]:
    """Return the keys that name each manifest.

    Raises:
        InputError: for a manifest that does not exist.
    """
    roles: dict[Location, dict[str, None]] = {}
    for key, names in data.manifests().items():
        for name in names:
            path = parse_location(name)
            if path.local is not None:
                path = Location(str(path.local.expanduser().resolve()))
            if not path.is_file():
                raise InputError(
                    f"data.{key}={name}: no such manifest; check the path, which is relative to "
                    "the working directory"
                )
            roles.setdefault(path, {})[key] = None
    return roles


def _used(clips: list[Clip], split: SplitConfig) -> list[Clip]:
    """Return the rows with a split; all rows if none has one, or if folds replace the splits."""
    if split.name.endswith("_folds") or all(clip.split is None for clip in clips):
        return clips
    return [clip for clip in clips if clip.split is not None]


def _divided(clips: list[Clip], split: SplitConfig, notes: list[str]) -> list[Clip]:
    """Return the clips of one manifest, each with a split."""
    if split.name == "source_folds":
        return split_by_fold(clips, split.fold, split.folds, split.seed)
    if split.name == "decoder_folds":
        after = (split.fold + 1) % split.folds
        return split_by_decoder(clips, after, split.fold, split.folds, split.seed, split.at_most)
    if all(clip.split is None for clip in clips):
        return assign_splits(clips)
    before = without_train_split(clips)
    if all(clip.split is not None for clip in before):
        return clips
    carved = carve_validation(before, split.validation_share, split.seed)
    notes.append(carved_note(before, carved))
    return carved


def _with_valid_audio(
    clips: list[Clip], path: Location, data: DataConfig, left_out: list[str]
) -> list[Clip]:
    """Return the clips of a manifest whose audio is valid; the errors go to ``left_out``.

    Audio in shards was decoded when they were written and is not decoded again, which would take
    hours for a large corpus.
    """
    if all(parse_location(clip.location).member for clip in clips):
        return clips
    with ThreadPoolExecutor(8) as pool, progress_bar("checking audio") as progress:
        valid = []
        checks = pool.map(_audio_error, clips)
        for number, (clip, problem) in enumerate(zip(clips, checks, strict=True), start=1):
            if problem is None:
                valid.append(clip)
            elif data.on_bad_audio == "error":
                pool.shutdown(cancel_futures=True)
                raise InputError(f"{path} clip {clip.clip_id}: {problem}")
            else:
                left_out.append(problem)
            if number % 50 == 0 or number == len(clips):
                progress(number, len(clips))
    return valid


def _audio_error(clip: Clip) -> str | None:
    if parse_location(clip.location).member:
        return None
    error = audio_error(clip, lambda location: _decoded(location, file_state(location)))
    return error and f"{error}, or set data.on_bad_audio=skip"


@cache
def _decoded(location: str, state: tuple[int, int] | None) -> AudioInfo:
    del state  # only a key of the cache, which serves the later runs of a sweep
    return decode(location)
