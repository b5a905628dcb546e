"""One training step with the time of its parts, and noise to train on where no corpus is at hand.

A step is what Lightning runs of ours: the batch is loaded, the module makes features, loss and
gradients, then optimiser and schedule step. Lightning's own work around it is not in it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fakesound.benchmarks.measure import Method
from fakesound.benchmarks.timing import clock
from fakesound.config import RunConfig
from fakesound.data.dataset import Batch, collate
from fakesound.models.build import GRID
from fakesound.training.module import MultiTaskModule

PARTS = ("loading", "features", "forward+backward", "optimiser")
STEP = "step"


class Crops(Protocol):
    """Training crops by number."""

    def __getitem__(self, number: int) -> Batch:
        """Return a crop, without a batch axis."""
        ...


class SyntheticCrops:
    """Noise in pairs as training crops come in: a fake, its second half fake, and a genuine twin.

    Args:
        config: gives the length.
    """

    def __init__(self, config: RunConfig) -> None:
        self.frames = GRID.count(config.data.crop.seconds)
        self.samples = self.frames * GRID.samples(config.data.sample_rate)
        # of the fakes, in turn
        self.families = ["even", "odd"]

    def __getitem__(self, number: int) -> Batch:
        """Return crop ``number``, the same whenever it is asked for."""
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
    """Return a function that loads the batch of a step; noise is made once and kept."""

    def load(number: int) -> Batch:
        return collate([crops[number * size + place] for place in range(size)])

    if not isinstance(crops, SyntheticCrops):
        return load
    kept = load(0)
    return lambda _: kept


class Trainee:
    """A module in training, outside Lightning's trainer.

    Args:
        module: of its own.
        load: returns the batch of a step.
        method: on which device and in which dtype.
    """

    def __init__(
        self, module: MultiTaskModule, load: Callable[[int], Batch], method: Method
    ) -> None:
        self.module, self.load, self.method = module, load, method
        self.now = clock(method.device)
        module.log_dict = _log_nothing  # type: ignore[method-assign]  # there is no trainer to log to
        made = cast(dict[str, Any], module.configure_optimizers())
        self.optimiser: Optimizer = made["optimizer"]
        self.schedule: LRScheduler = made["lr_scheduler"]["scheduler"]

    def step(self, number: int) -> dict[str, float]:
        """Take step ``number`` and return the seconds of its parts, and of it all."""
        device, dtype = self.method.device, self.method.dtype
        start = self.now()
        batch = Batch(*(tensor.to(device) for tensor in self.load(number)))
        loaded = self.now()
        with _timed(self.module.detector.features, self.now) as spent:
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                loss = self.module.training_step(batch, number)
            loss.backward()
        learned = self.now()
        self.optimiser.step()
        self.schedule.step()
        self.optimiser.zero_grad()
        stepped = self.now()
        features = sum(spent)
        learning = learned - loaded - features
        times = (loaded - start, features, learning, stepped - learned, stepped - start)
        return dict(zip((*PARTS, STEP), times, strict=True))


@contextmanager
def _timed(module: nn.Module, now: Callable[[], float]) -> Iterator[list[float]]:
    """Yield a list that the seconds of each call of ``module`` go to."""
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


def _log_nothing(*_: object, **__: object) -> None:
    pass
