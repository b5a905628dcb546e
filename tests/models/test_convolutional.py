"""Convolutional backbones, `fcn_resnet` and `mobilenet`."""

from functools import partial

import pytest
import torch
from torch import nn

from fakesound.models.convolutional import AtrousPyramid, ConvolutionalNetwork
from fakesound.models.residual import InvertedResidual, ResidualBlock, convolution

from .scan.conftest import one_thread  # noqa: F401  # of every test here too

CHANNELS, BINS, WINDOWS, DIM = 3, 32, 2, 12
BLOCKS = {"fcn_resnet": ResidualBlock, "mobilenet": partial(InvertedResidual, expand=3)}
EVERY = pytest.mark.parametrize("kind", BLOCKS)
# steps that a token sees to either side: one of the first convolution, then of each stage
# (dilations 1, 2, 4 in the last three) so many for each block
REACH = {"fcn_resnet": 1 + 2 * (1 + 2 + 4), "mobilenet": 1 + 1 + 2 + 4}


def network(kind, widths=(4, 8, 12), depth=1, **options):
    torch.manual_seed(0)
    result = ConvolutionalNetwork(
        BLOCKS[kind], CHANNELS, BINS, WINDOWS, DIM, list(widths), depth, **options
    )
    return result.eval()


def spectrogram(steps, batch=2):
    torch.manual_seed(1)
    return torch.randn(batch, CHANNELS, BINS, WINDOWS * steps)


@EVERY
@pytest.mark.parametrize("widths", [(8,), (8, 8), (4, 8, 12, 16)])
@pytest.mark.parametrize("steps", [1, 2, 17, 100])
def test_a_token_for_every_frame_and_their_mean(kind, widths, steps):
    model = network(kind, widths, depth=2)
    tokens, summary = model.forward_features(spectrogram(steps))[:2]
    assert (tokens.shape, summary.shape) == ((2, steps, DIM), (2, DIM))
    assert (model.dim, model.windows) == (DIM, WINDOWS)
    torch.testing.assert_close(summary, tokens.mean(1))


@EVERY
def test_a_change_late_in_time_moves_no_token_out_of_reach(kind):
    model, seen = network(kind), spectrogram(60)
    changed = seen.clone()
    changed[..., WINDOWS * 40 :] += torch.randn_like(changed[..., WINDOWS * 40 :])
    with torch.no_grad():
        before, after = (model.forward_features(one).tokens for one in (seen, changed))
    moved = (before - after).abs().amax((0, 2)) > 1e-6
    first = 40 - REACH[kind]
    assert not moved[:first].any()
    assert moved[first:].all()


@EVERY
def test_a_delayed_input_gives_delayed_tokens(kind):
    model, seen = network(kind), spectrogram(80)
    delayed = torch.cat((seen[..., -3 * WINDOWS :], seen[..., : -3 * WINDOWS]), dim=-1)
    with torch.no_grad():
        one, other = (model.forward_features(each).tokens for each in (seen, delayed))
    inside = slice(3 + REACH[kind], 80 - REACH[kind])
    torch.testing.assert_close(other[:, inside], one.roll(3, dims=1)[:, inside], rtol=0, atol=1e-5)


@EVERY
def test_bins_of_a_frame_are_distinguished(kind):
    model, seen = network(kind), spectrogram(9)
    with torch.no_grad():
        one, other = (model.forward_features(each).tokens for each in (seen, seen.flip(2)))
    assert (one - other).abs().max() > 1e-2


@EVERY
def test_examples_do_not_mix(kind):
    model, seen = network(kind), spectrogram(20, 3)
    alone = torch.cat([model.forward_features(each[None]).tokens for each in seen])
    torch.testing.assert_close(model.forward_features(seen).tokens, alone, rtol=0, atol=1e-5)


@EVERY
def test_every_parameter_gets_a_gradient(kind):
    model = network(kind, depth=2).train()
    tokens, _ = model.forward_features(spectrogram(20))[:2]
    (tokens * torch.randn_like(tokens)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_a_pyramid_sees_at_its_rates_and_in_the_mean():
    torch.manual_seed(0)
    pyramid = AtrousPyramid(4).eval()
    for name, parameter in pyramid.named_parameters():
        if name.startswith("mean") and name.endswith("weight"):
            nn.init.zeros_(parameter)
    grid = torch.randn(1, 4, 3, 120)
    changed = grid.clone()
    changed[..., 60] += 5
    moved = (pyramid(grid) - pyramid(changed)).abs().amax((0, 1, 2)) > 1e-6
    assert moved.nonzero()[:, 0].tolist() == [24, 36, 48, 60, 72, 84, 96]
    with_mean = AtrousPyramid(4).eval()
    assert ((with_mean(grid) - with_mean(changed)).abs().amax((0, 1, 2)) > 0).all()


@EVERY
def test_paths_are_dropped_in_training_alone(kind):
    model, plain = network(kind, depth=3, drop_path=0.9), network(kind, depth=3)
    seen = spectrogram(20)
    assert torch.equal(model.forward_features(seen).tokens, plain.forward_features(seen).tokens)
    dropped, whole = model.train().forward_features(seen), plain.train().forward_features(seen)
    assert not torch.equal(dropped.tokens, whole.tokens)


def test_a_residual_block_that_changes_nothing_passes_what_is_positive():
    block = ResidualBlock(4, 4, 1, 1, 0.0).eval()
    nn.init.zeros_(block.layers[-1][0].weight)
    seen = torch.randn(2, 4, 6, 7)
    assert torch.equal(block(seen), seen.relu())


def test_an_inverted_residual_is_wide_inside_and_linear_at_its_end():
    block = InvertedResidual(4, 4, 1, 1, 0.0, expand=6).eval()
    convolutions = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    sizes = [(layer.in_channels, layer.out_channels, layer.groups) for layer in convolutions]
    assert sizes == [(4, 24, 1), (24, 24, 24), (24, 4, 1)]
    assert (block(torch.randn(2, 4, 6, 7)) < 0).any()
    nn.init.zeros_(convolutions[-1].weight)
    seen = torch.randn(2, 4, 6, 7)
    assert torch.equal(block(seen), seen)


@pytest.mark.parametrize(("stride", "bands"), [(1, 8), (2, 4)])
@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_a_convolution_keeps_the_steps(stride, bands, dilation):
    result = convolution(2, 6, 3, stride, dilation)(torch.randn(2, 2, 8, 11))
    assert result.shape == (2, 6, bands, 11)
