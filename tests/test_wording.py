"""The mechanical half of the style of writing: docstrings, messages and documents."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("fakesound", "hydra_plugins", "benchmarks")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
TEXTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "experiments").rglob("*.md"),
        *(ROOT / "conf").rglob("*.yaml"),
        *(ROOT / "fakesound").rglob("*.md"),
        *(ROOT / "fakesound").rglob("*.jinja"),
    ]
)
SECTIONS = re.compile(r"\n\s*(?:Args|Attributes):\n(.*?)(?=\n\s*\n|\Z)", re.DOTALL)
ENTRY = re.compile(r"(?m)^\s+`*\w+`*(?: \([^)]*\))?: (.*)$")
PREPOSITIONS = ("of", "for", "in", "on", "to", "by", "at", "with", "from", "under", "as")
# programs read, write, score, predict, return, raise, retry and skip; they do not do these
RETIRED = re.compile(
    r"\b(?:(?:is|are|be|was|were) (?:said|told|heard|judged)"
    r"|what (?:is said|is told|became) of|what is to be said"
    r"|go(?:es)? on with|take(?:s)? part|likest|amiss|the mend|mended|mends)\b",
    re.IGNORECASE,
)


def docstrings(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "name", path.stem), text


def strings(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_entry_of_args_reads_alone(path):
    result = [
        f"{name}: {entry.group(0).strip()}"
        for name, text in docstrings(path)
        for section in SECTIONS.finditer(text)
        for entry in ENTRY.finditer(section.group(1))
        if entry.group(1).split(" ")[0].rstrip(",;").lower() in PREPOSITIONS
    ]
    assert not result


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_retired_word_in_docstrings_and_messages(path):
    result = [f"{line}: {text}" for line, text in strings(path) if RETIRED.search(text)]
    assert not result


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_retired_word_in_documents(path):
    result = [line for line in path.read_text().splitlines() if RETIRED.search(line)]
    assert not result
