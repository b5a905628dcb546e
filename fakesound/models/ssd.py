"""Bidirectional Mamba-2 on the tokens of a spectrogram, by state space duality.

If all states of a head decay equally, the selective scan is a product with a matrix whose entries
decay with distance (Dao and Gu, "Transformers are SSMs", ICML 2024). In chunks, it is computed by
matrix products of moderate size, on any device, with gradients from autograd.

As in Vim, the directions share the projection of the input and the gate; each has its own
convolution, step sizes, decay rates and skip connection.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fakesound.models.mamba import CONV_WIDTH, step_size_biases
from fakesound.models.scan import bidirectional_conv
from fakesound.models.tokens import Block, TokenEncoder

# largest number of tokens in a chunk; affects the speed, not the result
CHUNK = 128
_DECAY_RANGE = (1.0, 16.0)


class Ssd(TokenEncoder):
    """Bidirectional Mamba-2 blocks on the tokens of a spectrogram, in ``order``.

    The options of a layer are those of `BidirectionalSsd`.
    """

    def make_layer(self, dim: int, rate: float, **options: Any) -> nn.Module:  # noqa: ANN401
        """Return a residual block of a Mamba-2 mixer."""
        return Block(BidirectionalSsd(dim, **options), dim, rate)


class BidirectionalSsd(nn.Module):
    """Mix tokens over time in both directions.

    Args:
        dim: width of the tokens.
        state: number of states of a channel.
        head_dim: number of channels that share a step size and a decay rate.
        expand: width inside the mixer, in multiples of ``dim``.
        kernel: kernel of the convolution; see ``fakesound.models.scan``.

    Raises:
        ValueError: if the width inside is not a whole number of heads.
    """

    def __init__(
        self,
        dim: int,
        *,
        state: int = 128,
        head_dim: int = 64,
        expand: int = 2,
        kernel: str = "auto",
    ) -> None:
        super().__init__()
        channels = expand * dim
        if channels % head_dim:
            raise ValueError(f"{channels} channels are not a whole number of heads of {head_dim}")
        heads = channels // head_dim
        self.head_dim, self.kernel = head_dim, kernel
        self.splits = [channels, channels + 2 * state, 2 * heads]
        self.inner_splits = [channels, state, state]

        self.in_proj = nn.Linear(dim, sum(self.splits), bias=False)
        mixed = channels + 2 * state
        self.conv1d = nn.Conv1d(mixed, mixed, CONV_WIDTH, groups=mixed)
        self.conv1d_b = nn.Conv1d(mixed, mixed, CONV_WIDTH, groups=mixed)
        self.dt_bias = nn.Parameter(step_size_biases(2, heads))
        self.A_log = nn.Parameter(torch.empty(2, heads).uniform_(*_DECAY_RANGE).log())
        self.D = nn.Parameter(torch.ones(2, heads))
        self.norm = nn.RMSNorm(channels, eps=1e-5)
        self.out_proj = nn.Linear(channels, dim, bias=False)
        for parameter in (self.dt_bias, self.A_log, self.D):
            parameter._no_weight_decay = True  # type: ignore[attr-defined]

    def forward(self, tokens: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Return the mixed tokens."""
        z, inner, dt = self.in_proj(tokens).split(self.splits, dim=-1)
        convs = (self.conv1d, self.conv1d_b)
        weight = torch.stack([conv.weight[:, 0] for conv in convs])
        bias = torch.stack(tuple(conv.get_parameter("bias") for conv in convs))
        inner = bidirectional_conv(inner, weight, bias, kernel=self.kernel)
        x, B, C = inner.split(self.inner_splits, dim=-1)
        x = x.unflatten(-1, (-1, self.head_dim))
        dt = dt.unflatten(-1, (2, -1)).movedim(2, 0)
        # exponents need single precision, also with narrower activations
        dt = dt.to(torch.promote_types(dt.dtype, torch.float32))
        dt = functional.softplus(dt + self.dt_bias[:, None, None])
        log_decay = -self.A_log.exp()[:, None, None] * dt
        driving = x * dt[..., None].to(x.dtype)
        # both directions at once, the second reversed
        driving, log_decay, B, C = (
            _reverse_second(part).flatten(0, 1) for part in (driving, log_decay, B, C)
        )
        y = ssd(driving, log_decay, B, C, CHUNK)
        y = _reverse_second(y.unflatten(0, (2, -1))) + x * self.D[:, None, None, :, None]
        y = y.mean(0).flatten(2)
        mixed: Tensor = self.out_proj(self.norm(y * functional.silu(z)))
        return mixed


