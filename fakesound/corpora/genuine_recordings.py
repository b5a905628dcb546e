"""Free genuine recordings in public repositories and Debian packages, as a training corpus.

`genuine_recordings.jsonl` lists the sources: pointers, licences and exclusions, no audio. What
would teach a detector the wrong thing is left out: speech synthesis, recordings whose pauses a
noise gate set to digital silence, packages that the embedded corpus draws on.
"""

import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float32

from fakesound.clip import Clip
from fakesound.corpora import debian
from fakesound.corpora.git_audio import clone_commit, decode, find_clone, open_clone
from fakesound.data.audio import stream_info
from fakesound.data.manifest import read_manifest, write_manifest
from fakesound.errors import InputError
from fakesound.files import write_whole

Audio = Float32[np.ndarray, " sample"]
Read = Callable[[str], bytes]

NAME = "genuine_recordings"
# files of a package that are taken; a longer list would change the corpus
TAKEN = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64", ".gsm")
RATE = 16_000
# seconds of a clip at most
CLIP = 10.0
# seconds kept of one recording: many short looks are worth more than a few long ones
RECORDING = 120.0
# peak of what is no more than silence
QUIETEST = 0.01
# root mean square of 20 ms that no microphone gives, relative to full scale
DIGITAL_SILENCE = 10 ** (-85 / 20)
STEP = RATE // 50
# share of such steps between the first and the last sound that gives a noise gate away
GATED = 0.05
# folders of the corpus, by whether a source is held out
PARTS = ("train", "heldout")
# changes when clips would: what is there of an older one is made again
VERSION = 1


@dataclass(frozen=True)
class Source:
    """One repository or package, and what is taken of it.

    Attributes:
        via: ``git`` (a repository of GitHub) or ``debian`` (a package).
        name: OWNER/NAME, or the package's.
        version: commit, or the version of the package that was looked at.
        globs: files that are taken.
        exclude: files of those that are not.
        kind: ``speech``, ``music`` or ``sound``.
        license: licence of the audio.
        license_where: file or place that states it.
        hours: length taken at most.
        shortest: seconds of the shortest recording.
        speaker: pattern whose first group, in a file's path, names what must not cross a split;
            empty: each recording is a source of its own.
        heldout: whether it is for measuring false alarms, never for training.
    """

    via: str
    name: str
    version: str
    globs: tuple[str, ...]
    kind: str
    license: str
    license_where: str
    exclude: tuple[str, ...] = ()
    hours: float = 1.5
    shortest: float = 1.0
    speaker: str = ""
    heldout: bool = False

    @property
    def slug(self) -> str:
        """Name of its folder and domain: of one source, or of one kind where it gives several."""
        return f"{self.name.replace('/', '+')}+{self.kind}"

    def takes(self, path: str) -> bool:
        """Return whether the file at ``path`` is taken."""
        suffix = path.lower().endswith(TAKEN)
        return suffix and _matches(path, self.globs) and not _matches(path, self.exclude)


@dataclass
class Taken:
    """Result of one source.

    Attributes:
        clips: its clips.
        left_out: number of recordings left out, by the reason.
    """

    clips: list[Clip]
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def hours(self) -> float:
        """Length of all clips."""
        return sum(clip.duration for clip in self.clips) / 3600


def read_sources(patterns: Sequence[str] = ("*",)) -> list[Source]:
    """Return the sources of the package whose names match one of ``patterns``.

    Raises:
        InputError: if a pattern matches none.
    """
    text = (files("fakesound") / "corpora" / f"{NAME}.jsonl").read_text(encoding="utf-8")
    sources = [_source(json.loads(line)) for line in text.splitlines()]
    for pattern in patterns:
        if not any(fnmatchcase(source.name, pattern) for source in sources):
            raise InputError(
                f"sources={pattern}: no such source; corpus={NAME} sources=list shows all"
            )
    return [s for s in sources if any(fnmatchcase(s.name, pattern) for pattern in patterns)]


