"""Listening test on disk: clips with neutral names, in a different order for each listener."""

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from msgspec.structs import replace

from fakesound.data.audio import read_audio, write_wav
from fakesound.data.manifest import Clip, read_manifest, write_manifest
from fakesound.data.merge import pool_manifests
from fakesound.data.samples import to_pcm
from fakesound.errors import InputError
from fakesound.files import write_whole
from fakesound.listening_test.drawing import draw_pairs, draw_thirds
from fakesound.progress import progress_bar

VERSION = 1
# settings that tests of earlier versions lack
NEWER = ("thirds", "match_level", "left_out")
LEVEL = 10 ** (-26 / 20)  # -26 dB of full scale
PEAK = 0.99
SILENCE = 1e-6
LONGEST_NAME = 40  # characters


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings that determine which clips are played.

    Attributes:
        clips: number of clips; half of them are genuine, or a third with ``thirds``.
        seed: seed of the draw and of the order for each listener.
        split: split of the manifests to draw from; None for "test" if a manifest has test rows,
            else all rows.
        max_seconds: duration of the longest clip to draw.
        sample_rate: sample rate of all clips, which therefore reveals nothing.
        thirds: whether genuine clips, partial fakes and whole fakes make up a third each.
        match_level: whether all clips have the same level.
        left_out: attacks to draw fakes of; None for all.
    """

    clips: int = 24
    seed: int = 0
    split: str | None = None
    max_seconds: float = 30.0
    sample_rate: int = 16_000
    thirds: bool = False
    match_level: bool = False
    left_out: Sequence[str] | None = None


@dataclass(frozen=True)
class ListeningTest:
    """Fixed set of clips.

    Attributes:
        folder: folder of the test.
        settings: settings of the draw.
        clips: clips by their names in the browser, which are numbers and reveal nothing.
    """

    folder: Path
    settings: Settings
    clips: Mapping[str, Clip]

    def order(self, listener: str) -> list[str]:
        """Return the names of the clips in the order of ``listener``."""
        start = f"{self.settings.seed} {listener_key(listener)}"
        return sorted(self.clips, key=lambda name: _digest(f"{start} {self.clips[name].clip_id}"))


def listener_name(text: object) -> str:
    """Normalise the name of a listener: single spaces, composed characters.

    Raises:
        InputError: if ``text`` is not a name.
    """
    name = " ".join(unicodedata.normalize("NFC", text).split()) if isinstance(text, str) else ""
    if not (0 < len(name) <= LONGEST_NAME and name.isprintable()):
        raise InputError(f"listener: give a name of 1 to {LONGEST_NAME} characters")
    return name


def listener_key(name: str) -> str:
    """Return a form of ``name`` that does not depend on case."""
    return unicodedata.normalize("NFC", name.casefold())


def make_test(manifests: Sequence[Path], folder: Path, settings: Settings) -> ListeningTest:
    """Draw a test from ``manifests`` and write it to ``folder``; ``listening_test.json`` last.

    Raises:
        InputError: for an invalid manifest, unreadable audio, or too few clips.
    """
    candidates = _candidates(manifests, settings)
    if settings.thirds:
        drawn = draw_thirds(candidates, settings.clips // 3, settings.seed)
    else:
        pairs = draw_pairs(candidates, settings.clips // 2, settings.seed)
        drawn = [clip for pair in pairs for clip in pair]
    drawn.sort(key=lambda clip: _digest(f"{settings.seed} {clip.clip_id}"))
    level = _common_level(drawn, settings.sample_rate) if settings.match_level else None
    clips: dict[str, Clip] = {}
    with progress_bar("drawing clips") as progress:
        for number, clip in enumerate(drawn, start=1):
            name = f"{number:0{len(str(len(drawn)))}}"
            path = folder / "audio" / f"{name}.wav"
            audio = read_audio(clip.location, settings.sample_rate)
            if level is not None:
                audio = audio * np.float32(level / max(_level(audio), SILENCE))
            write_wav(path, to_pcm(audio), settings.sample_rate)
            # without the twin, which is not in the test
            clips[name] = replace(
                clip, location=str(path), sample_rate=settings.sample_rate, twin_id=None
            )
            progress(number, len(drawn))
    write_manifest(folder / "clips.jsonl", clips.values())
    content = {
        "version": VERSION,
        **asdict(settings),
        "manifests": [_content(path) for path in manifests],
        "names": {name: clip.clip_id for name, clip in clips.items()},
    }
    write_whole(folder / "listening_test.json", json.dumps(content, indent=1) + "\n")
    return ListeningTest(folder, settings, clips)


def open_test(
    folder: Path, options: Mapping[str, Any], manifests: Sequence[Path] = ()
) -> ListeningTest | None:
    """Return the test in ``folder``; None if there is none yet.

    Args:
        folder: folder of the test.
        options: settings from the command line, which must equal those of the test; None if absent.
        manifests: manifests from the command line, which must be those of the test; may be empty.

    Raises:
        InputError: if the test has other settings, or is damaged.
    """
    path = folder / "listening_test.json"
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        settings = Settings(
            **{
                key: content[key]
                for key in asdict(Settings())
                if key in content or key not in NEWER
            }
        )
        names, made_of = dict(content["names"]), list(content["manifests"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is damaged ({error}); choose another --out") from None
    for key, value in options.items():
        if value is not None and value != getattr(settings, key):
            raise InputError(
                f"--{key.replace('_', '-')}={_shown(value)}: the test in {folder} was drawn with "
                f"{_shown(getattr(settings, key))}; leave the option out to continue it, or choose "
                "another --out"
            )
    if manifests and [_content(manifest) for manifest in manifests] != made_of:
        raise InputError(
            f"{manifests[0]}: the test in {folder} was drawn from another manifest; leave the "
            "manifest out to continue it, or choose another --out"
        )
    clips = {clip.clip_id: clip for clip in read_manifest(folder / "clips.jsonl")}
    if sorted(clips) != sorted(names.values()):
        raise InputError(
            f"{folder / 'clips.jsonl'}: does not belong to {path.name}; choose another --out"
        )
    return ListeningTest(folder, settings, {name: clips[key] for name, key in names.items()})


def _candidates(manifests: Sequence[Path], settings: Settings) -> list[Clip]:
    clips, _ = pool_manifests(manifests, settings.split)
    return [
        clip
        for clip in clips
        if clip.duration <= settings.max_seconds
        and (clip.attack is None or settings.left_out is None or clip.attack in settings.left_out)
    ]


def _common_level(clips: Sequence[Clip], rate: int) -> float:
    """Return the highest RMS that all ``clips`` reach without clipping, at most `LEVEL`."""
    reachable = [LEVEL]
    for clip in clips:
        audio = read_audio(clip.location, rate)
        peak = float(np.abs(audio).max(initial=0.0))
        if peak > SILENCE:
            reachable.append(PEAK / peak * _level(audio))
    return min(reachable)


def _level(audio: Float32[np.ndarray, " sample"]) -> float:
    """Return the RMS of all samples that are not 0."""
    samples = audio[audio != 0]
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if samples.size else 0.0


def _shown(value: Any) -> str:  # noqa: ANN401  # of any setting
    return ",".join(value) if isinstance(value, list | tuple) else str(value)


def _content(path: Path) -> str:
    try:
        return _digest(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _digest(data: str | bytes) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()
