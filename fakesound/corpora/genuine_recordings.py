"""A training corpus of free genuine recordings from public repositories and Debian packages.

`genuine_recordings.jsonl` lists the sources: pointers, licences and exclusions, no audio. Material
that would mislead a detector is excluded: synthetic speech, recordings whose pauses a noise gate
set to digital silence, and packages that the embedded corpus uses.
"""

import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float32

from fakesound.clip import Clip
from fakesound.config.checks import match_globs
from fakesound.corpora import debian
from fakesound.corpora.git_audio import clone_commit, decode, find_clone, open_clone
from fakesound.data.audio import stream_info
from fakesound.data.manifest import read_manifest, write_manifest
from fakesound.errors import InputError
from fakesound.files import new_folder, write_whole

Audio = Float32[np.ndarray, " sample"]
Read = Callable[[str], bytes]

NAME = "genuine_recordings"
# suffixes of the files that are used; a longer list would change the corpus
SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64", ".gsm"),
)
RATE = 16_000
# longest clip in seconds
CLIP = 10.0
# longest part of a recording in seconds: many short recordings are worth more than a few long ones
RECORDING = 120.0
# recordings with a lower peak count as silent
QUIETEST = 0.01
# root mean square of 20 ms, relative to full scale; no microphone gives a lower one
DIGITAL_SILENCE = 10 ** (-85 / 20)
STEP = RATE // 50
# recordings with a larger share of digitally silent steps went through a noise gate
GATED = 0.05
# folders of the corpus, by whether a source is held out
PARTS = ("train", "heldout")
# raise it when the clips change, so that clips of older versions are made again
VERSION = 1


