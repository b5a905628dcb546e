"""Collect the clips of repositories, at one rate and in one folder for each repository."""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float32
from msgspec.structs import asdict, replace

from fakesound.clip import Clip
from fakesound.corpora.git_audio import GITHUB, Clone, clone_commit, decode, find_clone, open_clone
from fakesound.corpora.public_generators.alignment import align
from fakesound.corpora.public_generators.recipes import Recipe, identity
from fakesound.data.audio import read_pcm, write_wav
from fakesound.data.manifest import read_manifest, write_manifest
from fakesound.data.samples import from_pcm, to_pcm
from fakesound.errors import InputError
from fakesound.files import new_folder, write_whole
from fakesound.processes import process_pool
from fakesound.timeline import Region

Audio = Float32[np.ndarray, " sample"]

RATE = 16_000
# length of a clip in seconds
SHORTEST, LONGEST = 0.7, 10.0
# no recipe needs a larger file, and larger files are most of a repository
LARGEST = "4m"
QUIETEST = 1e-3
# allowed difference in length between a fake and its twin: relative, and in seconds
LENGTH_SHARE, LENGTH_SECONDS = 0.02, 0.02
# raise it when the clips change, so that clips of older versions are made again
VERSION = 1


@dataclass(frozen=True)
class RepositoryClips:
    """The clips of one repository.

    Attributes:
        repository: OWNER/NAME.
        clips: clips of the usable files.
        left_out: errors of the other files, one line each.
        missing: error of fetching the repository; None if it was fetched.
    """

    repository: str
    clips: tuple[Clip, ...] = ()
    left_out: tuple[str, ...] = ()
    missing: str | None = None


def fetch(
    recipes: Sequence[Recipe],
    out: Path,
    mirror: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    workers: int | None = None,
) -> list[RepositoryClips]:
    """Collect every repository, several at once, and return the results.

    Args:
        recipes: recipes of files in any number of repositories.
        out: folder of the corpus.
        mirror: folder of clones to read.
        progress: function called with the number of recipes done and of all.
        workers: number of processes; None: one for each core.
    """
    groups: defaultdict[str, list[Recipe]] = defaultdict(list)
    for recipe in recipes:
        groups[recipe.repository].append(recipe)
    # largest first, so that no process works on it alone at the end
    names = sorted(groups, key=lambda name: (-len(groups[name]), name))
    results: dict[str, RepositoryClips] = {}

    def add(name: str, collected: RepositoryClips) -> None:
        results[name] = collected
        progress(sum(len(groups[name]) for name in results), len(recipes))

    workers = min(workers or os.cpu_count() or 1, len(names))
    if workers < 2:
        for name in names:
            add(name, collect(name, groups[name], out, mirror))
    else:
        with process_pool(workers) as pool:
            jobs = {pool.submit(collect, n, groups[n], out, mirror): n for n in names}
            for job in as_completed(jobs):
                add(jobs[job], job.result())
    return [results[name] for name in sorted(groups)]


def collect(
    repository: str,
    recipes: Sequence[Recipe],
    out: Path,
    mirror: Path | None = None,
    host: str = GITHUB,
) -> RepositoryClips:
    """Write the clips of one repository to a folder under ``out``, or read those written before.

    Clips are 16-bit mono WAV at 16 kHz of at most 10 s. Longer audio is cut, a fake and its twin at
    the same place. The folder is complete or absent.

    Args:
        repository: OWNER/NAME.
        recipes: recipes of its files.
        out: folder of the corpus.
        mirror: folder of clones to read; missing ones are fetched, and removed after use.
        host: URL that repositories are fetched from.
    """
    folder = out / repository.replace("/", "+")
    record = folder / "repository.json"
    settings = _digest(recipes)
    if record.is_file():
        content = json.loads(record.read_text(encoding="utf-8"))
        if content["settings"] == settings:
            clips = read_manifest(folder / "manifest.jsonl") if content["clips"] else []
            return RepositoryClips(repository, tuple(clips), tuple(content["left_out"]))
    try:
        with new_folder(folder) as partial:
            with (
                TemporaryDirectory(dir=partial) as scratch,
                _open_clones(repository, recipes, Path(scratch), mirror, host) as clones,
            ):
                clips, left_out = _write_clips(recipes, clones, partial)
            if clips:
                write_manifest(partial / "manifest.jsonl", clips)
            content = {"settings": settings, "clips": len(clips), "left_out": left_out}
            write_whole(partial / "repository.json", json.dumps(content) + "\n")
    except InputError as error:
        return RepositoryClips(repository, missing=str(error))
    moved = read_manifest(folder / "manifest.jsonl") if clips else []
    return RepositoryClips(repository, tuple(moved), tuple(left_out))


