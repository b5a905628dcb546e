"""Follow a guide: write its files, make its changes, run its commands."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# entries of a checkout that guides use; recordings are only read
COPIED = (
    "fakesound",
    "conf",
    "hydra_plugins",
    "benchmarks",
    "tests",
    "pyproject.toml",
    "README.md",
    "docs/example.flac",
)
RECORDINGS = "training_data"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([\w./-]+)`:$")


@dataclass(frozen=True)
class Block:
    """A fenced block of a guide.

    Attributes:
        language: what the fence says.
        text: inside.
        file: that the line before it names, as in "`conf/data/mine.yaml`:"; None without.
    """

    language: str
    text: str
    file: str | None


def blocks(guide: Path) -> list[Block]:
    """Return the fenced blocks of ``guide``, in order."""
    text = guide.read_text(encoding="utf-8")
    result = []
    for match in FENCE.finditer(text):
        before = text[: match.start()].rstrip().splitlines()[-1]
        file = FILE.search(before)
        result.append(Block(match[1], match[2], file[1] if file else None))
    assert len(result) * 2 == len(re.findall(r"^```", text, re.MULTILINE)), (
        "a fence without language"
    )
    return result


def checkout(folder: Path) -> Path:
    """Copy the files that guides use to ``folder``."""
    for name in COPIED:
        place = ROOT / name
        if place.is_dir():
            shutil.copytree(place, folder / name, ignore=_left_out)
        else:
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(place, folder / name)
    (folder / RECORDINGS).symlink_to(ROOT / RECORDINGS)
    return folder


def _left_out(folder: str, names: list[str]) -> set[str]:
    here = Path(folder).relative_to(ROOT)
    return {n for n in names if n == "__pycache__" or here / n == Path("tests/docs")}


def patched(text: str, diff: str) -> str:
    """Return ``text`` with the hunks of ``diff``, each of which must match exactly once."""
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] in " -")
        new = "".join(line[1:] for line in lines if line[0] in " +")
        if lines:
            assert text.count(old) == 1, f"fits {text.count(old)} places:\n{hunk}"
            text = text.replace(old, new)
    return text


def shell(folder: Path, script: str) -> str:
    """Run ``script`` in ``folder`` with this Python and return its output."""
    programs = folder / ".programs"
    if not programs.is_dir():
        programs.mkdir()
        for name, arguments in (("python", ""), ("fakesound", " -m fakesound")):
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n')
            (programs / name).chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    environment = kept | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "WANDB_MODE": "offline",
        "COLUMNS": "200",
    }
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=1000, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def follow(guide: Path, folder: Path, passed_over: tuple[str, ...] = ()) -> None:
    """Follow ``guide`` in ``folder``, except for blocks that contain one of ``passed_over``.

    A block of text shows lines of the output of the block before it. Blocks in ``bash`` and
    ``json`` leave values to the reader; tests/test_readme.py checks them.
    """
    printed: str | None = None
    for block in blocks(guide):
        if block.file is not None:
            place = folder / block.file
            if block.language == "diff":
                place.write_text(patched(place.read_text("utf-8"), block.text), "utf-8")
            else:
                assert not place.exists(), f"{block.file}: is there already"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(block.text, "utf-8")
        elif block.language in ("bash", "json") or any(word in block.text for word in passed_over):
            printed = None
        elif block.language == "sh":
            printed = shell(folder, block.text)
        elif block.language == "python":
            (folder / "block.py").write_text(block.text, "utf-8")
            printed = shell(folder, "python block.py")
        else:
            assert block.language == "text", f"{block.language}: what is to be done with it?"
            _compare(block.text, printed)


def _compare(shown: str, printed: str | None) -> None:
    if printed is None:
        return
    output = " ".join(printed.split())
    for line in shown.splitlines():
        assert " ".join(line.split()) in output, f"{line!r} is not in\n{printed}"
