"""Time training steps of an experiment: loading, features, forward and backward, optimiser.

Steps run on noise, and on crops of the corpus of the experiment, which is forged first if it is
missing. A step is that of Lightning, without the overhead of its trainer. reference, a Python loop,
runs only if it is named.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import Any, Protocol, cast

import torch
from torch import nn

from benchmarks.backbones import tokens_of
from benchmarks.common import (
    KERNELS,
    Method,
    Record,
    choose,
    in_turn,
    kernel_problem,
    make_parser,
    method_of,
    peak_bytes,
    progress,
    report,
    with_kernel,
)
from benchmarks.model import only_vim
from fakesound.command_line import guarded
from fakesound.config import RunConfig
from fakesound.config.compose import compose_config, run_config
from fakesound.data.crops import CropDataset
from fakesound.data.dataset import Batch, collate
from fakesound.forging.corpus import Corpus, resolve_corpus
from fakesound.models.scan import resolve_kernel
from fakesound.timeline import GRID
from fakesound.training.module import MultiTaskModule
from fakesound.training.trainer import build_datamodule, build_module

BACKENDS = (*KERNELS, "reference")
SYNTHETIC, CROPS = "synthetic", "crops"
PARTS = ("loading", "features", "forward+backward", "optimiser")
STEP = "step"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this script."""
    parser = make_parser(__doc__ or "", 10, BACKENDS)
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="overrides of the configuration, as in `fakesound run`",
    )
    parser.add_argument(
        "--experiment", default="mt_vim", metavar="NAME", help="experiment of conf/ (mt_vim)"
    )
    parser.add_argument("--prepared", default="prepared", help="folder of forged clips (prepared)")
    parser.add_argument(
        "--synthetic", action="store_true", help="run on noise only and forge nothing"
    )
    return parser


def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_args()
    own = [f"experiment={options.experiment}", f"data.prepared={options.prepared}"]
    config = only_vim(run_config(compose_config([*own, *options.overrides])))
    corpus = None if options.synthetic else resolve_corpus(config.data, config.split)
    records = bench(config, corpus, method_of(options), options.backends)
    columns = {
        "data": "data",
        "kernel": "backend",
        "part": "what",
        "ms": "seconds",
        "x ours": "ratio",
        "share": "share",
        "loading and features": "loading_and_features_share",
        "MiB": "peak_bytes",
    }
    report(options, records, columns)


def bench(
    config: RunConfig, corpus: Corpus | None, method: Method, named: Sequence[str] | None = None
) -> list[Record]:
    """Return the records of whole steps and of their parts.

    Args:
        config: configuration of the experiment.
        corpus: corpus to load crops from; None to measure on noise alone.
        method: rounds, device and dtype.
        named: kernels from the command line; None for all that can run.

    Raises:
        InputError: if a named kernel cannot run, or the data is wrong.
    """
    kernels = choose(named, BACKENDS, lambda name: kernel_problem(name, method), ["reference"])
    sources: dict[str, Crops] = {SYNTHETIC: SyntheticCrops(config)}
    if corpus is not None:
        datamodule = build_datamodule(config, corpus)
        datamodule.prepare_data()
        datamodule.setup()
        sources[CROPS] = datamodule.train_crops
    fitted_on = sources.get(CROPS, sources[SYNTHETIC])
    module = build_module(config, cast(CropDataset, fitted_on)).to(method.device).train()
    trainees = {
        (kernel, source): Trainee(
            with_kernel(module, kernel), loader(crops, config.data.batch_size), method
        )
        for source, crops in sources.items()
        for kernel in kernels
    }
    steps: dict[tuple[str, str], list[dict[str, float]]] = {key: [] for key in trainees}
    # the first round compiles
    for number, key in progress(list(in_turn(list(trainees), method.rounds + 1))):
        steps[key].append(trainees[key].step(number))
    medians = {
        key: {part: median(step[part] for step in rounds[1:]) for part in (*PARTS, STEP)}
        for key, rounds in steps.items()
    }
    ours = resolve_kernel("auto", method.device, method.dtype)
    records = []
    for (kernel, source), seconds in medians.items():
        trainee = trainees[kernel, source]
        common = {
            "backend": kernel,
            "B": config.data.batch_size,
            "L": tokens_of(trainee.module.detector, config),
            "E": config.backbone.expand * config.backbone.dim,
            "N": config.backbone.state,
            "experiment": config.name,
            "data": source,
            **method.extra,
        }
        rows = step_records(seconds, medians.get((ours, source)), common, loaded=source == CROPS)
        spent = seconds["loading"] + seconds["features"]
        rows[0] |= {
            "peak_bytes": peak_bytes(partial(trainee.step, 0), method.device),
            "first_call_seconds": steps[kernel, source][0][STEP],
            "loading_and_features_share": spent / seconds[STEP],
        }
        records += rows
    return records


