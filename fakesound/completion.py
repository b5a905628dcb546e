"""Print a script with which a shell completes verbs, options and values of ``fakesound``.

fakesound completion {bash,zsh,tcsh}
"""

import argparse
import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fakesound import command_line
from fakesound.command_line import VERBS, entry_point
from fakesound.errors import InputError

DESCRIPTION = """\
Print a script with which your shell completes verbs, options, choices and files, and the groups of
configurations of `run`. It needs `pip install '.[completion]'`.
"""
EXAMPLES = """\
examples:
  eval "$(fakesound completion bash)"        in ~/.bashrc
  eval "$(fakesound completion zsh)"         in ~/.zshrc, after compinit
"""
SHELLS = ("bash", "zsh", "tcsh")
# bash splits words at "=", so it must complete key=value as one word and replace only the value
BASH = r"""
_fakesound() {
  local word="${COMP_LINE:0:COMP_POINT}"
  word="${word##*[[:space:]]}"
  [[ $COMP_WORDBREAKS == *=* && $word == [!-]*=* ]] || word=""
  [[ -z $word ]] || COMP_WORDS[COMP_CWORD]="$word"
  _shtab_fakesound
  [[ -z $word ]] || COMPREPLY=("${COMPREPLY[@]#"${word%=*}="}")
  [[ -n ${COMPREPLY[0]} ]] || COMPREPLY=()
  [[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2> /dev/null
}
complete -o bashdefault -o default -F _fakesound fakesound
"""


@entry_point
def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_args()
    if find_spec("shtab") is None:
        raise InputError("shtab: not installed; pip install '.[completion]' or pip install shtab")
    import shtab

    script = shtab.complete(_all_verbs(shtab.FILE), options.shell)
    print(script + BASH if options.shell == "bash" else script)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this verb."""
    parser = command_line.parser("completion", DESCRIPTION, EXAMPLES)
    parser.add_argument("shell", choices=SHELLS, help="your shell")
    return parser


def _all_verbs(file: Any) -> argparse.ArgumentParser:  # noqa: ANN401  # untyped there
    """Return one parser with a subcommand for each verb.

    Args:
        file: what shtab takes as the completion of an argument that is a file.
    """
    whole = argparse.ArgumentParser("fakesound")
    verbs = whole.add_subparsers()
    for verb, summary in VERBS.items():
        if verb == "run":
            parser = _of_assignments()
        else:
            parser = importlib.import_module(f"fakesound.{verb}").build_parser()
        for action in parser._actions:
            if action.type is Path or action.metavar in ("FILE", "FOLDER"):
                action.complete = file  # type: ignore[attr-defined]  # read by shtab
        verbs.add_parser(verb, parents=[parser], add_help=False, help=summary)
    return whole


def _of_assignments() -> argparse.ArgumentParser:
    """Return a parser of ``run`` with the choices of each group."""
    from fakesound.config.compose import configuration_folder

    parser = argparse.ArgumentParser()
    files = sorted(configuration_folder().glob("*/*.yaml"))
    choices = [f"{path.parent.name}={path.stem}" for path in files]
    parser.add_argument("--multirun", "-m", action="store_true", help="run a sweep")
    parser.add_argument("--keys", metavar="WORD", help="list the keys about a word")
    parser.add_argument("--reproduce", type=Path, metavar="RUN", help="repeat a run")
    parser.add_argument("assignments", nargs="*", choices=choices)
    return parser