def prepare_recordings(
    out: Path,
    sources: Sequence[Source],
    mirror: Path | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[dict[Source, Taken], list[str]]:
    """Return the clips of each source, and a line for each that cannot be fetched.

    Clips for training go to ``out/train``, those for measuring false alarms to ``out/heldout``;
    each gets a manifest of the clips of ``sources``. Sources that are there already are kept.

    Args:
        out: folder of the corpus.
        sources: what to take.
        mirror: folder of clones and .deb files.
        progress: called with the number of sources done, and of all.
    """
    taken: dict[Source, Taken] = {}
    problems = []
    for done, source in enumerate(sources):
        progress(done, len(sources))
        try:
            taken[source] = prepare_source(source, out / _part(source), mirror)
        except InputError as error:
            problems.append(str(error))
    progress(len(sources), len(sources))
    for part in PARTS:
        clips = [c for source, found in taken.items() if _part(source) == part for c in found.clips]
        if clips:
            write_manifest(out / part / "manifest.jsonl", clips)
    licenses = [f"{s.name} ({s.kind}): {s.license}; see {s.license_where}" for s in taken]
    write_whole(out / "licenses.txt", "".join(f"{line}\n" for line in licenses))
    return taken, problems


def _part(source: Source) -> str:
    return PARTS[source.heldout]


def prepare_source(source: Source, out: Path, mirror: Path | None) -> Taken:
    """Write the clips of ``source`` to a folder under ``out``; read them if they are there already.

    Clips are 16 kHz mono FLAC of at most 10 s. The folder is complete or absent.

    Args:
        source: the repository or package.
        out: folder to write to.
        mirror: folder of clones and .deb files to read; what it lacks is downloaded, and removed
            after use.

    Raises:
        InputError: if the source cannot be fetched.
    """
    folder = out / source.slug
    record = folder / "source.json"
    settings = json.loads(json.dumps(asdict(source) | {"made": VERSION}))
    if record.is_file():
        found = json.loads(record.read_text(encoding="utf-8"))
        if found["settings"] == settings:
            return Taken(read_manifest(folder / "manifest.jsonl"), found["left_out"])
    partial = out / f".{source.slug}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with _opened(source, partial / "download", mirror) as (names, read):
            taken = _take(source, names, read, partial)
        if not taken.clips:
            raise InputError(f"{source.name}: gives no clips ({_counts(taken.left_out)})")
        shutil.rmtree(partial / "download", ignore_errors=True)
        write_manifest(partial / "manifest.jsonl", taken.clips)
        found = {"settings": settings, "left_out": taken.left_out}
        write_whole(partial / "source.json", json.dumps(found) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Taken(read_manifest(folder / "manifest.jsonl"), taken.left_out)


def cut(audio: Audio, rate: int) -> list[Audio]:
    """Return ``audio`` in equal pieces of at most `CLIP` seconds."""
    count = max(1, -(-len(audio) // round(CLIP * rate)))
    return [piece for piece in np.array_split(audio, count) if len(piece)]


def trimmed(audio: Audio) -> Audio:
    """Return ``audio`` (16 kHz) without digital silence at either end, by steps of 20 ms."""
    sounding = np.flatnonzero(_levels(audio) > DIGITAL_SILENCE)
    if not len(sounding):
        return audio[:0]
    return audio[sounding[0] * STEP : (sounding[-1] + 1) * STEP]


def gated(audio: Audio) -> bool:
    """Return whether pauses of ``audio`` (16 kHz, `trimmed`) are digital silence."""
    levels = _levels(audio)
    return bool(len(levels)) and float(np.mean(levels <= DIGITAL_SILENCE)) > GATED


def _levels(audio: Audio) -> Float32[np.ndarray, " step"]:
    steps = audio[: len(audio) // STEP * STEP].reshape(-1, STEP)
    return np.sqrt(np.mean(np.square(steps), axis=1))


def _take(source: Source, names: Iterable[str], read: Read, folder: Path) -> Taken:
    """Write clips of the files ``names`` to ``folder``, in an order drawn by hash, to the limit."""
    taken = Taken([])
    seen: set[str] = set()
    seconds = 0.0

    def leave(reason: str) -> None:
        taken.left_out[reason] = taken.left_out.get(reason, 0) + 1

    for name in sorted(names, key=_digest):
        if seconds >= source.hours * 3600:
            break
        try:
            audio = _recording(read(name), name, source.shortest)
        except InputError:
            leave("unreadable")
            continue
        digest = hashlib.sha256(audio.tobytes()).hexdigest()
        if len(audio) < source.shortest * RATE:
            leave("short")
        elif np.abs(audio).max() <= QUIETEST:
            leave("silent")
        elif gated(audio):
            leave("gated")
        elif digest in seen:
            leave("repeated")
        else:
            seen.add(digest)
            for number, piece in enumerate(cut(audio, RATE)):
                taken.clips.append(_write(source, name, number, piece, folder))
                seconds += len(piece) / RATE
    return taken


def _recording(content: bytes, name: str, shortest: float) -> Audio:
    """Return the start of a recording, `trimmed`; nothing if its header says that it is short."""
    # most files of some sources are single words, not worth decoding; GSM has no header
    if not name.endswith(".gsm") and stream_info(io.BytesIO(content), name).duration < shortest:
        return np.zeros(0, np.float32)
    return trimmed(decode(content, name, RATE)[: round(RECORDING * RATE)])


def _write(source: Source, name: str, number: int, piece: Audio, folder: Path) -> Clip:
    clip_id = f"{_digest(f'{source.slug}/{name}')[:14]}-{number}"
    path = folder / f"{clip_id}.flac"
    soundfile.write(path, piece, RATE, subtype="PCM_16")
    speaker = re.search(source.speaker, name) if source.speaker else None
    return Clip(
        clip_id=clip_id,
        location=str(path),
        source_id=f"{source.name}:{speaker[1] if speaker else name}",
        label="genuine",
        attack=None,
        regions=(),
        duration=len(piece) / RATE,
        sample_rate=RATE,
        corpus=NAME,
        split="test" if source.heldout else None,
        domain=source.slug,
        license=source.license,
        extra={"origin": f"{source.name} ({name})", "kind": source.kind},
    )


@contextmanager
def _opened(source: Source, scratch: Path, mirror: Path | None) -> Iterator[tuple[list[str], Read]]:
    """Yield the names of the files of ``source`` that are taken, and what reads one."""
    if source.via == "git":
        folder = find_clone(mirror, source.name) if mirror else None
        if folder is None:
            folder = clone_commit(source.name, source.version, scratch)
        with open_clone(folder, source.version) as clone:
            yield [path for path in clone.paths if source.takes(path)], clone.read
        return
    package = debian.find_package(mirror, source.name) if mirror else None
    if package is None:
        package = debian.download_package(source.name, scratch)
    names = debian.unpack_package(package, source.takes, scratch)
    yield names, lambda name: debian.unpacked(scratch, name).read_bytes()


def _source(row: dict[str, Any]) -> Source:
    row |= {key: tuple(row[key]) for key in ("globs", "exclude") if key in row}
    return Source(**row)


def _matches(path: str, globs: Sequence[str]) -> bool:
    return any(_glob(glob).fullmatch(path) for glob in globs)


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    """Return the pattern of a path: ``**`` any folders, ``*`` anything within one name."""
    parts = re.split(r"(\*\*/|\*\*|\*)", pattern)
    meaning = {"**/": r"(?:.*/)?", "**": ".*", "*": "[^/]*"}
    return re.compile("".join(meaning.get(part, re.escape(part)) for part in parts))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _counts(left_out: dict[str, int]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in left_out.items()) or "no files"
