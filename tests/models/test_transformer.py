import pytest
import torch
from torch import nn
from torch.nn import functional

from fakesound.models.transformer import Attention, transformer_block

from .scan.conftest import one_thread  # noqa: F401  # of every test here too

DIM = 24


@pytest.mark.parametrize("head_dim", [8, 24])
@pytest.mark.parametrize("tokens", [1, 7])
def test_attention_equals_its_formula(head_dim, tokens):
    torch.manual_seed(0)
    attention, seen = Attention(DIM, head_dim).double(), torch.randn(2, tokens, DIM).double()
    query, key, value = functional.linear(
        seen, attention.in_proj.weight, attention.in_proj.bias
    ).split(DIM, dim=-1)
    expected = torch.zeros_like(seen)
    for clip in range(2):
        for start in range(0, DIM, head_dim):
            head = slice(start, start + head_dim)
            alike = query[clip, :, head] @ key[clip, :, head].T / head_dim**0.5
            weight = alike.exp() / alike.exp().sum(1, keepdim=True)
            expected[clip, :, head] = weight @ value[clip, :, head]
    expected = functional.linear(expected, attention.out_proj.weight, attention.out_proj.bias)
    torch.testing.assert_close(attention(seen), expected)


def test_attention_is_that_of_torch():
    torch.manual_seed(0)
    ours, theirs = Attention(DIM, 8), nn.MultiheadAttention(DIM, 3, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.in_proj.weight,
            "in_proj_bias": ours.in_proj.bias,
            "out_proj.weight": ours.out_proj.weight,
            "out_proj.bias": ours.out_proj.bias,
        }
    )
    seen = torch.randn(2, 9, DIM)
    torch.testing.assert_close(ours(seen), theirs(seen, seen, seen, need_weights=False)[0])


def test_without_positions_a_block_does_not_know_the_order_of_tokens():
    torch.manual_seed(0)
    block, seen = transformer_block(DIM, 8, 2), torch.randn(2, 9, DIM)
    torch.testing.assert_close(block(seen).flip(1), block(seen.flip(1)))


def test_the_perceptron_sees_one_token_at_a_time():
    torch.manual_seed(0)
    _, perceptron = transformer_block(DIM, 8, 2)
    seen = torch.randn(2, 9, DIM)
    alone = torch.cat([perceptron(token) for token in seen.split(1, dim=1)], dim=1)
    torch.testing.assert_close(perceptron(seen), alone)


def test_heads_divide_the_width():
    with pytest.raises(ValueError, match="24 channels are not a whole number of heads of 7"):
        Attention(DIM, 7)
