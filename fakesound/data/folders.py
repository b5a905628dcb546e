"""Find the audio files of a folder, by the same rule for all commands."""

import os
from pathlib import Path

# formats of libsndfile
SUFFIXES = (
    ".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2",
    ".mpga", ".mpa", ".m2a", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".voc", ".sph",
    ".nist", ".gsm",
)  # fmt: skip
# formats that need the extra `formats`, or ffmpeg
CONTAINERS = (
    ".m4a", ".m4b", ".mp4", ".mov", ".3gp", ".3ga", ".aac", ".ac3", ".eac3", ".amr", ".awb", ".wma",
    ".mka", ".mkv", ".webm", ".spx", ".wv", ".ape", ".tta", ".alac", ".avi", ".flv", ".dsf",
    ".m4v", ".3g2", ".asf", ".wmv", ".mpg", ".mpeg", ".vob", ".mts", ".m2ts", ".ogv", ".mpc",
    ".ts", ".weba", ".m4r", ".f4v", ".dts", ".adts", ".ra", ".rm", ".dff", ".shn", ".tak", ".oma",
    ".dss", ".qcp", ".mxf", ".ogx",
)  # fmt: skip


def is_audio(name: str) -> bool:
    """Return whether a file name has an audio suffix and is not hidden."""
    name = name.rpartition("/")[2]
    return name.lower().endswith((*SUFFIXES, *CONTAINERS)) and not name.startswith(".")


def audio_files(folder: Path) -> list[Path]:
    """Return the audio files under ``folder``, sorted.

    Hidden files and folders are ignored, among them the ``._`` files of macOS. Linked folders are
    followed once. Folders that cannot be listed and broken links are returned too: reading them is
    an error, so that none is skipped silently.
    """
    files: list[Path] = []
    seen = {folder.resolve()}

    def unlisted(error: OSError) -> None:
        files.append(Path(error.filename))

    for parent, folders, names in os.walk(folder, onerror=unlisted, followlinks=True):
        targets = {name: Path(parent, name).resolve() for name in sorted(folders) if name[0] != "."}
        folders[:] = [name for name, target in targets.items() if target not in seen]
        seen.update(targets.values())
        files += [Path(parent, name) for name in names if is_audio(name)]
    return sorted(files)
