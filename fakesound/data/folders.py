"""The files of a folder that count as audio: one rule for all verbs."""

import os
from pathlib import Path

# read by libsndfile
SUFFIXES = (
    ".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2",
    ".mpga", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".voc", ".sph", ".nist", ".gsm",
)  # fmt: skip
# read with the extra `formats`, or with ffmpeg
CONTAINERS = (
    ".m4a", ".m4b", ".mp4", ".mov", ".3gp", ".3ga", ".aac", ".ac3", ".eac3", ".amr", ".awb", ".wma",
    ".mka", ".mkv", ".webm", ".spx", ".wv", ".ape", ".tta", ".alac", ".avi", ".flv", ".dsf",
    ".m4v", ".3g2", ".asf", ".wmv", ".mpg", ".mpeg", ".vob", ".mts", ".m2ts", ".ogv", ".mpc",
)  # fmt: skip


def is_audio(name: str) -> bool:
    """Return whether the name of a file has a suffix of audio and is not hidden."""
    name = name.rpartition("/")[2]
    return name.lower().endswith((*SUFFIXES, *CONTAINERS)) and not name.startswith(".")


def audio_files(folder: Path) -> list[Path]:
    """Return the audio files under ``folder`` by their suffixes, sorted.

    Hidden files and folders (also the ``._`` companions of macOS) do not count. Linked folders are
    followed once. A folder that cannot be listed is returned itself, and a broken link counts: to
    read it is an error, so that nothing is passed over.
    """
    files: list[Path] = []
    seen = {folder.resolve()}

    def unlisted(error: OSError) -> None:
        files.append(Path(error.filename))

    for place, folders, names in os.walk(folder, onerror=unlisted, followlinks=True):
        targets = {name: Path(place, name).resolve() for name in sorted(folders) if name[0] != "."}
        folders[:] = [name for name, target in targets.items() if target not in seen]
        seen.update(targets.values())
        files += [Path(place, name) for name in names if is_audio(name)]
    return sorted(files)
