"""``bench model``: a whole Vision Mamba, kernel beside kernel, and beside other models."""

from collections.abc import Sequence

import torch
from torch import nn

from fakesound.benchmarks.backends import choose
from fakesound.benchmarks.measure import TOLERANCE, Method, Session, difference
from fakesound.benchmarks.memory import available_bytes
from fakesound.benchmarks.model_backends import (
    MATMUL,
    TRANSFORMER,
    build,
    call_of,
    model_of,
    model_problem,
    size_of,
)
from fakesound.benchmarks.records import DIRECTIONS, Record
from fakesound.benchmarks.timing import clock, timed
from fakesound.config import RunConfig

# few enough tokens for the reference to be quick
_CHECKED_TOKENS = 33


def bench_model(
    config: RunConfig,
    batches: Sequence[int],
    tokens: Sequence[int],
    method: Method,
    default: Sequence[str],
) -> tuple[list[Record], dict[str, str]]:
    """Return the records, and what is wrong with backends that were not timed.

    Args:
        config: whose backbone it is; nothing in it may be random.
        batches: numbers of spectrograms.
        tokens: of the model for each; the nearest possible numbers are taken.
        method: how to measure.
        default: backends to take where the user names none.

    Raises:
        InputError: if a backend that the user names cannot run.
    """
    largest = size_of(config, max(batches), max(tokens))
    available = available_bytes(method.device)
    backends = choose(
        method.backends,
        default,
        lambda name: model_problem(name, config, largest, available, method),
    )
    session = Session(method)
    right = _agreeing(backends, config, session)
    records: list[Record] = []
    calls = len(right) * len(batches) * len(tokens) * len(DIRECTIONS)
    with session.progress(calls * (method.rounds + 1)):
        for count in tokens:
            for batch in batches:
                records += _measure(right, config, batch, count, session)
    return records, session.wrong


def _measure(
    backends: Sequence[str],
    config: RunConfig,
    batch: int,
    tokens: int,
    session: Session,
) -> list[Record]:
    device, dtype = session.method.device, session.method.dtype
    torch.manual_seed(0)
    model, shape = build(config, tokens)
    models = {name: model_of(name, model).to(device) for name in backends}
    spectrogram = shape.make(batch, device)
    letters = size_of(config, batch, shape.tokens).letters
    records = []
    for direction in DIRECTIONS:
        for made in models.values():
            made.train(direction != "forward")
        measured = session.measure(
            "model",
            direction,
            letters,
            {name: call_of(made, direction, spectrogram, dtype) for name, made in models.items()},
            {
                "backbone": config.backbone.name,
                "tied_decay": config.backbone.tied_decay,
                "bins": shape.bins,
                "windows": shape.windows,
            },
            against=[MATMUL],
        )
        for record in measured:
            record.extra["parameters"] = _parameters(models[record.backend])
        records += measured
    return records


def _agreeing(backends: Sequence[str], config: RunConfig, session: Session) -> list[str]:
    """Return the backends to time; note those that differ from the reference on a small case."""
    device, dtype = session.method.device, session.method.dtype
    torch.manual_seed(0)
    model, shape = build(config, _CHECKED_TOKENS)
    spectrogram = shape.make(1, device)
    reference = model_of("reference", model).to(device)
    expected = call_of(reference, "forward", spectrogram, torch.float32)()
    right = []
    for name in backends:
        if name not in (MATMUL, TRANSFORMER):
            call = call_of(model_of(name, model).to(device), "forward", spectrogram, dtype)
            session.first[name, "forward"] = timed(call, clock(device))
            off = difference(call(), expected)
            if not off <= TOLERANCE[dtype]:
                session.wrong[name] = (
                    f"differs from the reference by {off:.1e} of the largest value"
                )
                continue
        right.append(name)
    return right


def _parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