def ssd(
    x: Float[Tensor, "batch token head channel"],
    log_decay: Float[Tensor, "batch token head"],
    B: Float[Tensor, "batch token state"],
    C: Float[Tensor, "batch token state"],
    chunk: int,
) -> Float[Tensor, "batch token head channel"]:
    """Return ``y_t = C_t · h_t`` where ``h_t = exp(log_decay_t) h_{t-1} + B_t x_t``, h from zero.

    Args:
        x: input of the states; all heads share B and C.
        log_decay: logarithm of the decay, at most zero.
        B: input matrix of each token.
        C: output matrix of each token.
        chunk: largest number of tokens in a chunk.
    """
    tokens = x.shape[1]
    # equal chunks, with a few tokens of padding that do not change the states
    count = -(-tokens // chunk)
    size = -(-tokens // count)
    fill = count * size - tokens
    x = functional.pad(x, (0, 0, 0, 0, 0, fill)).unflatten(1, (count, size)).transpose(2, 3)
    log_decay = functional.pad(log_decay, (0, 0, 0, fill)).unflatten(1, (count, size))
    B, C = (functional.pad(m, (0, 0, 0, fill)).unflatten(1, (count, size)) for m in (B, C))

    # within a chunk, (batch, chunk, head, token, token before)
    since = log_decay.transpose(2, 3).cumsum(-1)
    past = torch.ones(size, size, dtype=torch.bool, device=x.device).tril()
    # masked before the exponential, which would overflow
    fading = (since[..., :, None] - since[..., None, :]).masked_fill(~past, -torch.inf).exp()
    y = ((C @ B.mT)[:, :, None] * fading).to(x.dtype) @ x
    if count > 1:
        # contribution of a chunk to the states at its end, (batch, chunk, head, state, channel)
        left = (since[..., -1:] - since).exp()[..., None]
        added = B.mT[:, :, None] @ (left.to(x.dtype) * x)
        entering = _entering_states(added, since[..., -1])
        y = y + since.exp()[..., None] * (C[:, :, None] @ entering.to(C.dtype))
    return y.transpose(2, 3).flatten(1, 2)[:, :tokens]


def _entering_states(
    added: Float[Tensor, "batch chunk head state channel"],
    log_decay: Float[Tensor, "batch chunk head"],
) -> Float[Tensor, "batch chunk head state channel"]:
    """Return the states before each chunk, from the contribution and the decay of each."""
    count = added.shape[1]
    # sums over the chunks in between, since differences of sums lose precision with long inputs
    between = log_decay.transpose(1, 2)[..., None].expand(-1, -1, -1, count)
    later = torch.ones(count, count, dtype=torch.bool, device=added.device).tril(-1)
    between = between.masked_fill(~later, 0).cumsum(-2)
    fading = between.exp().tril()
    after = fading.to(added.dtype) @ added.transpose(1, 2).flatten(3)
    after = after.unflatten(-1, added.shape[3:]).transpose(1, 2)
    return functional.pad(after[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))


def _reverse_second(
    tensor: Float[Tensor, "2 batch token ..."],
) -> Float[Tensor, "2 batch token ..."]:
    """Return ``tensor`` with the second direction reversed in time."""
    return torch.stack((tensor[0], tensor[1].flip(1)))
