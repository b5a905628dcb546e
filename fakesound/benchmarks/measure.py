"""One case measured: every backend timed in turn, then its memory taken."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from fakesound.benchmarks.backends import fastest
from fakesound.benchmarks.memory import peak_bytes
from fakesound.benchmarks.records import Record
from fakesound.benchmarks.timing import clock, interleave
from fakesound.progress import progress_bar

# largest difference from the reference, as a share of the largest value
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2}


@dataclass(frozen=True)
class Method:
    """How to measure.

    Attributes:
        rounds: calls of each backend, after a first one.
        device: where.
        dtype: of activations; parameters are float32.
        backends: names given by the user; None for all that can run.
    """

    rounds: int
    device: torch.device
    dtype: torch.dtype
    backends: Sequence[str] | None = None


@dataclass
class Session:
    """What one run of a benchmark keeps.

    Attributes:
        method: how to measure.
        step: called after every call.
        first: seconds of the first call of each (backend, direction) in this process.
        wrong: backends that are not timed, and why.
    """

    method: Method
    step: Callable[[], None] = lambda: None
    first: dict[tuple[str, str], float] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def progress(self, steps: int) -> Iterator[None]:
        """Show a bar of ``steps`` calls."""
        with progress_bar("timing") as bar:
            done = 0

            def step() -> None:
                nonlocal done
                done += 1
                bar(done, max(done, steps))

            self.step = step
            yield

    def measure(
        self,
        what: str,
        direction: str,
        letters: Mapping[str, int],
        calls: Mapping[str, Callable[[], object]],
        extra: Mapping[str, Any],
        against: Sequence[str] = (),
    ) -> list[Record]:
        """Return a record of each of ``calls``.

        Args:
            what: see `Record`.
            direction: see `Record`.
            letters: B, L, E and N.
            calls: by backend.
            extra: see `Record`.
            against: backends that there is a ratio to, besides our fastest kernel.
        """
        method = self.method
        timings = interleave(calls, method.rounds, clock(method.device), self.step)
        ours = fastest(calls, method.device, method.dtype)
        records = []
        for name, timing in timings.items():
            self.first.setdefault((name, direction), timing.first)
            ratios = {"ratio": None if ours is None else timing.seconds / timings[ours].seconds}
            for other in against:
                there = other in timings
                ratios[f"{other}_ratio"] = (
                    timing.seconds / timings[other].seconds if there else None
                )
            records.append(
                Record(
                    what=what,
                    backend=name,
                    direction=direction,
                    **letters,
                    seconds=timing.seconds,
                    peak_bytes=peak_bytes(calls[name], method.device),
                    first_call_seconds=self.first[name, direction],
                    extra={
                        **extra,
                        "dtype": str(method.dtype).removeprefix("torch."),
                        "rounds": method.rounds,
                        "seconds_min": min(timing.rounds),
                        **ratios,
                    },
                )
            )
        return records


def difference(results: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> float:
    """Return the largest difference, as a share of the largest value of the same tensor."""
    shares = [
        (one.float() - other.float()).abs().max() / other.abs().max().clamp_min(1e-30)
        for one, other in zip(results, expected, strict=True)
    ]
    return float(torch.stack(shares).max())