@dataclass(frozen=True)
class Source:
    """One repository or package, and the files that are used.

    Attributes:
        via: ``git`` (a GitHub repository) or ``debian`` (a package).
        name: OWNER/NAME, or the name of the package.
        version: commit, or the version of the package that was reviewed.
        globs: patterns of the files that are used.
        exclude: patterns of files among them that are not used.
        kind: ``speech``, ``music`` or ``sound``.
        license: licence of the audio.
        license_where: file or place that states the licence.
        hours: maximum length of the source.
        shortest: length of the shortest recording in seconds.
        speaker: regular expression whose first group, in a file's path, names the speaker or
            session; empty if each recording is a source.
        heldout: whether the source only measures false alarms and never trains.
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
        """Name of the folder and domain; a repository may be listed once for each kind."""
        return f"{self.name.replace('/', '+')}+{self.kind}"

    def uses(self, path: str) -> bool:
        """Return whether the file at ``path`` is used."""
        suffix = path.lower().endswith(SUFFIXES)
        return suffix and _matches(path, self.globs) and not _matches(path, self.exclude)


@dataclass
class PreparedSource:
    """Result of one source.

    Attributes:
        clips: clips of the source.
        left_out: number of recordings left out, by reason.
    """

    clips: list[Clip]
    left_out: dict[str, int]

    @property
    def hours(self) -> float:
        """Length of all clips in hours."""
        return sum(clip.duration for clip in self.clips) / 3600


def read_sources(patterns: Sequence[str] = ("*",)) -> list[Source]:
    """Return the sources of the package whose names match one of ``patterns``.

    Raises:
        InputError: if a pattern matches none.
    """
    text = (files("fakesound") / "corpora" / f"{NAME}.jsonl").read_text(encoding="utf-8")
    sources = [_source(json.loads(line)) for line in text.splitlines()]
    hint = f"{NAME} --sources list shows all"
    names = match_globs("sources", patterns, [s.name for s in sources], "source", hint)
    return [source for source in sources if source.name in names]


def prepare_recordings(
    out: Path,
    sources: Sequence[Source],
    mirror: Path | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[dict[Source, PreparedSource], list[str]]:
    """Return the result of each source, and the errors of those that cannot be fetched.

    Clips for training go to ``out/train``, those that measure false alarms to ``out/heldout``; each
    folder gets a manifest of the clips of ``sources``. Sources prepared before are kept.

    Args:
        out: folder of the corpus.
        sources: sources to prepare.
        mirror: folder of clones and .deb files.
        progress: function called with the number of sources done and of all.
    """
    prepared: dict[Source, PreparedSource] = {}
    problems = []
    for done, source in enumerate(sources):
        progress(done, len(sources))
        try:
            prepared[source] = prepare_source(source, out / PARTS[source.heldout], mirror)
        except InputError as error:
            problems.append(str(error))
    progress(len(sources), len(sources))
    for heldout, part in enumerate(PARTS):
        clips = [c for s, result in prepared.items() if s.heldout == heldout for c in result.clips]
        if clips:
            write_manifest(out / part / "manifest.jsonl", clips)
    licenses = [f"{s.name} ({s.kind}): {s.license}; see {s.license_where}" for s in prepared]
    write_whole(out / "licenses.txt", "".join(f"{line}\n" for line in licenses))
    return prepared, problems


def prepare_source(source: Source, out: Path, mirror: Path | None) -> PreparedSource:
    """Write the clips of ``source`` to a folder under ``out``, or read those written before.

    Clips are 16 kHz mono FLAC of at most 10 s. The folder is complete or absent.

    Args:
        source: repository or package.
        out: folder to write to.
        mirror: folder of clones and .deb files to read; missing ones are downloaded, and removed
            after use.

    Raises:
        InputError: if the source cannot be fetched or gives no clips.
    """
    folder = out / source.slug
    record = folder / "source.json"
    settings = json.loads(json.dumps(asdict(source) | {"made": VERSION}))
    if record.is_file():
        content = json.loads(record.read_text(encoding="utf-8"))
        if content["settings"] == settings:
            return PreparedSource(read_manifest(folder / "manifest.jsonl"), content["left_out"])
    with new_folder(folder) as partial:
        with (
            TemporaryDirectory(dir=partial) as scratch,
            _opened(source, Path(scratch), mirror) as (names, read),
        ):
            prepared = _write_clips(source, names, read, partial)
        if not prepared.clips:
            counts = ", ".join(f"{number} {why}" for why, number in prepared.left_out.items())
            raise InputError(f"{source.name}: gives no clips ({counts or 'no files'})")
        write_manifest(partial / "manifest.jsonl", prepared.clips)
        content = {"settings": settings, "left_out": prepared.left_out}
        write_whole(partial / "source.json", json.dumps(content) + "\n")
    return PreparedSource(read_manifest(folder / "manifest.jsonl"), prepared.left_out)


def split_audio(audio: Audio, rate: int) -> list[Audio]:
    """Return ``audio`` in equal pieces of at most `CLIP` seconds."""
    count = max(1, -(-len(audio) // round(CLIP * rate)))
    return [piece for piece in np.array_split(audio, count) if len(piece)]


def trim_silence(audio: Audio) -> Audio:
    """Return ``audio`` (16 kHz) without digital silence at either end, in steps of 20 ms."""
    sounding = np.flatnonzero(_levels(audio) > DIGITAL_SILENCE)
    if not len(sounding):
        return audio[:0]
    return audio[sounding[0] * STEP : (sounding[-1] + 1) * STEP]


def is_gated(audio: Audio) -> bool:
    """Return whether the pauses of ``audio`` (16 kHz, trimmed) are digital silence."""
    levels = _levels(audio)
    return bool(len(levels)) and float(np.mean(levels <= DIGITAL_SILENCE)) > GATED


def _levels(audio: Audio) -> Float32[np.ndarray, " step"]:
    steps = audio[: len(audio) // STEP * STEP].reshape(-1, STEP)
    return np.sqrt(np.mean(np.square(steps), axis=1))


def _write_clips(source: Source, names: Iterable[str], read: Read, folder: Path) -> PreparedSource:
    """Write clips of the files ``names``, in the order of their hashes, up to ``source.hours``."""
    clips: list[Clip] = []
    left_out: Counter[str] = Counter()
    seen: set[str] = set()
    seconds = 0.0
    for name in sorted(names, key=_digest):
        if seconds >= source.hours * 3600:
            break
        try:
            audio = _recording(read(name), name, source.shortest)
        except InputError:
            left_out["unreadable"] += 1
            continue
        digest = hashlib.sha256(audio.tobytes()).hexdigest()
        reason = _reason_to_skip(audio, source.shortest)
        if reason or digest in seen:
            left_out[reason or "repeated"] += 1
            continue
        seen.add(digest)
        for number, piece in enumerate(split_audio(audio, RATE)):
            clips.append(_write(source, name, number, piece, folder))
            seconds += len(piece) / RATE
    return PreparedSource(clips, dict(left_out))


def _reason_to_skip(audio: Audio, shortest: float) -> str | None:
    if len(audio) < shortest * RATE:
        return "short"
    if np.abs(audio).max() <= QUIETEST:
        return "silent"
    return "gated" if is_gated(audio) else None


def _recording(content: bytes, name: str, shortest: float) -> Audio:
    """Return the trimmed start of a recording; nothing if its header declares a short one."""
    # most files of some sources are single words, not worth decoding; GSM has no header
    if not name.endswith(".gsm") and stream_info(io.BytesIO(content), name).duration < shortest:
        return np.zeros(0, np.float32)
    return trim_silence(decode(content, name, RATE)[: round(RECORDING * RATE)])


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
    """Yield the names of the files of ``source`` that are used, and a function that reads one."""
    if source.via == "git":
        folder = find_clone(mirror, source.name) if mirror else None
        if folder is None:
            folder = clone_commit(source.name, source.version, scratch)
        with open_clone(folder, source.version) as clone:
            yield [path for path in clone.paths if source.uses(path)], clone.read
        return
    package = debian.find_package(mirror, source.name) if mirror else None
    if package is None:
        package = debian.download_package(source.name, scratch)
    names = debian.unpack_package(package, source.uses, scratch)
    yield names, lambda name: debian.unpacked(scratch, name).read_bytes()


def _source(row: dict[str, Any]) -> Source:
    row |= {key: tuple(row[key]) for key in ("globs", "exclude") if key in row}
    return Source(**row)


def _matches(path: str, globs: Sequence[str]) -> bool:
    return any(_glob(glob).fullmatch(path) for glob in globs)


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a glob; ``**`` crosses folders, ``*`` does not."""
    parts = re.split(r"(\*\*/|\*\*|\*)", pattern)
    meaning = {"**/": r"(?:.*/)?", "**": ".*", "*": "[^/]*"}
    return re.compile("".join(meaning.get(part, re.escape(part)) for part in parts))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
