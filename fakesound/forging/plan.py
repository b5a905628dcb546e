"""Plan the jobs of the forge: the laundered twin of every genuine clip, and fakes of it."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fakesound.attacks import ATTACKS, BUILT_IN
from fakesound.data.manifest import Clip

# part of every clip id: raise it when an attack or the laundering changes
VERSION = 3


@dataclass(frozen=True)
class ForgeSettings:
    """Settings of a forge.

    Attributes:
        sample_rate: sample rate of all written audio, in Hz.
        train_attacks: number of fakes per training clip, with attacks in rotation. They are fake
            throughout, or in many gaps; training cuts regions from them on the fly.
        evaluation_attacks: number of fakes per validation and test clip, with attacks in rotation
            and fixed regions.
        seed: seed of all draws.
        fixed_training: whether training fakes have fixed regions too, for other training programs.
    """

    sample_rate: int = 16_000
    train_attacks: int = 4
    evaluation_attacks: int = 2
    seed: int = 0
    fixed_training: bool = False


@dataclass(frozen=True)
class Job:
    """One file to write: the twin of ``genuine`` (``attack`` None) or a fake of it.

    Attributes:
        clip_id: id of the result, and name of its file.
        genuine: original recording.
        twin_id: laundered genuine clip, which the fake equals outside its regions.
        attack: name of the attack; None for the twin itself.
        fixed: whether the fake has fixed regions; otherwise it is fake throughout.
        donor_id, donor_source: twin and source of the donor, for attacks that need one.
        seed: seed of all draws of the job.
    """

    clip_id: str
    genuine: Clip
    twin_id: str
    attack: str | None
    fixed: bool
    donor_id: str | None
    donor_source: str | None
    seed: int


def plan_jobs(
    genuine: Sequence[Clip],
    settings: ForgeSettings,
    attacks: Sequence[str] = BUILT_IN,
    complete: Mapping[str, Collection[str]] | None = None,
) -> list[Job]:
    """Return the jobs for ``genuine`` clips, which all have a split; twins come first.

    Validation and test clips get ``settings.evaluation_attacks`` attacks in rotation, and all
    attacks that ``complete`` lists for their split. A job depends only on its clip, attack and
    seed, so that other runs can reuse its result.
    """
    twins = [_job(clip, None, settings, None) for clip in genuine]
    fakes: list[Job] = []
    for split in ("train", "validation", "test"):
        clips = sorted((c for c in genuine if c.split == split), key=lambda c: c.clip_id)
        per_clip = settings.train_attacks if split == "train" else settings.evaluation_attacks
        rotation = _rotation(sorted(attacks), len(clips), per_clip, settings.seed)
        for clip, names in zip(clips, rotation, strict=True):
            names_of_clip = {*names, *(complete or {}).get(split, ())}
            fakes += [_job(clip, name, settings, clips) for name in sorted(names_of_clip)]
    return twins + fakes


def _rotation(names: list[str], clips: int, per_clip: int, seed: int) -> list[list[str]]:
    """Return ``per_clip`` names for each clip, every name about equally often."""
    rng = np.random.default_rng([seed, 1])
    rotation: list[list[str]] = []
    remaining: list[str] = []
    for _ in range(clips):
        chosen: list[str] = []
        while len(chosen) < min(per_clip, len(names)):
            if not remaining:
                remaining = [names[i] for i in rng.permutation(len(names))]
            following = next((name for name in remaining if name not in chosen), None)
            if following is None:
                remaining = []
                continue
            remaining.remove(following)
            chosen.append(following)
        rotation.append(chosen)
    return rotation


def _job(
    clip: Clip, attack: str | None, settings: ForgeSettings, peers: Sequence[Clip] | None
) -> Job:
    twin_id = _digest(clip.clip_id, settings)
    if attack is None:
        return Job(twin_id, clip, twin_id, None, True, None, None, _number(twin_id))
    fixed = clip.split != "train" or settings.fixed_training
    clip_id = _digest(f"{clip.clip_id}|{attack}|{fixed}", settings)
    donor = None
    if ATTACKS[attack].needs_donor and peers is not None:
        others = [peer for peer in peers if peer.source_id != clip.source_id]
        donor = others[_number(clip_id) % len(others)] if others else None
    return Job(
        clip_id=clip_id,
        genuine=clip,
        twin_id=twin_id,
        attack=attack,
        fixed=fixed,
        donor_id=_digest(donor.clip_id, settings) if donor else None,
        donor_source=donor.source_id if donor else None,
        seed=_number(clip_id),
    )


def _digest(text: str, settings: ForgeSettings) -> str:
    key = f"{VERSION}|{settings.sample_rate}|{settings.seed}|{text}"
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def _number(clip_id: str) -> int:
    return int(clip_id, 16)
