"""Resolve the corpus of an experiment from the configuration, before any expensive work."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from msgspec.structs import replace

from fakesound.attacks import choose_attacks
from fakesound.attacks.weights import set_weights
from fakesound.config import DataConfig, SplitConfig
from fakesound.config.checks import match_globs
from fakesound.data.manifest import Clip
from fakesound.data.splits import deal_folds, inner_attack, part_of_fold
from fakesound.data.training_data import moved, training_data
from fakesound.errors import InputError
from fakesound.forging.labelled import labelled_clips
from fakesound.forging.plan import ForgeSettings, Job, plan_jobs
from fakesound.forging.sources import (
    check_apart,
    embedded_clips,
    extra_clips,
    folder_clips,
)


@dataclass(frozen=True)
class Corpus:
    """Clips, or jobs that make them, and the attacks to hold out.

    Attributes:
        clips: clips of the given manifests; empty if they are forged.
        jobs: jobs of the forge; empty if manifests are given.
        folder: folder of the forged clips.
        held_out, inner_held_out: names of attacks.
        left_out: errors of unused audio.
        notes: notes on other changes to the clips of manifests.
    """

    clips: tuple[Clip, ...]
    jobs: tuple[Job, ...]
    folder: Path
    held_out: tuple[str, ...]
    inner_held_out: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...] = ()


def resolve_corpus(data: DataConfig, split: SplitConfig) -> Corpus:
    """Return the corpus of an experiment.

    Raises:
        InputError: naming the key, file or attack, and the fix.
    """
    if data.manifests():
        clips, left_out, notes = labelled_clips(data, split)
        names = sorted({clip.attack for clip in clips if clip.attack is not None})
        held_out, inner = held_out_attacks(split, names)
        folder = Path(data.prepared)
        return Corpus(tuple(clips), (), folder, held_out, inner, tuple(left_out), tuple(notes))
    folders = {name: folder for name, folder in asdict(data.attack_weights).items() if folder}
    set_weights(folders, "data.attack_weights")
    attacks = choose_attacks(data.attacks, "data.attacks")
    held_out, inner = held_out_attacks(split, attacks)
    if data.root is None:
        genuine, left_out, name = embedded_clips("data.root=null"), [], "embedded"
    else:
        root = Path(data.root).expanduser()
        check_apart(root, Path(data.prepared), "data.prepared")
        genuine, left_out = folder_clips(
            _genuine_folder(data), data.clip_seconds, data.source, data.on_bad_audio
        )
        digest = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:8]
        name = f"{root.resolve().name}-{digest}"
    extra, extra_left_out = _extra(data)
    if data.extra:
        folders_used = sorted(str(Path(folder).expanduser().resolve()) for folder in data.extra)
        name += f"-with-{hashlib.sha256(os.fsencode('|'.join(folders_used))).hexdigest()[:8]}"
    settings = ForgeSettings(data.sample_rate, data.train_attacks, data.evaluation_attacks)
    complete = {"validation": inner, "test": held_out}
    if split.name == "source_folds":
        # donors differ from those of other splits, so the clips need a separate folder
        name = f"{name}-{split.folds}-folds-{split.seed}"
        planned = _folds(genuine, split)
    else:
        planned = [genuine]
    # extras are planned separately, so that the other jobs do not depend on them
    jobs = [
        job for clips in (*planned, extra) for job in plan_jobs(clips, settings, attacks, complete)
    ]
    left_out = [*left_out, *extra_left_out]
    return Corpus((), tuple(jobs), Path(data.prepared) / name, held_out, inner, tuple(left_out))


def _genuine_folder(data: DataConfig) -> Path:
    if data.root is None:
        return training_data("embedded", "data.root=null")
    return Path(moved(data.root)).expanduser()


def _extra(data: DataConfig) -> tuple[list[Clip], list[str]]:
    """Return the clips of the folders in ``data.extra``, which must not overlap, and the errors."""
    folders = [_genuine_folder(data)]
    clips: list[Clip] = []
    left_out: list[str] = []
    for path in data.extra:
        folder = Path(moved(path)).expanduser()
        for other in folders:
            inner, outer = folder.resolve(), other.resolve()
            if inner.is_relative_to(outer) or outer.is_relative_to(inner):
                raise InputError(
                    f"data.extra={folder}: shares recordings with {other}, which is also used; "
                    "name separate folders"
                )
            if inner.name == outer.name and other is not folders[0]:
                raise InputError(
                    f"data.extra={folder}: has the same name as {other}; rename one of them"
                )
        folders.append(folder)
        check_apart(folder, Path(data.prepared), "data.prepared")
        recordings, problems = extra_clips(
            folder, data.clip_seconds, data.source, data.on_bad_audio
        )
        clips += recordings
        left_out += problems
    return clips, left_out


def _folds(genuine: Sequence[Clip], split: SplitConfig) -> list[list[Clip]]:
    """Return the recordings of each fold, with their split.

    Folds are planned separately, so that donors come from the same fold. Then a donor is never in
    another split, whichever fold is tested, and all runs share the forged clips.
    """
    folds: list[list[Clip]] = [[] for _ in range(split.folds)]
    fold_of_clip = deal_folds(genuine, split.folds, split.seed)
    for clip, index in zip(genuine, fold_of_clip, strict=True):
        part = part_of_fold(int(index), split.fold, split.folds)
        folds[index].append(replace(clip, split=part))
    return folds


def held_out_attacks(
    split: SplitConfig, attacks: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the held-out attacks, and of those held out for model selection.

    Raises:
        InputError: if a name or glob matches none of ``attacks``, or none is left for training.
    """
    if split.name == "official":
        return (), ()
    attacks, patterns = sorted(attacks), split.patterns("held_out")
    if split.name == "leave_one_family_out":
        known = dict.fromkeys(name.split("/")[0] for name in attacks)
        for family in set(patterns) - known.keys():
            raise InputError(
                f"split.held_out={family}: no such family; there are {', '.join(known)}"
            )
        held_out = [name for name in attacks if name.split("/")[0] in patterns]
    else:
        held_out = match_globs("split.held_out", patterns, attacks, "attack")
    if split.inner_held_out == "auto":
        inner = [inner_attack(held_out, attacks)] if held_out else []
    else:
        patterns = split.patterns("inner_held_out")
        inner = match_globs("split.inner_held_out", patterns, attacks, "attack")
    if not set(attacks) - set(held_out) - set(inner):
        raise InputError("split.held_out: no attack is left for training; hold out fewer")
    return tuple(held_out), tuple(inner)
