"""Pages of the repository: their commands, blocks and links."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
# `sh` and Python blocks of these run in tests/docs, `bash` blocks in tests/test_readme.py
GUIDES = sorted((ROOT / "docs").glob("*.md"))
OTHERS = sorted(
    path
    for path in (
        *ROOT.glob("docker/*.md"),
        *ROOT.glob("training_data/*.md"),
        *ROOT.glob("experiments/**/*.md"),
        *(ROOT / f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY")),
    )
    if path.is_file()
)
PRETRAINED = ROOT / "fakesound" / "pretrained" / "README.md"
PAGES = [README, *GUIDES, *OTHERS, PRETRAINED]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`]+)`")
# what pages call commands
COMMAND = re.compile(r"(python|make|pip|wandb|apt|ffmpeg|fakesound)\s")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def fences(page: Path) -> list[tuple[str, str]]:
    """Return language and text of the fenced blocks of ``page``."""
    return FENCE.findall(page.read_text(encoding="utf-8"))


def block_commands(page: Path, *languages: str) -> list[str]:
    """Return the command lines of blocks in ``languages``."""
    lines: list[str] = []
    for language, block in fences(page):
        if language in languages:
            lines += block.replace("\\\n", " ").splitlines()
    return _complete(lines)


def inline_commands(page: Path) -> list[str]:
    """Return the command lines in the running text of ``page``."""
    inline = INLINE.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return _complete([" ".join(code.split()) for code in inline if COMMAND.match(code)])


def _complete(lines: list[str]) -> list[str]:
    # an ellipsis stands for any other lines
    return [line for line in lines if line.strip() and "..." not in line]


def words(command: str) -> list[str]:
    """Return the words of ``command``, split as by a shell."""
    return shlex.split(command, comments=True)


def links(page: Path) -> list[str]:
    """Return the targets of links and pictures of ``page`` within the repository."""
    text = INLINE.sub("", FENCE.sub("", page.read_text(encoding="utf-8")))
    return [link for link in LINK.findall(text) if not re.match(r"\w+:", link)]


def anchors(page: Path) -> set[str]:
    """Return the names that GitHub gives to the headings of ``page``."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
