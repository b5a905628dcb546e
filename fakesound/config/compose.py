"""Compose configurations from the command line with Hydra, and print ``--help``."""

import ast
import hashlib
import inspect
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fakesound.config.checks import unknown_key
from fakesound.config.saved import REMOVED, RENAMED
from fakesound.config.training import RunConfig
from fakesound.errors import InputError, did_you_mean
from fakesound.progress import ResultConsole, console

WEIGHTS = "data.crop.weights."
LONGEST_NAME = 120
# longer mappings are summarised in --keys
MOST_ENTRIES = 4

# messages of OmegaConf, with the value as group, and what the value must be
WRONG_VALUES = {
    "Value '(.*)' of type '.*' could not be converted to Integer": "must be a whole number",
    "Value '(.*)' of type '.*' could not be converted to Float": "must be a number",
    "Value '(.*)' is not a valid bool .*": "must be true or false",
    "Invalid value assigned: .* is not a ListConfig, list or tuple.": "must be a list, as in [A,B]",
    "Invalid type assigned: .* is not a subclass .* value: (.*)": "set one of its keys, such as ",
}

USAGE = """\
[bold]fakesound run[/] experiment=NAME \\[key=value ...]     one run
[bold]fakesound run[/] -m sweep=NAME \\[key=value ...]       many runs, compared
[bold]fakesound run[/] -m experiment=NAME key=a,b,c        your own sweep

Without other data, a run uses the recordings of the training data: it makes fakes from
them, holds one attack out of training, and tests the detector on that attack.

  experiment=mt_vim                           the main experiment
  experiment=mt_vim data.root=DIR             on your genuine recordings
  experiment=mt_vim split.held_out='inpainting/*'   hold out a whole family
  experiment=mt_vim split=official 'data.train=\\[A]' 'data.test=\\[B]'   on manifests
  experiment=mt_vim init.path=FILE            start from published weights or a run
  experiment=mt_vim resume=auto               resume a stopped run
  experiment=smoke                            everything once, in half a minute
  --reproduce RUN_DIR                         repeat a run and compare the results
  --keys crop                                 keys about "crop"; all without a word

Results are in outputs/NAME/TIME/: report.html, metrics.json, scores.jsonl and
checkpoints. Exit codes: 0 done; 2 wrong input or configuration (one line; --debug
shows more); 1 anything else.
"""


