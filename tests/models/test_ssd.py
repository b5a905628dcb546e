import pytest
import torch
from torch.nn import functional

from fakesound.models import ssd as module
from fakesound.models.ssd import BidirectionalSsd, ssd

from .scan.conftest import one_thread  # noqa: F401  # of every test here too

DIM, STATE, HEAD = 8, 5, 4


def recurrence(x, log_decay, B, C):
    """Return the recurrence, step by step."""
    batch, tokens, heads, channels = x.shape
    hidden = torch.zeros(batch, heads, B.shape[-1], channels, dtype=x.dtype)
    outputs = []
    for t in range(tokens):
        drive = torch.einsum("bn,bhp->bhnp", B[:, t], x[:, t])
        hidden = log_decay[:, t].exp()[..., None, None] * hidden + drive
        outputs.append(torch.einsum("bn,bhnp->bhp", C[:, t], hidden))
    return torch.stack(outputs, dim=1)


def inputs(tokens, strength=1.0, dtype=torch.float64):
    torch.manual_seed(0)
    x = torch.randn(2, tokens, 3, HEAD, dtype=dtype)
    log_decay = -strength * torch.rand(2, tokens, 3, dtype=dtype)
    B, C = torch.randn(2, 2, tokens, STATE, dtype=dtype)
    return [tensor.requires_grad_() for tensor in (x, log_decay, B, C)]


@pytest.mark.parametrize("tokens", [1, 2, 7, 8, 9, 31])
@pytest.mark.parametrize("chunk", [1, 4, 8, 64])
def test_chunks_are_the_recurrence_and_so_are_their_gradients(tokens, chunk):
    given = inputs(tokens)
    expected, found = recurrence(*given), ssd(*given, chunk)
    torch.testing.assert_close(found, expected)
    weight = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad((weight * found).sum(), given),
        torch.autograd.grad((weight * expected).sum(), given),
    )


@pytest.mark.parametrize("strength", [0.0, 1e-3, 30.0])
def test_single_precision_is_near_whether_states_last_or_fade(strength):
    given = inputs(700, strength)
    expected = recurrence(*given)
    found = ssd(*(tensor.float() for tensor in given), 64)
    assert found.dtype == torch.float32
    error = (found - expected).abs().max() / expected.abs().max()
    assert error < 2e-5


def test_states_that_fade_at_once_leave_no_gradient_that_is_not_a_number():
    given = inputs(20, 1e4)
    for grad in torch.autograd.grad(ssd(*given, 8).sum(), given):
        assert grad.isfinite().all()


def definition(mixer, tokens):
    """Return `BidirectionalSsd` token by token and direction by direction."""
    z, inner, dt = mixer.in_proj(tokens).split(mixer.splits, dim=-1)
    total = 0
    for direction, conv in enumerate((mixer.conv1d, mixer.conv1d_b)):

        def turn(tensor, direction=direction):
            return tensor.flip(1) if direction else tensor

        width = conv.weight.shape[-1]
        across = functional.pad(turn(inner).transpose(1, 2), (width - 1, 0))
        mixed = functional.conv1d(across, conv.weight, conv.bias, groups=conv.groups)
        x, B, C = functional.silu(mixed).transpose(1, 2).split(mixer.inner_splits, dim=-1)
        x = x.unflatten(-1, (-1, mixer.head_dim))
        heads = x.shape[2]
        own = turn(dt[..., heads * direction : heads * (direction + 1)])
        step = functional.softplus(own + mixer.dt_bias[direction])
        y = recurrence(x * step[..., None], -mixer.A_log[direction].exp() * step, B, C)
        total = total + turn((y + mixer.D[direction][:, None] * x).flatten(2))
    return mixer.out_proj(mixer.norm(total / 2 * functional.silu(z)))


@pytest.mark.parametrize("tokens", [1, 6, 21])
def test_a_mixer_is_the_recurrence_in_both_directions(tokens, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 8)
    torch.manual_seed(0)
    mixer = BidirectionalSsd(DIM, state=STATE, head_dim=HEAD, kernel="reference").double()
    with torch.no_grad():
        mixer.D.uniform_()
    seen = torch.randn(2, tokens, DIM).double()
    torch.testing.assert_close(mixer(seen), definition(mixer, seen))


@pytest.mark.parametrize("kernel", ["cpu", "chunked"])
def test_kernels_of_the_convolution_agree(kernel):
    torch.manual_seed(0)
    mixer = BidirectionalSsd(DIM, state=STATE, head_dim=HEAD, kernel=kernel)
    seen = torch.randn(2, 21, DIM)
    found = mixer(seen)
    mixer.kernel = "reference"
    torch.testing.assert_close(found, mixer(seen), atol=1e-5, rtol=1e-5)


def test_activations_of_half_precision_keep_their_decays(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 16)
    torch.manual_seed(0)
    mixer = BidirectionalSsd(DIM, state=STATE, head_dim=HEAD)
    seen = torch.randn(2, 50, DIM)
    with torch.autocast("cpu", torch.bfloat16):
        found = mixer(seen)
    expected = mixer(seen)
    assert (found.float() - expected).abs().max() < 0.05 * expected.abs().max()
    found.float().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in mixer.parameters())


def test_decay_rates_and_steps_start_where_mamba_has_them():
    torch.manual_seed(0)
    mixer = BidirectionalSsd(256, head_dim=4)
    rates, steps = mixer.A_log.exp(), functional.softplus(mixer.dt_bias)
    assert 1 <= rates.min() < 2
    assert 15 < rates.max() <= 16
    assert 1e-3 * 0.99 <= steps.min() < 2e-3
    assert 5e-2 < steps.max() <= 0.1 * 1.01


def test_heads_divide_the_width():
    with pytest.raises(ValueError, match="16 channels are not a whole number of heads of 7"):
        BidirectionalSsd(DIM, head_dim=7)
