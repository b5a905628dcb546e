"""Small git repositories and Debian packages with recordings."""

import io
import subprocess
import tarfile

import numpy as np
import soundfile

RATE = 16_000


def sound(seed=0, seconds=1.5, rate=RATE):
    """Return noise of varying level without silence."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    return (0.1 * rng.normal(size=len(time)) * (1.2 + np.sin(7 * time))).astype(np.float32)


def encoded(audio, rate=RATE, kind="WAV", subtype=None):
    """Return the bytes of an audio file."""
    file = io.BytesIO()
    soundfile.write(file, audio, rate, format=kind, subtype=subtype)
    return file.getvalue()


def build_repository(folder, files, bare=True):
    """Commit ``files`` (path: bytes) to a new repository; return the commit."""
    work = folder if not bare else folder.with_name(f"{folder.name}.work")
    work.mkdir(parents=True)
    for path, content in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(content)

    def git(*arguments, where=work):
        command = ["git", "-C", where, "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    # that a part of it can be fetched
    git("config", "uploadpack.allowFilter", "true")
    git("config", "uploadpack.allowAnySHA1InWant", "true")
    git("add", "-A")
    git("commit", "-qm", "recordings")
    if bare:
        git("clone", "-q", "--bare", str(work), str(folder), where=work)
    return git("rev-parse", "HEAD")


def build_package(path, files, compression="xz"):
    """Write a .deb whose data holds ``files`` (path: bytes)."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=f"w:{compression}") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    suffix = f".{compression}" if compression else ""
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": b"odd",
        f"data.tar{suffix}": data.getvalue(),
    }
    write_archive(path, members)


def write_archive(path, members):
    """Write ``members`` (name: bytes) as an ``ar`` archive."""
    with path.open("wb") as file:
        file.write(b"!<arch>\n")
        for name, content in members.items():
            header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
            file.write(header.encode() + content + b"\n" * (len(content) % 2))