def configuration_folder() -> Path:
    """Return ``conf/``: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def register_schema() -> None:
    """Register the schema with Hydra, which then checks every key and type."""
    OmegaConf.register_new_resolver("slug", _slug, replace=True)
    OmegaConf.register_new_resolver("attacks", _attacks, replace=True)
    node = OmegaConf.structured(RunConfig)
    # mappings with keys of the user's choice
    for mapping in (node.data.crop.weights, node.trainer):
        OmegaConf.set_struct(mapping, False)
    ConfigStore.instance().store(name="schema", node=node)


def compose_config(overrides: Sequence[str], with_hydra: bool = False) -> DictConfig:
    """Compose the configuration of ``overrides``.

    Args:
        overrides: ``key=value`` or ``group=choice``, in the grammar of Hydra.
        with_hydra: whether to keep Hydra's own settings, as ``hydra``.

    Raises:
        InputError: in one line, for an invalid key, value or file.
    """
    register_schema()
    current = current_overrides(overrides)
    with readable_errors():
        try:
            # in a running application, Hydra is already initialised
            if GlobalHydra.instance().is_initialized():
                return compose("config", current, return_hydra_config=with_hydra)
            with initialize_config_dir(str(configuration_folder()), version_base="1.3"):
                return compose("config", current, return_hydra_config=with_hydra)
        except ValueError as error:  # Hydra raises it for an override that it cannot interpret
            raise InputError(_one_line(error)) from error


def run_config(composed: DictConfig) -> RunConfig:
    """Convert to the typed configuration, with every value checked.

    Raises:
        InputError: in one line, for an invalid value or an unknown key.
    """
    with readable_errors():
        # Hydra's own node resolves only inside a job
        keys = [str(key) for key in composed if key != "hydra"]
        picked = OmegaConf.masked_copy(composed, keys)
        plain = OmegaConf.to_container(picked, resolve=True, throw_on_missing=True)
        # merged into the schema again, since Hydra does not check "+key=value"
        checked = OmegaConf.merge(OmegaConf.structured(RunConfig), plain)
        config = OmegaConf.to_object(checked)
    assert isinstance(config, RunConfig)
    return config


def current_overrides(overrides: Sequence[str]) -> list[str]:
    """Return ``overrides`` with renamed keys replaced; each prints a hint.

    Raises:
        InputError: for a removed key, naming its replacement.
    """
    return [_current(text) for text in overrides]


def _current(text: str) -> str:
    sign, key, equals, value = re.fullmatch(r"([+~]*)([^=]*)(=?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    if key in REMOVED:
        raise InputError(f"{key}: was removed; {REMOVED[key]}")
    new = key
    for old, current in (RENAMED | {"ingredient": "ablation"}).items():
        if f"{key}.".startswith(f"{old}."):
            new = current + key.removeprefix(old)
    if new != key:
        console.print(f"{key} is now {new}; the old name works for this release", markup=False)
    if new.startswith(WEIGHTS) and "/" in new:
        # Hydra's grammar allows such keys only inside mappings
        return f"{sign}{WEIGHTS[:-1]}={{{new.removeprefix(WEIGHTS)}:{value}}}"
    return f"{sign}{new}{equals}{value}"


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn errors of Hydra and OmegaConf into an `InputError` of one line."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(_one_line(error)) from error


def _one_line(error: BaseException) -> str:
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(link, InputError) for link in chain):
        return str(next(link for link in chain if isinstance(link, InputError)))
    for link in chain:
        key = getattr(link, "full_key", None)
        if isinstance(link, OmegaConfBaseException) and key:
            parent = getattr(link, "parent_node", None)
            if isinstance(link, ConfigKeyError | AttributeError) and isinstance(parent, DictConfig):
                return _unknown(key, [str(name) for name in parent])
            return _wrong_value(key, _first_line(link))
    if isinstance(error, MissingConfigException) and error.options:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        hint = did_you_mean(choice, error.options, after=" ")
        return f"{group}={choice}: no such choice; {hint}there are {', '.join(error.options)}"
    if isinstance(error, OverrideParseException):
        experiments = {p.stem for p in (configuration_folder() / "experiment").glob("*.yaml")}
        if error.override in experiments:
            return f"{error.override}: is not key=value; did you mean experiment={error.override}?"
        if " =" in error.override or "= " in error.override:
            joined = "=".join(part.strip() for part in error.override.split("=", 1))
            return f"{error.override}: has spaces around =; did you mean {joined}?"
        return f"{error.override}: is not key=value; quote values with special characters"
    line = _first_line(chain[0])
    several = re.fullmatch(r"Ambiguous value for argument '(.*)'", line)
    if several:
        return f"{several[1]}: has several values; add -m to run each, or quote them as one value"
    return line


def _unknown(key: str, known: Sequence[str]) -> str:
    """Return the error for an unknown key, which may be the last part of another key."""
    keys = [name for name, _, _ in keys_of(RunConfig())]
    same = [name for name in keys if name.rpartition(".")[2] == key.rpartition(".")[2]]
    if same:
        return f"{key}: no such key; did you mean {' or '.join(same)}?"
    return str(unknown_key(key, known))


def _wrong_value(key: str, message: str) -> str:
    """Return an error of OmegaConf without its names of types."""
    for pattern, meaning in WRONG_VALUES.items():
        if match := re.fullmatch(pattern, message):
            value = "".join(f"={text}" for text in match.groups())
            inner = [name for name, _, _ in keys_of(RunConfig()) if name.startswith(f"{key}.")]
            return f"{key}{value}: {meaning}{', '.join(inner[:3])}"
    return f"{key}: {message}"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _attacks(part: str) -> str:
    """Return the "names" or the "families" of the attacks of the forge, as values of a sweep."""
    # imports scipy, which is slow
    from fakesound.attacks import ATTACKS, BUILT_IN

    return ",".join(sorted({n if part == "names" else ATTACKS[n].family for n in BUILT_IN}))


def _slug(text: str) -> str:
    """Return ``text`` as a folder name that every file system accepts."""
    name = "".join(c if c.isalnum() or c in "=,.-_" else "-" for c in str(text)) or "run"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def run_usage() -> str:
    """Return the short help of ``fakesound run``."""
    usage = Text.from_markup(USAGE).plain
    return f"{usage}\nall groups: fakesound run --help\n"


def run_help() -> None:
    """Print the help of ``fakesound run``."""
    # to stdout, unlike progress and messages
    out = ResultConsole()
    # wrapped commands could not be copied
    out.print(USAGE, highlight=False, soft_wrap=True)
    for group in ("experiment", "sweep"):
        choices = Table(group, "description", title=f"{group}=", title_justify="left", box=None)
        choices.width = out.width
        for path in sorted((configuration_folder() / group).glob("*.yaml")):
            choices.add_row(path.stem, _first_comment(path))
        out.print(choices)
    groups = Table("group", "choices", title="Groups", title_justify="left", box=None)
    for folder in sorted(path for path in configuration_folder().iterdir() if path.is_dir()):
        if folder.name not in ("experiment", "sweep", "hydra"):
            names = sorted(path.stem for path in folder.glob("*.yaml"))
            groups.add_row(folder.name, ", ".join(names))
    out.print(groups)


def keys_help(word: str) -> None:
    """Print the keys of ``fakesound run`` whose name or meaning contains ``word``.

    Raises:
        InputError: if there is none.
    """
    rows = keys_of(RunConfig())
    matches = [row for row in rows if word.lower() in row[0]]
    matches += [row for row in rows if word.lower() in row[2].lower() and row not in matches]
    if not matches:
        hint = did_you_mean(word, (key for key, _, _ in rows), after=" ")
        raise InputError(f"--keys {word}: no key contains it; {hint}--keys alone lists all")
    out = ResultConsole()
    for key, default, meaning in matches:
        out.print(Text.assemble((key, "bold"), f"={default}"), soft_wrap=True)
        out.print(Padding(Text(meaning), (0, 0, 0, 4), expand=False))


def keys_of(section: Any, prefix: str = "") -> list[tuple[str, str, str]]:  # noqa: ANN401
    """Return every key of a ``section`` of the schema with its value and meaning."""
    meanings = _meanings(type(section))
    rows: list[tuple[str, str, str]] = []
    for item in fields(section):
        value = getattr(section, item.name)
        if is_dataclass(value):
            rows += keys_of(value, f"{prefix}{item.name}.")
        else:
            rows.append((prefix + item.name, _default_text(value), meanings.get(item.name, "")))
    return rows


def _meanings(section: type) -> dict[str, str]:
    """Return the docstrings that follow the fields of a dataclass."""
    body = ast.parse(inspect.getsource(section)).body[0].body  # type: ignore[attr-defined]
    meanings = {}
    for line, after in pairwise(body):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            text = getattr(getattr(after, "value", None), "value", None)
            if isinstance(after, ast.Expr) and isinstance(text, str):
                meanings[line.target.id] = " ".join(text.split())
    return meanings


def _first_comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = [line[1:].strip() for line in lines if line.startswith("#")]
    return escape(next((text for text in comments if "@package" not in text), ""))


def _default_text(value: Any) -> str:  # noqa: ANN401  # a default of any type
    if isinstance(value, dict) and len(value) > MOST_ENTRIES:
        return f"{len(value)} entries"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)
