"""The kernels for GPUs on a GPU, against the definition in float64."""

import pytest
import torch

from fakesound.models.mamba import BidirectionalMamba
from fakesound.models.scan import bidirectional_scan

from .cases import assert_close, scan_inputs, to, with_gradients

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


def scan(inputs, grad, kernel, device):
    inputs = inputs.replace_tensors([tensor.to(device) for tensor in inputs.tensors])

    def function(*tensors):
        fields = inputs.replace_tensors(tensors)
        return bidirectional_scan(*fields[:8], scale=fields.scale, kernel=kernel)

    results = with_gradients(function, inputs.tensors, grad.to(device))
    return [result.cpu() for result in results]


def gradient(inputs):
    return torch.randn(inputs.x.shape[1:], generator=torch.Generator().manual_seed(1)).double()


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
    grad = gradient(inputs)
    expected = scan(inputs, grad, "reference", "cpu")
    actual = scan(to(inputs, torch.float32), grad, "triton", "cuda")
    # sums over batch and time in single precision
    assert_close(actual, expected, 5e-5)


@pytest.mark.parametrize(("dt", "A_log"), [(30.0, 7.0), (-12.0, -9.0), (30.0, 0.0), (0.0, 7.0)])
def test_triton_at_the_extremes(dt, A_log):
    inputs = scan_inputs(tokens=40, channels=64, dt=dt, A_log=A_log)
    grad = gradient(inputs)
    expected = scan(inputs, grad, "reference", "cpu")
    assert_close(scan(to(inputs, torch.float32), grad, "triton", "cuda"), expected, 5e-5)


def test_triton_gives_the_same_bits_twice():
    inputs = to(scan_inputs(batch=4, tokens=513, channels=192, state=16), torch.float32)
    grad = gradient(inputs)
    first, second = (scan(inputs, grad, "triton", "cuda") for _ in range(2))
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
