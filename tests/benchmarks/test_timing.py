import time

import pytest
import torch

from fakesound.benchmarks import timing
from fakesound.benchmarks.timing import Timing, clock, in_turn, interleave, rotated


@pytest.fixture(autouse=True)
def restless(monkeypatch):
    monkeypatch.setattr(timing, "REST_SECONDS", 0)


def test_every_name_once_a_round_and_another_one_first():
    orders = [rotated("abc", number) for number in range(4)]
    assert ["".join(order) for order in orders] == ["abc", "bca", "cab", "abc"]
    assert [name for _, name in in_turn("abc", 2)] == list("abcbca")
    assert [number for number, _ in in_turn("ab", 2)] == [0, 0, 1, 1]


def test_medians_on_a_clock_of_its_own():
    # seconds that the calls take, one after the other: the first is the one that compiles
    takes = {"slow": iter([100, 5, 1, 9]), "fast": iter([50, 4, 2, 1])}
    time_now = 0
    made = []
    ticks = []

    def call(name):
        def run():
            nonlocal time_now
            made.append(name)
            time_now += next(takes[name])

        return run

    found = interleave(
        {name: call(name) for name in takes}, 3, lambda: time_now, lambda: ticks.append(1)
    )
    assert found == {"slow": Timing(100, (5, 1, 9)), "fast": Timing(50, (4, 2, 1))}
    assert found["slow"].seconds == 5
    assert found["fast"].seconds == 2
    assert made == ["slow", "fast", "slow", "fast", "fast", "slow", "slow", "fast"]
    assert len(ticks) == len(made)


def test_the_median_of_an_even_number_is_between_the_middle_two():
    assert Timing(0, (4.0, 1.0, 2.0, 8.0)).seconds == 3


def test_the_clock_of_a_cpu_is_the_systems():
    assert clock(torch.device("cpu")) is time.perf_counter


def test_the_clock_of_a_gpu_waits_for_it(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    clock(torch.device("cuda"))()
    assert waited == [torch.device("cuda")]
