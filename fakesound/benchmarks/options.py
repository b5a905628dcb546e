"""Options of ``bench``, checked before anything heavy is imported."""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from fakesound.config.run import KERNELS
from fakesound.errors import InputError

_KERNELS = tuple(name for name in KERNELS if name not in ("auto", "reference"))
BACKENDS = {
    "scan": (*_KERNELS, "c_loop", "mambapy", "reference"),
    "model": (*_KERNELS, "matmul", "transformer", "mambapy", "reference"),
    "train": (*_KERNELS, "reference"),
}
# of the size of the smallest Vision Mamba, and of Vim-tiny
BACKBONES = (
    "vim_micro,transformer_micro,ssd_micro,fcn_resnet,mobilenet,vim_tiny,transformer_tiny,ssd_tiny"
)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all errors of the user's are."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; --help tells more")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = _Parser(
        prog=sys.argv[0] if sys.argv[0].startswith("fakesound") else "python -m fakesound.bench",
        description=(
            "Time our kernels beside others in one process, in turn, so that all see the same "
            "machine. Medians of the rounds, ratios to our fastest kernel, peak memory above what "
            "was in use, and the seconds of the first call, which may compile."
        ),
    )
    # not required by argparse, whose own message names no choice
    verbs = made.add_subparsers(
        dest="what", metavar="scan|model|train|backbones|data", required=True
    )
    scan = verbs.add_parser(
        "scan",
        help="the selective scan alone",
        description=(
            "The selective scan alone, with skip and gate. cpu, triton, mamba_ssm and chunked are "
            "kernels of this package (mamba_ssm calls that project's); mambapy is that project's "
            "parallel scan; c_loop is a plain loop in C, compiled now, forward only; reference is "
            "a Python loop. What differs from the reference on a small case is not timed."
        ),
    )
    _add_sizes(scan, "197,512")
    scan.add_argument("--channels", type=int, default=384, metavar="E", help="inside a block (384)")
    scan.add_argument("--state", type=int, default=16, metavar="N", help="states of a channel (16)")
    scan.add_argument(
        "--directions", type=int, default=2, metavar="1|2", help="forward alone, or both ways (2)"
    )
    _add_method(scan, "scan", 7)
    model = verbs.add_parser(
        "model",
        help="a whole Vision Mamba",
        description=(
            "A whole Vision Mamba on noise, with each kernel. matmul is its matrix products alone, "
            "the floor for any kernel; transformer an encoder like ViT and AST with as many "
            "parameters; mambapy that project's Vim. reference runs only if named, for it is slow."
        ),
    )
    model.add_argument(
        "--backbone", default="vim_tiny", metavar="NAME", help="vim_{micro,tiny,small,base} (tiny)"
    )
    _add_sizes(model, "197")
    _add_method(model, "model", 5)
    train = verbs.add_parser(
        "train",
        help="training steps of an experiment",
        description=(
            "Training steps of an experiment, split into loading, features, forward and backward, "
            "and the optimiser: on noise, and on crops of its corpus, which is forged first if it "
            "is not there. reference runs only if named, for it is slow."
        ),
    )
    train.add_argument(
        "overrides", nargs="*", metavar="key=value", help="of the configuration, as for run"
    )
    train.add_argument("--experiment", default="mt_vim", metavar="NAME", help="as for run (mt_vim)")
    train.add_argument(
        "--prepared", default="prepared", metavar="FOLDER", help="of forged clips (prepared)"
    )
    train.add_argument("--synthetic", action="store_true", help="noise only: nothing is forged")
    _add_method(train, "train", 10)
    backbones = verbs.add_parser(
        "backbones",
        help="whole detectors, backbone beside backbone",
        description=(
            "Whole detectors, from waveform to logits, with each backbone: parameters, FLOPs of "
            "one crop of training (matrix products, convolutions and attention as torch counts "
            "them, and the scan at seven a state), tokens, and time and memory. What does not fit "
            "into memory is left out and told."
        ),
    )
    backbones.add_argument(
        "--backbones",
        default=BACKBONES,
        metavar="A,B",
        help=f"of conf/backbone, ratios are to the first ({BACKBONES})",
    )
    backbones.add_argument("--batch", default="8", metavar="B,B", help="crops at once (8)")
    _add_method(backbones, None, 5)
    _add_data(verbs.add_parser("data", help="manifests, and crops out of files and shards"))
    return made


