import subprocess
import sys

import pytest
import torch

from fakesound.errors import InputError
from fakesound.models.scan import (
    bidirectional_scan,
    kernels,
    resolve_kernel,
)

from .cases import scan_inputs, to


@pytest.mark.parametrize(
    ("device", "dtype", "kernel"),
    [
        ("cpu", torch.float32, "cpu"),
        ("cpu", torch.bfloat16, "cpu"),
        ("cpu", torch.float16, "cpu"),
        ("cpu", torch.float64, "chunked"),
        ("cuda", torch.float64, "chunked"),
        ("mps", torch.float16, "chunked"),
    ],
)
def test_auto(device, dtype, kernel):
    assert resolve_kernel("auto", device, dtype) == kernel


@pytest.mark.parametrize(
    ("there", "kernel", "warnings"),
    [
        ({"triton", "mamba_ssm", "chunked"}, "triton", 0),
        ({"mamba_ssm", "chunked"}, "mamba_ssm", 0),
        ({"chunked"}, "chunked", 1),
    ],
)
def test_auto_on_a_gpu_takes_the_fastest_that_is_there(
    monkeypatch, recwarn, there, kernel, warnings
):
    monkeypatch.setattr(kernels, "load_kernel", lambda name: name if name in there else None)
    kernels._warn_missing.cache_clear()
    for _ in range(2):
        assert resolve_kernel("auto", "cuda") == kernel
    assert len(recwarn) == warnings


@pytest.mark.parametrize("name", ["reference", "chunked", "cpu"])
def test_a_named_kernel_is_used(name):
    assert resolve_kernel(name, torch.device("cpu")) == name


@pytest.mark.parametrize(
    ("name", "device", "dtype", "message"),
    [
        (
            "fast",
            "cpu",
            torch.float32,
            "kernel=fast: choose one of auto, reference, cpu, triton, mamba_ssm, chunked",
        ),
        ("cpu", "cuda:1", torch.float32, "kernel=cpu: cannot run on cuda"),
        ("cpu", "cpu", torch.float64, "kernel=cpu: cannot compute in float64"),
    ],
)
def test_unavailable_kernels_are_input_errors_of_one_line(name, device, dtype, message):
    with pytest.raises(InputError, match=message) as error:
        resolve_kernel(name, device, dtype)
    assert "\n" not in str(error.value)


def test_the_operator_refuses_the_same():
    with pytest.raises(InputError, match="kernel=fast"):
        bidirectional_scan(*to(scan_inputs(), torch.float32)[:8], kernel="fast")
    with pytest.raises(InputError, match="float64"):
        bidirectional_scan(*scan_inputs()[:8], kernel="cpu")


WITHOUT_NUMBA = """
import sys, warnings
sys.modules["numba"] = None
import torch
from fakesound.errors import InputError
from fakesound.models.mamba import BidirectionalMamba
from fakesound.models.scan import resolve_kernel

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(2):
        mixer = BidirectionalMamba(8)
        mixer(torch.randn(1, 3, 8)).sum().backward()
        assert mixer.A_log.grad.abs().sum() > 0
    assert resolve_kernel("auto", "cpu") == "chunked"
ours = [str(warning.message) for warning in caught if "numba" in str(warning.message)]
assert len(ours) == 1 and ours[0].startswith("kernel=cpu needs numba"), ours
try:
    resolve_kernel("cpu", "cpu")
except InputError as error:
    assert "needs numba" in str(error)
else:
    raise AssertionError("no error")
"""


def test_without_numba_it_warns_once_and_works():
    subprocess.run([sys.executable, "-c", WITHOUT_NUMBA], check=True, timeout=120)
