import pytest
import torch
from torch.nn.functional import conv1d, silu

from fakesound.models.scan import bidirectional_conv

from .cases import KERNELS, assert_close, with_gradients


def conv_inputs(directions=2, batch=2, tokens=20, channels=24, width=4):
    generator = torch.Generator().manual_seed(tokens)
    return [
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in (
            (batch, tokens, channels),
            (directions, channels, width),
            (directions, channels),
        )
    ]


def by_flips(x, weight, bias):
    """Return flip, causal convolution and flip with torch's convolution."""
    results = []
    for direction, (taps, offset) in enumerate(zip(weight, bias, strict=True)):
        x_direction = x.flip(1) if direction == 1 else x
        width, channels = taps.shape[1], x.shape[2]
        result = conv1d(
            x_direction.mT, taps[:, None], offset, padding=width - 1, groups=channels
        ).mT[:, : x.shape[1]]
        results.append(silu(result.flip(1) if direction == 1 else result))
    return torch.stack(results)


@pytest.mark.parametrize(
    ("kernel", "dtype", "tolerance"),
    [
        ("reference", torch.float64, 1e-13),
        ("chunked", torch.float64, 1e-13),
        ("chunked", torch.float32, 5e-6),
        ("cpu", torch.float32, 5e-6),
    ],
)
@pytest.mark.parametrize(
    ("directions", "batch", "tokens", "channels", "width"),
    [(1, 1, 1, 16, 4), (2, 2, 3, 40, 4), (2, 1, 2, 1, 3), (2, 2, 101, 72, 4), (1, 3, 30, 16, 1)],
)
def test_equals_flip_convolve_flip(
    kernel, dtype, tolerance, directions, batch, tokens, channels, width
):
    tensors = conv_inputs(directions, batch, tokens, channels, width)
    torch.manual_seed(0)
    grad = torch.randn(directions, batch, tokens, channels, dtype=torch.float64)
    expected = with_gradients(by_flips, tensors, grad)
    actual = with_gradients(
        lambda *leaves: bidirectional_conv(*leaves, kernel=kernel),
        [tensor.to(dtype) for tensor in tensors],
        grad,
    )
    assert_close(actual, expected, tolerance)


@pytest.mark.parametrize("kernel", KERNELS)
def test_half_of_a_wider_tensor_needs_no_copy(kernel):
    x, weight, bias = (tensor.float() for tensor in conv_inputs())
    half = torch.cat([x.sin(), x], dim=-1)[..., 24:]
    assert torch.equal(
        bidirectional_conv(half, weight, bias, kernel=kernel),
        bidirectional_conv(x, weight, bias, kernel=kernel),
    )


@pytest.mark.parametrize("kernel", ["reference", "chunked"])
def test_gradcheck(kernel):
    leaves = [tensor.requires_grad_() for tensor in conv_inputs(batch=1, tokens=3, channels=2)]
    assert torch.autograd.gradcheck(lambda *t: bidirectional_conv(*t, kernel=kernel), leaves)


def test_bfloat16():
    x, weight, bias = conv_inputs()
    result = bidirectional_conv(x.bfloat16(), weight.float(), bias.float(), kernel="cpu")
    assert result.dtype == torch.bfloat16
    expected = bidirectional_conv(x.bfloat16().double(), weight, bias, kernel="reference")
    assert_close([result], [expected], torch.finfo(torch.bfloat16).eps)


def test_wrong_shapes_are_refused():
    x, weight, bias = conv_inputs()
    with pytest.raises(ValueError, match="bias has shape"):
        bidirectional_conv(x, weight, bias[:1])
    with pytest.raises(ValueError, match="x has shape"):
        bidirectional_conv(x[..., :-1], weight, bias)
