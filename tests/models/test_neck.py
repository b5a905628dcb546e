import pytest
import torch

from fakesound.models.neck import MambaNeck

from .scan.conftest import one_thread  # noqa: F401  # of every test here too

DIM = 8


def neck(frames=4, depth=2, seed=0):
    torch.manual_seed(seed)
    return MambaNeck(DIM, frames, depth, kernel="chunked").eval()


@pytest.mark.parametrize("frames", [1, 4])
@pytest.mark.parametrize("steps", [1, 7])
def test_a_token_for_every_frame(frames, steps):
    assert neck(frames)(torch.randn(2, steps, DIM)).shape == (2, steps * frames, DIM)


def test_without_blocks_a_frame_hears_its_own_token_alone():
    """The order of frames is that of time: token after token, and in each its frames."""
    made = neck(depth=0)
    tokens = torch.randn(1, 5, DIM)
    changed = tokens.clone()
    changed[0, 2] += 1
    differ = (made(tokens) != made(changed)).any(-1)[0]
    assert differ.nonzero().flatten().tolist() == [8, 9, 10, 11]
    weight, bias = made.upsample.weight.view(4, DIM, DIM), made.upsample.bias.view(4, DIM)
    expected = made.norm_f(tokens[0, 2] + weight[3] @ tokens[0, 2] + bias[3])
    torch.testing.assert_close(made(tokens)[0, 11], expected)


def test_blocks_mix_frames_in_both_directions():
    made, tokens = neck(), torch.randn(1, 5, DIM)
    changed = tokens.clone()
    changed[0, 2] += 1
    assert (made(tokens) != made(changed)).any(-1).all()


def test_training_reaches_every_parameter():
    made = neck().train()
    made(torch.randn(2, 5, DIM)).square().mul(torch.randn(DIM)).sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