def _add_data(data: argparse.ArgumentParser) -> None:
    data.description = (
        "Opening a manifest of so many rows, each time in a process of its own, whose peak memory "
        "is that of all it holds; and crops a second out of one file a clip, and out of shards of "
        "the same clips, on the disk of --folder. Clips are made for it and removed."
    )
    for name, default, metavar, told in (
        ("rows", 1_000_000, "N", "of the manifest"),
        ("clips", 400, "N", "to read crops of"),
        ("seconds", 6, "S", "of a clip"),
    ):
        told = f"{told} ({default})"
        data.add_argument(f"--{name}", type=int, default=default, metavar=metavar, help=told)
    data.add_argument("--workers", default="0,2", metavar="W,W", help="processes that read (0,2)")
    data.add_argument("--folder", type=Path, metavar="DIR", help="on the disk to measure (/tmp)")
    data.add_argument("--rounds", type=int, default=5, metavar="N", help="of each (5)")
    data.add_argument("--json", type=Path, metavar="FILE", help="write the records there too")
    data.set_defaults(threads=None, device="cpu", dtype="float32")


def _add_sizes(parser: argparse.ArgumentParser, tokens: str) -> None:
    parser.add_argument("--tokens", default=tokens, metavar="L,L", help=f"lengths ({tokens})")
    parser.add_argument("--batch", default="1,8", metavar="B,B", help="clips at once (1,8)")
    parser.add_argument(
        "--tied-decay",
        action="store_true",
        help="one decay rate a channel, not one a state; what has no such thing computes the same "
        "the long way",
    )


def _add_method(parser: argparse.ArgumentParser, what: str | None, rounds: int) -> None:
    parser.add_argument(
        "--rounds", type=int, default=rounds, metavar="N", help=f"calls of each ({rounds})"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="on the CPU (as torch chooses)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where (cpu)")
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="of activations (float32)",
    )
    if what is not None:
        parser.add_argument(
            "--backends",
            metavar="A,B",
            help=f"of {', '.join(BACKENDS[what])} (all that can run here)",
        )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the records there too")


def check(options: argparse.Namespace) -> None:
    """Read lists and check numbers, before anything heavy is imported."""
    for name in ("rounds", "threads", "channels", "state", "rows", "clips", "seconds"):
        value = getattr(options, name, None)
        if value is not None and value < 1:
            raise InputError(f"--{name}={value}: must be at least 1")
    if getattr(options, "directions", 1) not in (1, 2):
        raise InputError(f"--directions={options.directions}: must be 1 or 2")
    for name in ("tokens", "batch"):
        if hasattr(options, name):
            setattr(options, name, _numbers(f"--{name}", getattr(options, name)))
    if hasattr(options, "workers"):
        options.workers = _numbers("--workers", options.workers, least=0)
    if getattr(options, "folder", None) is not None and not options.folder.is_dir():
        raise InputError(f"--folder={options.folder}: no such folder")
    if getattr(options, "backends", None) is not None:
        known = BACKENDS[options.what]
        named = list(dict.fromkeys(options.backends.split(",")))
        for name in named:
            if name not in known:
                raise InputError(f"--backends={name}: choose of {', '.join(known)}")
        options.backends = named
    if hasattr(options, "backbones"):
        options.backbones = list(dict.fromkeys(options.backbones.split(",")))
    if options.json is not None and options.json.is_dir():
        raise InputError(f"--json={options.json}: is a folder; name a file")


def _numbers(option: str, text: str, least: int = 1) -> list[int]:
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) >= least for part in parts):
        above = "above 0" if least else "from 0"
        raise InputError(f"{option}={text}: must be whole numbers {above}, with commas between")
    return list(dict.fromkeys(int(part) for part in parts))
