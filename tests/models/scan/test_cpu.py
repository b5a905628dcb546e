import platform
import re

import llvmlite.binding
import numpy as np
import pytest
import torch
from numba import njit
from torch.utils.data import DataLoader, Dataset

from fakesound.models.scan import (
    bidirectional_conv,
    bidirectional_scan,
    cpu,
    cpu_scan,
    jit,
    threads,
)
from fakesound.models.scan.cpu_math import exp2, sigmoid, softplus
from fakesound.models.scan.lanes import LANES, load, store

from .cases import scan_inputs, to, with_gradients


@njit
def _exp2(x, y):
    for i in range(0, len(x), LANES):
        store(y, i, exp2(load(x, i)))


@njit
def _softplus(x, y):
    for i in range(0, len(x), LANES):
        store(y, i, softplus(load(x, i)))


@njit
def _sigmoid(x, y):
    for i in range(0, len(x), LANES):
        store(y, i, sigmoid(load(x, i)))


@pytest.mark.parametrize(
    ("function", "exact", "low", "high", "tolerance"),
    [
        (_exp2, np.exp2, -125.9, 126.0, 1.5e-7),
        (_exp2, np.exp2, -1.0, 0.0, 1.5e-7),
        (_softplus, lambda x: np.logaddexp(0, x), -80.0, 80.0, 5e-7),
        (_softplus, lambda x: np.logaddexp(0, x), -3.0, 3.0, 5e-7),
        (_sigmoid, lambda x: 1 / (1 + np.exp(-x)), -80.0, 80.0, 5e-7),
    ],
)
def test_polynomials_are_as_exact_as_they_say(function, exact, low, high, tolerance):
    x = np.linspace(low, high, 2**16, dtype=np.float32)
    y = np.empty_like(x)
    function(x, y)
    # Rounding of the argument x log2(e) grows with x and is no fault of the polynomial.
    allowed = tolerance + (0 if function is _exp2 else 1.2e-7 * np.abs(x))
    assert np.all(np.abs(y / exact(x.astype(np.float64)) - 1) <= allowed)


def test_exp2_ends_gently():
    x = np.full(LANES, -1e30, np.float32)
    x[1], x[2] = -np.inf, np.nan
    y = np.empty_like(x)
    _exp2(x, y)
    assert y[0] == y[1] == np.float32(2.0**-126)
    assert np.isnan(y[2])


def step(threads_=None):
    inputs = to(scan_inputs(batch=3, tokens=45, channels=80), torch.float32)
    x, weight, bias = torch.randn(3, 45, 80), torch.randn(2, 80, 4), torch.randn(2, 80)
    scan = with_gradients(
        lambda *t: bidirectional_scan(*t, kernel="cpu"), inputs.tensors, torch.ones(3, 45, 80)
    )
    conv = with_gradients(
        lambda *t: bidirectional_conv(*t, kernel="cpu"), (x, weight, bias), torch.ones(2, 3, 45, 80)
    )
    return scan + conv


def test_gradients_are_the_same_bits_in_every_run_and_on_any_number_of_threads():
    results = []
    for threads_ in (1, 1, 2, 2, 3, 7):
        torch.set_num_threads(threads_)
        torch.manual_seed(0)
        results.append(step())
    for result in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(result, results[0], strict=True))


@pytest.mark.parametrize("tasks", [0, 1, 2, 5, 100])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_task_is_run_once(tasks, count):
    torch.set_num_threads(count)
    done = np.zeros(tasks, int)

    def kernel(first, after, what):
        done[first:after] += what

    threads.run(kernel, tasks, 1)
    assert done.tolist() == [1] * tasks


def test_an_error_in_a_thread_is_raised():
    torch.set_num_threads(2)

    def kernel(first, after):
        if after == 50:
            raise ArithmeticError("here")

    with pytest.raises(ArithmeticError):
        threads.run(kernel, 50)


class ScanningDataset(Dataset):
    """Dataset whose items are scanned in the worker."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        torch.set_num_threads(2)
        torch.manual_seed(0)
        return step()[0]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_worker_forked_after_a_step_can_scan():
    torch.set_num_threads(2)
    torch.manual_seed(0)
    expected = step()[0]
    loader = DataLoader(
        ScanningDataset(),
        batch_size=None,
        num_workers=1,
        multiprocessing_context="fork",
        timeout=60,
    )
    results = list(loader)
    assert len(results) == 3
    assert all(torch.equal(result, expected) for result in results)


def test_views_are_read_in_place():
    x = torch.randn(4, 5, 64)
    for view in (x, x[..., 32:], x[None].expand(2, -1, -1, -1), x[1:3, ::2]):
        memory, strides = cpu._rows(view)
        assert memory.__array_interface__["data"][0] == view.data_ptr()
        assert strides == (0, 0, 0, *view.stride()[:-1])[-3:]
    shared, strides = cpu._rows(x.bfloat16()[None].expand(2, -1, -1, -1))
    assert strides[0] == 0
    assert shared.size == x.numel()


def test_where_no_cache_can_be_written_kernels_still_compile(monkeypatch):
    def refuse(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(jit, "njit", refuse)

    def double(x):
        return 2 * x

    assert jit.kernel(double)(21) == 42


def assembly(compiled_kernel, *arguments):
    """Return the machine code of a kernel, compiled without the cache."""
    fresh = njit(**jit._OPTIONS)(compiled_kernel.py_func)
    fresh(0, 0, *arguments)
    (code,) = fresh.inspect_asm().values()
    return code


def inner_loops(code):
    """Return the innermost loops: code from a label to a jump back to it, without other labels."""
    pieces = re.split(r"^(\.LBB\w+):", code, flags=re.MULTILINE)
    for label, body in zip(pieces[1::2], pieces[2::2], strict=True):
        if re.search(rf"\tj\w+\t{re.escape(label)}\n", body):
            yield body


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 code")
def test_the_scan_loop_is_packed_fused_arithmetic_without_calls():
    if not llvmlite.binding.get_host_cpu_features().get("fma"):
        pytest.skip("this processor has no fused multiply-add")
    inputs = to(scan_inputs(), torch.float32)
    arguments = cpu._arguments(inputs, cpu._rates(inputs))
    out = np.empty(inputs.z.numel(), np.float32)
    code = assembly(cpu_scan.scan_forward, *arguments, out, out, False)
    assert not re.search(r"\bexp2?f?\b|expf|_mm\w*exp", code)
    packed = re.compile(r"\tvfmadd\w*ps\t[^\n]*%[yz]mm")
    scan_loops = [loop for loop in inner_loops(code) if len(packed.findall(loop)) >= 7]
    assert scan_loops
    assert not any("\tcall" in loop for loop in scan_loops)
