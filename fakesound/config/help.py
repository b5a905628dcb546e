"""``--help``: what can be run, and every key with its default and meaning."""

import ast
import inspect
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fakesound.config.composition import compose_config, configuration_folder, run_config

# a longer mapping would fill the page
MOST_ENTRIES = 4

USAGE = """\
[bold]python -m fakesound.run[/] experiment=NAME \\[key=value ...]     one run
[bold]python -m fakesound.run[/] -m sweep=NAME \\[key=value ...]       many, compared
[bold]python -m fakesound.run[/] -m experiment=NAME key=a,b,c        your own sweep

The recordings that come with the package are used unless you give others: fakes
are forged of them, an attack is held out of training, a detector is trained and
tested on the attack it never saw.

  experiment=mt_vim                                the main experiment
  experiment=mt_vim data.root=DIR                  on your genuine recordings
  experiment=mt_vim split.held_out='inpainting/*'  hold out a whole family
  experiment=mt_vim data.train=\\[A] data.test=\\[B] split=official   train and test on manifests
  experiment=mt_vim init.from=FILE                 start from weights of others or a run
  experiment=mt_vim resume=auto                    go on with a stopped run
  experiment=smoke                                 everything once, quickly
  --reproduce RUN_DIR                              repeat a run, and tell whether it agrees

Results go to outputs/NAME/TIME/: report.html, metrics.json, scores.jsonl,
checkpoints. Exit codes: 0 done; 2 wrong input or configuration, said in one
line (--debug for more); 1 anything else.
"""


def run_help() -> None:
    """Print the help of ``python -m fakesound.run``."""
    console = Console()
    console.print(USAGE, highlight=False)
    for group in ("experiment", "sweep"):
        console.print(_options(group, console.width))
    groups = Table("group", "choices", title="Groups", title_justify="left", box=None)
    for folder in sorted(path for path in configuration_folder().iterdir() if path.is_dir()):
        if folder.name not in ("experiment", "sweep", "hydra", "launch"):
            groups.add_row(
                folder.name, ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
            )
    console.print(groups)
    keys = Table("key", "default", "meaning", title="Keys", title_justify="left", box=None)
    for key, default, meaning in keys_of(run_config(compose_config([]))):
        keys.add_row(escape(key), escape(default), escape(meaning))
    console.print(keys)


def keys_of(section: Any, prefix: str = "") -> list[tuple[str, str, str]]:  # noqa: ANN401
    """Return every key of a ``section`` of the schema with its value and meaning."""
    meanings = _meanings(type(section))
    rows: list[tuple[str, str, str]] = []
    for item in fields(section):
        value = getattr(section, item.name)
        if is_dataclass(value):
            rows += keys_of(value, f"{prefix}{item.name}.")
        elif "keys" in item.metadata:
            rows += [
                (f"{prefix}{item.name}.{key}", _shown(value[key]), meaning)
                for key, meaning in item.metadata["keys"].items()
            ]
        else:
            rows.append((prefix + item.name, _shown(value), meanings.get(item.name, "")))
    return rows


def _meanings(section: type) -> dict[str, str]:
    """Return the docstrings that follow the fields of a dataclass."""
    body = ast.parse(inspect.getsource(section)).body[0].body  # type: ignore[attr-defined]
    found = {}
    for line, after in pairwise(body):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            text = getattr(getattr(after, "value", None), "value", None)
            if isinstance(after, ast.Expr) and isinstance(text, str):
                found[line.target.id] = " ".join(text.split())
    return found


def _options(group: str, width: int) -> Table:
    table = Table(group, "what", title=f"{group}=", title_justify="left", box=None, width=width)
    for path in sorted((configuration_folder() / group).glob("*.yaml")):
        table.add_row(path.stem, _first_comment(path))
    return table


def _first_comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    remarks = [
        line[1:].strip() for line in lines if line.startswith("#") and "@package" not in line
    ]
    return escape(remarks[0]) if remarks else ""


def _shown(value: Any) -> str:  # noqa: ANN401  # a default of any type
    if isinstance(value, dict) and len(value) > MOST_ENTRIES:
        return f"{len(value)} entries"
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )
