"""Take genuine recordings to train on out of Debian packages.

python experiments/genuine_corpus/unpack.py DEBS OUT
"""

import argparse
import hashlib
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from jaxtyping import Float32

from fakesound.command_line import guarded
from fakesound.data.audio import read_audio
from fakesound.errors import InputError
from fakesound.forging import embedded_clips

SUFFIXES = (".flac", ".g722", ".ogg", ".wav")
SEED = 0
RATE = 16_000
LONGEST = 40
QUIETEST = 0.01


@dataclass(frozen=True)
class Package:
    """What is taken of a Debian package.

    Attributes:
        name: of the package.
        audio: folder of the audio in it.
        folder: where its recordings go, a domain of the corpus.
        most: recordings at most.
        shortest: seconds of the shortest one.
        each: recordings at most of one folder in ``audio``; None: any number.
    """

    name: str
    audio: str
    folder: str
    most: int
    shortest: float = 0.7
    each: int | None = None


def _prompts(language: str, voice: str) -> Package:
    name, audio = f"asterisk-core-sounds-{language}-g722", f"usr/share/asterisk/sounds/{voice}"
    return Package(name, audio, f"asterisk_{language}", 200, shortest=1.2)


# The French and the Russian prompts are not taken: their speakers are those that validate and test
# in the built-in corpus.
PACKAGES = (
    _prompts("en", "en_US_f_Allison"),
    _prompts("es", "es_MX_f_Allison"),
    _prompts("it", "it_IT_m_Carlo"),
    Package("asterisk-moh-opsound-g722", "usr/share/asterisk/moh", "opsound", 100),
    Package("klettres-data", "usr/share/klettres", "klettres", 100, each=6),
    Package("megaglest-data", "usr/share/games/megaglest", "megaglest", 110),
    Package("wesnoth-1.16-data", "usr/share/games/wesnoth/1.16", "wesnoth", 90),
    Package("colobot-common-sounds", "usr/share/games/colobot", "colobot", 70),
    Package("ardentryst", "usr/share/games/ardentryst", "ardentryst", 60),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("debs", type=Path, metavar="DEBS", help="folder of the .deb files")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write recordings to")
    given = parser.parse_args()
    # ffmpeg reads G.722
    for program in ("dpkg-deb", "ffmpeg"):
        if shutil.which(program) is None:
            raise InputError(f"{program}: is not installed; install it (Debian: apt-get install)")
    files = {package: sorted(given.debs.glob(f"{package.name}_*.deb")) for package in PACKAGES}
    if missing := [package.name for package, found in files.items() if not found]:
        raise InputError(
            f"DEBS={given.debs}: lacks {len(missing)} packages; in it, run: "
            f"apt-get download {' '.join(missing)}"
        )
    given.out.mkdir(parents=True, exist_ok=True)
    for package, found in files.items():
        # a folder is there whole or not at all: each is moved into place when it is complete
        if (given.out / package.folder).exists():
            print(f"{package.folder}: is there already")
            continue
        with TemporaryDirectory(dir=given.out) as scratch:
            subprocess.run(["dpkg-deb", "-x", found[-1], scratch], check=True)
            print(extract(package, Path(scratch), given.out), flush=True)


def extract(package: Package, tree: Path, out: Path) -> str:
    """Write the recordings of ``package``, unpacked in ``tree``; return how many, in words."""
    root = tree / package.audio
    if not root.is_dir():
        raise InputError(f"{package.name}: has no folder {package.audio}; take the version named")
    made = tree / "made"
    made.mkdir()
    paths = (p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    names = {path.relative_to(root).as_posix() for path in paths} - built_in(package.name)
    heard: dict[str, float] = {}

    def keep(name: str) -> bool:
        target = made / (Path(name).with_suffix("").as_posix().replace("/", "-") + ".flac")
        audio = listen(root / name)
        if len(audio) < package.shortest * RATE or np.abs(audio).max() <= QUIETEST:
            return False
        digest = hashlib.sha256(audio.tobytes()).hexdigest()
        if digest in heard or target.exists():
            return False
        heard[digest] = len(audio) / RATE
        soundfile.write(target, audio, RATE)
        return True

    kept = list(choose(names, package.most, package.each, keep))
    made.rename(out / package.folder)
    return f"{package.folder}: {len(kept)} recordings, {sum(heard.values()) / 60:.1f} minutes"


def choose(
    names: Iterable[str], most: int, each: int | None, keep: Callable[[str], bool]
) -> Iterator[str]:
    """Yield up to ``most`` of ``names`` that ``keep`` takes, in an order drawn by their hashes.

    Of the names in one folder at most ``each`` are taken, if that is given.
    """
    count: Counter[str] = Counter()
    for name in sorted(names, key=lambda name: hashlib.sha256(f"{SEED}|{name}".encode()).digest()):
        folder = name.split("/")[0]
        if count.total() == most:
            return
        if (each is None or count[folder] < each) and keep(name):
            count[folder] += 1
            yield name


def listen(path: Path) -> Float32[np.ndarray, " sample"]:
    """Return the first 40 s of ``path``, mono at 16 kHz; nothing if there is no audio in it."""
    if path.suffix == ".g722":
        command = ["ffmpeg", "-nostdin", "-v", "quiet", "-i", path, "-ar", str(RATE), "-ac", "1"]
        done = subprocess.run([*command, "-f", "f32le", "-"], capture_output=True)
        audio = np.frombuffer(done.stdout, np.float32)
    else:
        try:
            audio = read_audio(path, RATE)
        except InputError:
            audio = np.zeros(0, np.float32)
    return audio[: LONGEST * RATE]


def built_in(package: str) -> set[str]:
    """Return the names of what the built-in corpus has of ``package`` already."""
    origins = (str(clip.extra.get("origin", "")) for clip in embedded_clips())
    return {
        origin.removeprefix(f"{package} (").split(")")[0]
        for origin in origins
        if origin.startswith(f"{package} (")
    }


if __name__ == "__main__":
    guarded(main)
