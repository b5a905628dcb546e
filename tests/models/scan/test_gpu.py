"""Kernels on a GPU against the definition in float64."""

import pytest
import torch

from fakesound.models.mamba import BidirectionalMamba

from .cases import assert_close, check_scan, gradient, scan, scan_inputs, to

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


@pytest.mark.parametrize(
    ("directions", "batch", "tokens", "channels", "state", "gated"),
    [
        (1, 1, 1, 16, 16, True),
        (2, 2, 17, 5, 2, False),
        (2, 3, 197, 192, 16, True),
        (2, 1, 513, 384, 16, True),
        (2, 2, 1401, 96, 16, True),
        (2, 1, 64, 1536, 16, True),
    ],
)
@pytest.mark.parametrize("tied", [False, True])
def test_triton_equals_the_reference(directions, batch, tokens, channels, state, gated, tied):
    inputs = scan_inputs(directions, batch, tokens, channels, state, gated, 0.5, tied=tied)
    # sums over batch and time in single precision
    check_scan(inputs, "triton", torch.float32, 5e-5, "cuda")


@pytest.mark.parametrize(("dt", "A_log"), [(30.0, 7.0), (-12.0, -9.0), (30.0, 0.0), (0.0, 7.0)])
def test_triton_at_the_extremes(dt, A_log):
    inputs = scan_inputs(tokens=40, channels=64, dt=dt, A_log=A_log)
    check_scan(inputs, "triton", torch.float32, 5e-5, "cuda")


def test_triton_gives_the_same_bits_twice():
    inputs = to(scan_inputs(batch=4, tokens=513, channels=192, state=16), torch.float32)
    grad = gradient(inputs)
    first, second = (scan(inputs, "triton", grad, "cuda") for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_mixer_in_half_precision_is_near_itself(dtype):
    torch.manual_seed(0)
    mixer = BidirectionalMamba(64, kernel="triton").cuda()
    tokens = torch.randn(2, 300, 64, device="cuda")
    full = mixer(tokens)
    with torch.autocast("cuda", dtype):
        half = mixer(tokens)
    error = (half.float() - full).abs().max() / full.abs().max()
    assert error < (0.004 if dtype == torch.float16 else 0.03)


def test_a_mixer_on_the_gpu_is_the_one_on_the_cpu():
    torch.manual_seed(0)
    mixer = BidirectionalMamba(64)
    tokens = torch.randn(2, 300, 64)
    expected = mixer(tokens)
    assert_close([mixer.cuda()(tokens.cuda()).cpu().detach()], [expected.detach().double()], 1e-4)
