"""Time kernels, models and training steps on this machine, beside others.

python -m fakesound.bench scan|model|train [options]
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from fakesound.cli import guarded
from fakesound.config.run import KERNELS
from fakesound.errors import InputError

if TYPE_CHECKING:
    from fakesound.benchmarks.measure import Method
    from fakesound.benchmarks.records import Record

_KERNELS = tuple(name for name in KERNELS if name not in ("auto", "reference"))
BACKENDS = {
    "scan": (*_KERNELS, "c_loop", "mambapy", "reference"),
    "model": (*_KERNELS, "matmul", "transformer", "mambapy", "reference"),
    "train": (*_KERNELS, "reference"),
}
# a Python loop over the tokens of every layer: only for those who name it
_SLOW = {"model": ("reference",), "train": ("reference",)}


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all errors of the user's are."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; --help tells more")


def main() -> None:
    """Run from the command line."""
    guarded(_main)


def _main() -> None:
    options = _parser().parse_args()
    _check(options)
    if options.what == "train":
        _train(options)
    elif options.what == "model":
        _model(options)
    else:
        _scan(options)


def _scan(options: argparse.Namespace) -> None:
    method = _method(options)
    from fakesound.benchmarks.scan import bench_scan
    from fakesound.benchmarks.scan_backends import Size

    sizes = [
        Size(
            batch,
            tokens,
            options.channels,
            options.state,
            options.directions,
            options.tied_decay,
        )
        for tokens in options.tokens
        for batch in options.batch
    ]
    _report(options, method, *bench_scan(sizes, method, _default("scan")))


def _model(options: argparse.Namespace) -> None:
    from fakesound.composition import compose_config, run_config

    overrides = [
        f"backbone={options.backbone}",
        f"backbone.tied_decay={options.tied_decay}",
        "backbone.drop_path=0",
    ]
    config = run_config(compose_config(overrides))
    method = _method(options)
    from fakesound.benchmarks.model import bench_model

    found = bench_model(config, options.batch, options.tokens, method, _default("model"))
    _report(options, method, *found)


def _train(options: argparse.Namespace) -> None:
    from fakesound.composition import compose_config, run_config
    from fakesound.forging.corpus import resolve_corpus

    given = [f"experiment={options.experiment}", f"data.prepared={options.prepared}"]
    config = run_config(compose_config([*given, *options.overrides]))
    corpus = None if options.synthetic else resolve_corpus(config.data, config.split)
    method = _method(options)
    from fakesound.benchmarks.train import bench_train

    _report(options, method, bench_train(config, corpus, method, _default("train")), {})


def _default(what: str) -> list[str]:
    return [name for name in BACKENDS[what] if name not in _SLOW.get(what, ())]


def _method(options: argparse.Namespace) -> "Method":
    """Return how to measure, and set the number of threads; imports torch."""
    import torch

    from fakesound.benchmarks.measure import Method

    if options.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device=cuda: torch finds no such device here")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    return Method(options.rounds, device, dtype, options.backends)


def _report(
    options: argparse.Namespace,
    method: "Method",
    records: list["Record"],
    wrong: dict[str, str],
) -> None:
    """Print the table, write the file; backends that compute something else are a failure."""
    from rich.console import Console

    from fakesound.benchmarks.records import machine, write_records
    from fakesound.benchmarks.table import caption, side_by_side, training_table

    output = Console() if sys.stdout.isatty() else Console(width=100)
    if records:
        output.print(training_table(records) if options.what == "train" else side_by_side(records))
        output.print(caption(records, machine(method.device)), highlight=False)
    if options.json is not None:
        write_records(options.json, method.device, records)
    if wrong:
        sys.exit("\n".join(f"not timed: {name} {problem}" for name, problem in wrong.items()))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=sys.argv[0] if sys.argv[0].startswith("fakesound") else "python -m fakesound.bench",
        description=(
            "Time our kernels beside others in one process, in turn, so that all see the same "
            "machine. Medians of the rounds, ratios to our fastest kernel, peak memory above what "
            "was in use, and the seconds of the first call, which may compile."
        ),
    )
    # not required by argparse, whose own message names no choice
    verbs = parser.add_subparsers(dest="what", metavar="scan|model|train", required=True)
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
    return parser


def _add_sizes(parser: argparse.ArgumentParser, tokens: str) -> None:
    parser.add_argument("--tokens", default=tokens, metavar="L,L", help=f"lengths ({tokens})")
    parser.add_argument("--batch", default="1,8", metavar="B,B", help="clips at once (1,8)")
    parser.add_argument(
        "--tied-decay",
        action="store_true",
        help="one decay rate a channel, not one a state; what has no such thing computes the same "
        "the long way",
    )


def _add_method(parser: argparse.ArgumentParser, what: str, rounds: int) -> None:
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
    parser.add_argument(
        "--backends",
        metavar="A,B",
        help=f"of {', '.join(BACKENDS[what])} (all that can run here)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the records there too")


def _check(options: argparse.Namespace) -> None:
    """Read lists and check numbers, before anything heavy is imported."""
    for name in ("rounds", "threads", "channels", "state"):
        value = getattr(options, name, None)
        if value is not None and value < 1:
            raise InputError(f"--{name}={value}: must be at least 1")
    if getattr(options, "directions", 1) not in (1, 2):
        raise InputError(f"--directions={options.directions}: must be 1 or 2")
    for name in ("tokens", "batch"):
        if hasattr(options, name):
            setattr(options, name, _numbers(f"--{name}", getattr(options, name)))
    if options.backends is not None:
        known = BACKENDS[options.what]
        named = list(dict.fromkeys(options.backends.split(",")))
        for name in named:
            if name not in known:
                raise InputError(f"--backends={name}: choose of {', '.join(known)}")
        options.backends = named
    if options.json is not None and options.json.is_dir():
        raise InputError(f"--json={options.json}: is a folder; name a file")


def _numbers(option: str, text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise InputError(f"{option}={text}: must be whole numbers above 0, with commas between")
    return list(dict.fromkeys(int(part) for part in parts))


if __name__ == "__main__":
    main()
