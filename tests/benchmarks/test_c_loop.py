import shutil
import subprocess

import pytest
import torch

from fakesound.benchmarks import c_loop
from fakesound.benchmarks.measure import difference
from fakesound.benchmarks.scan_backends import Size, make_inputs
from fakesound.errors import InputError
from fakesound.models.scan import reference

CPU = torch.device("cpu")
needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


@pytest.fixture
def fresh():
    """Compile anew inside the test, and again after it."""
    c_loop.library.cache_clear()
    yield
    c_loop.library.cache_clear()


@needs_cc
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize(("states", "channels"), [(16, 32), (5, 16), (1, 48)])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("tied_decay", [False, True])
def test_agrees_with_the_reference(directions, states, channels, threads, tied_decay):
    torch.set_num_threads(threads)
    size = Size(3, 19, channels, states, directions, tied_decay)
    inputs = make_inputs(size, CPU, torch.float32)
    exact = inputs.replace_tensors([tensor.double() for tensor in inputs.tensors])
    assert difference([c_loop.scan(inputs)], [reference.scan(exact)]) < 2e-6


@needs_cc
@pytest.mark.parametrize("far", [-200.0, -30.0, 30.0, 200.0])
def test_agrees_far_out(far):
    inputs = make_inputs(Size(1, 9, 16, 4, 2), CPU, torch.float32)
    inputs = inputs._replace(dt_bias=torch.full_like(inputs.dt_bias, far), z=inputs.z + far)
    exact = inputs.replace_tensors([tensor.double() for tensor in inputs.tensors])
    result, expected = c_loop.scan(inputs), reference.scan(exact)
    assert result.isfinite().all()
    torch.testing.assert_close(result.double(), expected, rtol=1e-5, atol=1e-30)


@needs_cc
def test_subnormal_numbers_stay():
    c_loop.library()
    assert torch.tensor(1e-38).mul(0.01) > 0


def test_without_a_compiler_it_says_so(monkeypatch, fresh):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(InputError, match="needs a C compiler called cc"):
        c_loop.library()


def test_what_a_compiler_says_is_told_in_one_line(monkeypatch, fresh):
    failed = subprocess.CompletedProcess([], 1, "", "cc: no such option\nand more")
    monkeypatch.setattr(shutil, "which", lambda _: "cc")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(InputError, match=r"^cc fails: cc: no such option$"):
        c_loop.library()
