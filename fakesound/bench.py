"""Time kernels, models, training steps, backbones and data on this machine, beside others.

python -m fakesound.bench scan|model|train|backbones|data [options]
"""

import argparse
import sys
from typing import TYPE_CHECKING

from fakesound.benchmarks.options import BACKENDS, check, parser
from fakesound.command_line import guarded
from fakesound.errors import InputError

if TYPE_CHECKING:
    from fakesound.benchmarks.measure import Method
    from fakesound.benchmarks.records import Record
    from fakesound.config import RunConfig

# a Python loop over the tokens of every layer: only for those who name it
_SLOW = {"model": ("reference",), "train": ("reference",)}


def main() -> None:
    """Run from the command line."""
    guarded(_main)


def _main() -> None:
    options = parser().parse_args()
    check(options)
    measure = {"scan": _scan, "model": _model, "train": _train, "backbones": _backbones}
    measure["data"] = _data
    measure[options.what](options)


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
    from fakesound.config.composition import compose_config, run_config

    overrides = [
        f"backbone={options.backbone}",
        f"backbone.tied_decay={options.tied_decay}",
        "backbone.drop_path=0",
    ]
    config = run_config(compose_config(overrides))
    _only_vim(config)
    method = _method(options)
    from fakesound.benchmarks.model import bench_model

    found = bench_model(config, options.batch, options.tokens, method, _default("model"))
    _report(options, method, *found)


def _train(options: argparse.Namespace) -> None:
    from fakesound.config.composition import compose_config, run_config
    from fakesound.forging.corpus import resolve_corpus

    given = [f"experiment={options.experiment}", f"data.prepared={options.prepared}"]
    config = run_config(compose_config([*given, *options.overrides]))
    _only_vim(config)
    corpus = None if options.synthetic else resolve_corpus(config.data, config.split)
    method = _method(options)
    from fakesound.benchmarks.train import bench_train

    _report(options, method, bench_train(config, corpus, method, _default("train")), {})


def _backbones(options: argparse.Namespace) -> None:
    from fakesound.config.composition import compose_config, run_config

    configs = {
        name: run_config(compose_config([f"backbone={name}", "backbone.drop_path=0"]))
        for name in options.backbones
    }
    method = _method(options)
    from fakesound.benchmarks.backbones import bench_backbones

    _report(options, method, bench_backbones(configs, options.batch, method), {})


def _data(options: argparse.Namespace) -> None:
    method = _method(options)
    from fakesound.benchmarks.data import DataSizes, bench_data

    sizes = DataSizes(options.rows, options.clips, options.seconds, tuple(options.workers))
    _report(options, method, bench_data(sizes, options.rounds, options.folder), {})


def _only_vim(config: "RunConfig") -> None:
    if config.backbone.kind != "vim":
        raise InputError(
            f"backbone={config.backbone.name}: is no Vision Mamba, whose kernels are timed here; "
            "python -m fakesound.bench backbones times it"
        )


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
    return Method(options.rounds, device, dtype, getattr(options, "backends", None))


def _report(
    options: argparse.Namespace,
    method: "Method",
    records: list["Record"],
    wrong: dict[str, str],
) -> None:
    """Print the table, write the file; backends that compute something else are a failure."""
    from rich.console import Console

    from fakesound.benchmarks.records import machine, write_records
    from fakesound.benchmarks.table import (
        backbones_table,
        caption,
        data_table,
        side_by_side,
        training_table,
    )

    output = Console() if sys.stdout.isatty() else Console(width=100)
    if records:
        tables = {"train": training_table, "backbones": backbones_table, "data": data_table}
        output.print(tables.get(options.what, side_by_side)(records))
        output.print(caption(records, machine(method.device)), highlight=False)
    if options.json is not None:
        write_records(options.json, method.device, records)
    if wrong:
        sys.exit("\n".join(f"not timed: {name} {problem}" for name, problem in wrong.items()))


if __name__ == "__main__":
    main()
