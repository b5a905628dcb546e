import importlib.util

import pytest
import torch

from fakesound.benchmarks import backends
from fakesound.benchmarks.measure import Method, difference
from fakesound.benchmarks.memory import peak_bytes
from fakesound.benchmarks.scan import bench_scan, call_of
from fakesound.benchmarks.scan_backends import (
    Size,
    make_inputs,
    mambapy_bytes,
    scan_of,
    scan_problem,
)
from fakesound.errors import InputError

CPU = torch.device("cpu")
SMALL = Size(2, 13, 16, 4, 2)
needs_mambapy = pytest.mark.skipif(
    importlib.util.find_spec("mambapy") is None, reason="mambapy is not installed"
)


@needs_mambapy
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("tied_decay", [False, True])
def test_mambapy_agrees_with_the_reference_in_all_gradients(directions, tied_decay):
    inputs = make_inputs(Size(2, 13, 16, 4, directions, tied_decay), CPU, torch.float32)
    grad = torch.randn_like(inputs.x[0])
    one, other = (
        call_of(scan_of(name), "forward+backward", inputs, grad)()
        for name in ("mambapy", "reference")
    )
    assert len(one) == 9
    assert difference(one, other) < 1e-5


@needs_mambapy
@pytest.mark.parametrize("tokens", [64, 65])
def test_the_memory_of_mambapy_is_known_beforehand(tokens):
    size = Size(2, tokens, 64, 16, 2)
    inputs = make_inputs(size, CPU, torch.float32)
    call = call_of(scan_of("mambapy"), "forward+backward", inputs, torch.ones_like(inputs.x[0]))
    assert 0.5 < peak_bytes(call, CPU) / mambapy_bytes(size) < 1.1


def test_inputs_are_laid_out_as_in_a_model():
    inputs = make_inputs(SMALL, CPU, torch.bfloat16)
    assert inputs.x.is_contiguous()
    assert inputs.B.stride(-2) == inputs.C.stride(-2) == 1 + 2 * SMALL.states
    assert inputs.z.stride(-2) == 2 * SMALL.channels
    assert {tensor.dtype for tensor in inputs[:2]} == {torch.bfloat16}
    assert inputs.A_log.dtype == inputs.D.dtype == inputs.dt_bias.dtype == torch.float32
    steps = torch.nn.functional.softplus(inputs.dt_bias)
    assert steps.min() >= 0.99e-3
    assert steps.max() <= 1.01e-1


@pytest.mark.parametrize(
    ("name", "size", "dtype", "reason"),
    [
        ("triton", SMALL, torch.float32, "cannot run on cpu"),
        ("c_loop", SMALL, torch.bfloat16, "float32 only"),
        ("c_loop", Size(1, 5, 20, 4, 2), torch.float32, "multiple of 16 channels"),
        ("mambapy", Size(64, 5000, 384, 16, 2), torch.float32, "GiB of memory"),
        ("cpu", SMALL, torch.float32, None),
        ("reference", SMALL, torch.float32, None),
    ],
)
def test_what_cannot_run_says_why(name, size, dtype, reason):
    if name == "mambapy" and importlib.util.find_spec("mambapy") is None:
        reason = "needs mambapy"
    found = scan_problem(name, size, 2**30, CPU, dtype)
    assert found is None if reason is None else reason in found


def test_without_mambapy_it_is_left_out_or_an_error(monkeypatch, capfd):
    monkeypatch.setattr(backends, "find_spec", lambda _: None)
    method = Method(1, CPU, torch.float32)
    records, wrong = bench_scan([SMALL], method, ["mambapy", "chunked"])
    assert {record.backend for record in records} == {"chunked"}
    assert wrong == {}
    assert "left out: mambapy: needs mambapy" in capfd.readouterr().err
    with pytest.raises(InputError, match="--backends=mambapy: needs mambapy"):
        bench_scan([SMALL], Method(1, CPU, torch.float32, ["mambapy"]), [])
    with pytest.raises(InputError, match="none of them can run"):
        bench_scan([SMALL], method, ["mambapy"])


@pytest.mark.parametrize(("named", "there"), [(None, False), (["cpu", "reference"], True)])
def test_a_long_python_loop_is_only_timed_for_those_who_name_it(monkeypatch, named, there):
    monkeypatch.setattr("fakesound.benchmarks.scan._LOOPED_TOKENS", 2 * 13 - 1)
    method = Method(1, CPU, torch.float32, named)
    records, wrong = bench_scan([SMALL], method, ["cpu", "reference"])
    assert wrong == {}
    assert ("reference" in {record.backend for record in records}) == there


def test_what_disagrees_is_not_timed(monkeypatch):
    monkeypatch.setattr(
        "fakesound.benchmarks.scan.scan_of",
        lambda name: lambda inputs: scan_of("reference")(inputs) * (1.01 if name == "cpu" else 1),
    )
    method = Method(1, CPU, torch.float32, ["cpu", "chunked"])
    records, wrong = bench_scan([SMALL], method, [])
    assert {record.backend for record in records} == {"chunked"}
    assert wrong["cpu"].startswith("differs from the reference by 1.0e-02")
    # there is no ratio to a kernel that is not there
    assert {record.extra["ratio"] for record in records} == {None}


def test_infinite_results_disagree():
    assert not difference([torch.tensor([torch.nan])], [torch.ones(1)]) <= 1