def step_records(
    seconds: Mapping[str, float], ours: Mapping[str, float] | None, common: Record, loaded: bool
) -> list[Record]:
    """Return the records of a whole step, the first one, and of its parts.

    Args:
        seconds: seconds of the step and of its parts.
        ours: seconds with our fastest kernel; None if it was not timed.
        common: further keys of each record.
        loaded: whether the crops are loaded; noise is not.
    """
    return [
        {
            "what": f"train {part}",
            "direction": "forward" if part in PARTS[:2] else "forward+backward",
            "seconds": seconds[part],
            "peak_bytes": None,
            "first_call_seconds": None,
            **common,
            "ratio": None if ours is None else seconds[part] / ours[part],
            **({} if part == STEP else {"share": seconds[part] / seconds[STEP]}),
        }
        for part in (STEP, *PARTS[not loaded :])
    ]


class Crops(Protocol):
    """Training crops by number."""

    def __getitem__(self, number: int) -> Batch:
        """Return a crop, without a batch axis."""
        ...


class SyntheticCrops:
    """Noise in pairs like training crops: a fake, its second half fake, and a genuine twin."""

    def __init__(self, config: RunConfig) -> None:
        self.frames = GRID.count(config.data.crop.seconds)
        self.samples = self.frames * GRID.samples(config.data.sample_rate)
        # families of the fakes, in turn
        self.families = ["even", "odd"]

    def __getitem__(self, number: int) -> Batch:
        """Return crop ``number``, the same at each call."""
        generator = torch.Generator().manual_seed(number)
        target = torch.zeros(self.frames)
        target[self.frames // 2 :] = float(number % 2 == 0)
        return Batch(
            0.1 * torch.randn(self.samples, generator=generator),
            target.max(),
            target,
            torch.ones(self.frames, dtype=torch.bool),
            torch.tensor(number),
            torch.tensor(-1 if number % 2 else number // 2 % 2),
        )


def loader(crops: Crops, size: int) -> Callable[[int], Batch]:
    """Return a function that loads the batch of a step; noise is generated once."""

    def load(number: int) -> Batch:
        return collate([crops[number * size + place] for place in range(size)])

    if not isinstance(crops, SyntheticCrops):
        return load
    batch = load(0)
    return lambda _: batch


class Trainee:
    """A module in training, outside Lightning's trainer.

    Args:
        module: module that nothing else uses.
        load: function that returns the batch of a step.
        method: device and dtype.
    """

    def __init__(
        self, module: MultiTaskModule, load: Callable[[int], Batch], method: Method
    ) -> None:
        self.module, self.load, self.method = module, load, method
        # without a trainer there is no logger
        module.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
        optimisers = cast(dict[str, Any], module.configure_optimizers())
        self.optimiser = optimisers["optimizer"]
        self.schedule = optimisers["lr_scheduler"]["scheduler"]

    def step(self, number: int) -> dict[str, float]:
        """Run step ``number`` and return the seconds of its parts and of the whole step."""
        device, dtype, now = self.method.device, self.method.dtype, self.method.now
        start = now()
        batch = Batch(*(tensor.to(device) for tensor in self.load(number)))
        loaded = now()
        with _timed(self.module.detector.features, now) as spent:
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                loss = self.module.training_step(batch, number)
            loss.backward()
        learned = now()
        self.optimiser.step()
        self.schedule.step()
        self.optimiser.zero_grad()
        stepped = now()
        features = sum(spent)
        learning = learned - loaded - features
        times = (loaded - start, features, learning, stepped - learned, stepped - start)
        return dict(zip((*PARTS, STEP), times, strict=True))


@contextmanager
def _timed(module: nn.Module, now: Callable[[], float]) -> Iterator[list[float]]:
    """Yield a list that receives the seconds of each call of ``module``."""
    starts: list[float] = []
    spent: list[float] = []
    hooks = [
        module.register_forward_pre_hook(lambda *_: starts.append(now())),
        module.register_forward_hook(lambda *_: spent.append(now() - starts.pop())),
    ]
    try:
        yield spent
    finally:
        for hook in hooks:
            hook.remove()


if __name__ == "__main__":
    guarded(main)
