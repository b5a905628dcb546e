"""Fair timing: every call in turn, round after round, in one process.

Machines drift: clocks step down, other programs come and go. Timed one after the other, the second
of two equal programs can look a third slower. Taken in turn, all of them see the same weather, and
since the order moves on by one each round, none always follows the same neighbour.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

import torch

Name = TypeVar("Name")

# libgomp keeps idle threads spinning for a while, on cores that the next call may want
REST_SECONDS = 0.01


@dataclass(frozen=True)
class Timing:
    """What came of timing one call.

    Attributes:
        first: seconds of the first call, which may compile or read what was compiled.
        rounds: seconds of the calls after it.
    """

    first: float
    rounds: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """Median over the rounds."""
        return median(self.rounds)


def clock(device: torch.device) -> Callable[[], float]:
    """Return a clock that waits until ``device`` has done what it was given."""
    if device.type != "cuda":
        return time.perf_counter

    def synchronised() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return synchronised


def timed(call: Callable[[], object], now: Callable[[], float]) -> float:
    """Return the seconds that ``call`` takes."""
    start = now()
    call()
    return now() - start


def rotated(names: Sequence[Name], round_number: int) -> list[Name]:
    """Return ``names`` in the order of a round: each round begins with the next one."""
    start = round_number % len(names)
    return [*names[start:], *names[:start]]


def in_turn(names: Sequence[Name], rounds: int) -> Iterator[tuple[int, Name]]:
    """Yield (round, name): each name once a round, in the order of that round, after a rest."""
    for round_number in range(rounds):
        for name in rotated(names, round_number):
            time.sleep(REST_SECONDS)
            yield round_number, name


def interleave(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    now: Callable[[], float],
    done: Callable[[], None] = lambda: None,
) -> dict[str, Timing]:
    """Return the timing of each of ``calls``, made in turn.

    Args:
        calls: by name.
        rounds: calls of each, after a first one.
        now: a clock, see `clock`.
        done: called after each call.
    """
    names = list(calls)
    first = {}
    for name in names:
        first[name] = timed(calls[name], now)
        done()
    found: dict[str, list[float]] = {name: [] for name in names}
    for _, name in in_turn(names, rounds):
        found[name].append(timed(calls[name], now))
        done()
    return {name: Timing(first[name], tuple(found[name])) for name in names}
