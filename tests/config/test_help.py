import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fakesound.config.composition import compose_config, configuration_folder, run_config
from fakesound.config.help import keys_of

ROOT = Path(__file__).parents[2]


def shown(width):
    done = subprocess.run(
        [sys.executable, "-m", "fakesound.run", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": str(width)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def wide():
    return shown(250)


@pytest.fixture(scope="module")
def keys():
    return keys_of(run_config(compose_config([])))


def test_examples_are_ones_that_can_be_typed(wide):
    examples = re.findall(r"^  (experiment=.*?)  ", wide, flags=re.MULTILINE)
    assert "experiment=mt_vim" in examples
    assert len(examples) > 3
    for example in examples:
        run_config(compose_config(example.replace("DIR", "a").split()))


def test_every_choice_of_every_group_is_named(wide):
    for path in configuration_folder().glob("*/*.yaml"):
        if path.parent.name == "launch":  # of another verb
            continue
        assert re.search(rf"\b{path.stem}\b", wide), path
        assert path.parent.name in wide


def test_every_key_is_there_with_its_default_and_meaning(wide, keys):
    lines = [" ".join(line.split()) for line in wide.splitlines()]
    for key, default, meaning in keys:
        expected = f"{key} {default} {meaning}".strip()
        assert any(line.startswith(expected[:120]) for line in lines), expected


def test_narrow_terminals_lose_no_key(keys):
    lines = {line.split()[0] for line in shown(80).splitlines() if line.strip()}
    assert {key for key, _, _ in keys} <= lines


def test_exit_codes_are_told(wide):
    assert "0 done; 2 wrong input or configuration" in wide


@dataclass
class Inner:
    on: bool = True
    """Whether."""
    rate: float | None = None
    """A rate,
    in two lines."""


@dataclass
class Outer:
    """Of the section itself."""

    name: str = "a"
    bare: int = 3
    inner: Inner = field(default_factory=Inner)
    items: list[str] = field(default_factory=lambda: ["x", "y"])
    """Some items."""
    known: dict[str, int] = field(
        default_factory=lambda: {"from": 1}, metadata={"keys": {"from": "Where from."}}
    )


def test_keys_come_with_values_and_the_docstrings_after_them():
    assert keys_of(Outer()) == [
        ("name", "a", ""),
        ("bare", "3", ""),
        ("inner.on", "true", "Whether."),
        ("inner.rate", "null", "A rate, in two lines."),
        ("items", "['x', 'y']", "Some items."),
        ("known.from", "1", "Where from."),
    ]