@contextmanager
def _open_clones(
    repository: str, recipes: Sequence[Recipe], folder: Path, mirror: Path | None, host: str
) -> Iterator[dict[str, Clone]]:
    """Yield the open clone of each commit; commits that the mirror lacks are fetched."""
    local = find_clone(mirror, repository) if mirror is not None else None
    with ExitStack() as stack:
        clones = {}
        for commit in sorted({recipe.commit for recipe in recipes}):
            if local is not None:
                with suppress(InputError):
                    clones[commit] = stack.enter_context(open_clone(local, commit))
            if commit not in clones:
                fetched = clone_commit(repository, commit, folder, host, LARGEST)
                clones[commit] = stack.enter_context(open_clone(fetched, commit))
        yield clones


def _write_clips(
    recipes: Sequence[Recipe], clones: dict[str, Clone], folder: Path
) -> tuple[list[Clip], list[str]]:
    """Write the clips of all usable files to ``folder``; return them and the errors."""
    clips: dict[str, Clip] = {}
    left_out: list[str] = []
    for recipe in recipes:
        where = f"{recipe.repository}/{recipe.path}"
        try:
            audio = decode(clones[recipe.commit].read(recipe.path), recipe.path, RATE)
        except InputError as error:
            left_out.append(f"{where}: {error}")
            continue
        if len(audio) < SHORTEST * RATE or np.abs(audio).max() < QUIETEST:
            left_out.append(f"{where}: is shorter than {SHORTEST} s or silent")
            continue
        start = _start(recipe, len(audio))
        audio = audio[start : start + round(LONGEST * RATE)]
        audio = audio * np.float32(0.999 / max(np.abs(audio).max(), 0.999))
        clip = _clip(recipe, folder / f"{recipe.clip_id}.wav", start / RATE, len(audio) / RATE)
        if clip is None:
            left_out.append(f"{where}: the part that is kept has no fake region")
            continue
        write_wav(Path(clip.location), to_pcm(audio), RATE)
        clips[clip.clip_id] = clip
    return [_with_twin(clip, clips) for clip in clips.values()], left_out


def _start(recipe: Recipe, samples: int) -> int:
    """Return the first sample of a clip; the same for a recording and its fakes."""
    room = samples - round(LONGEST * RATE)
    if room <= 0:
        return 0
    if recipe.regions:
        middle = sum(recipe.regions[0]) / 2
        return int(min(max(middle - LONGEST / 2, 0) * RATE, room))
    return int(int(identity(recipe.repository, recipe.source_id), 16) % 1000 / 1000 * room)


def _clip(recipe: Recipe, path: Path, start: float, duration: float) -> Clip | None:
    regions: tuple[Region, ...] = ()
    if recipe.label == "fake":
        spans = recipe.regions or ((start, start + duration),)
        ends = [(max(a - start, 0.0), min(b - start, duration)) for a, b in spans]
        regions = tuple(Region(round(a, 6), round(b, 6)) for a, b in ends if b > a)
        if not regions:
            return None
    extra = {
        "kind": recipe.kind,
        "repository": recipe.repository,
        "file": recipe.path,
        "commit": recipe.commit,
        "decoder_model": recipe.decoder_model,
        "decoder_also": list(recipe.decoder_also),
        "year": recipe.year,
        "content_key": recipe.content_key,
        "split_group": recipe.split_group,
    }
    return Clip(
        clip_id=recipe.clip_id,
        location=str(path),
        source_id=recipe.source_id,
        label=recipe.label,
        attack=recipe.attack,
        regions=regions,
        duration=round(duration, 6),
        sample_rate=RATE,
        corpus="public_generators",
        domain=recipe.domain,
        license=recipe.license,
        decoder=recipe.decoder,
        twin_id=recipe.twin and identity(recipe.repository, recipe.twin),
        extra={key: value for key, value in extra.items() if value},
    )


def _with_twin(clip: Clip, clips: dict[str, Clip]) -> Clip:
    """Return ``clip`` with its delay, or without its twin if that is not the same recording."""
    twin = clips.get(clip.twin_id or "")
    if clip.twin_id is None:
        return clip
    alone = replace(clip, twin_id=None)
    if twin is None or twin.is_fake or twin.source_id != clip.source_id:
        return alone
    if abs(twin.duration - clip.duration) > LENGTH_SHARE * clip.duration + LENGTH_SECONDS:
        return alone
    fake, genuine = (from_pcm(read_pcm(part.location, 0, -1)) for part in (clip, twin))
    alignment = align(fake, genuine, RATE)
    if alignment is None:
        return alone
    if not alignment.lag:
        return clip
    return replace(clip, extra={**clip.extra, "twin_lag": round(alignment.lag, 6)})


def _digest(recipes: Sequence[Recipe]) -> str:
    text = json.dumps([VERSION, [asdict(recipe) for recipe in recipes]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
