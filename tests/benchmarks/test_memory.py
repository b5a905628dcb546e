import torch

from fakesound.benchmarks.memory import available_bytes, peak_bytes

CPU = torch.device("cpu")


def hundred_megabytes():
    """Hold 100 MB at most, in steps, with some of it given back in between."""
    one = torch.empty(10_000_000)
    two = torch.empty(5_000_000)
    del two
    three = torch.empty(15_000_000)
    del one, three
    torch.empty(20_000_000)


def test_the_peak_is_exact_however_often_it_is_taken():
    assert [peak_bytes(hundred_megabytes, CPU) for _ in range(3)] == [100_000_000] * 3


def test_what_is_there_before_does_not_count():
    held = torch.empty(10_000_000)
    assert peak_bytes(held.zero_, CPU) == 0
    assert peak_bytes(held.neg, CPU) == 40_000_000


def test_a_backward_pass_counts():
    x = torch.ones(1000, 1000, requires_grad=True)
    # the exponential is kept, then there is its gradient, beside that of the sum expanded
    peak = peak_bytes(lambda: torch.autograd.grad(x.exp().sum(), x), CPU)
    assert 8_000_000 <= peak <= 8_001_000


def test_nothing_is_said_on_the_way(capfd):
    peak_bytes(hundred_megabytes, CPU)
    assert capfd.readouterr() == ("", "")


def test_unknown_on_other_devices():
    assert peak_bytes(lambda: None, torch.device("mps")) is None


def test_some_memory_is_available():
    assert available_bytes(CPU) > 2**20
