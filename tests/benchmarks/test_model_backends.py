import importlib.util

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fakesound.benchmarks.matmul import MatrixProducts
from fakesound.benchmarks.measure import Method, difference
from fakesound.benchmarks.model_backends import (
    build,
    call_of,
    grid,
    model_of,
    model_problem,
    size_of,
)
from fakesound.benchmarks.transformer import as_transformer
from fakesound.config.composition import compose_config, run_config

CPU = torch.device("cpu")


def configuration(backbone, *overrides):
    return run_config(compose_config([f"backbone={backbone}", "backbone.drop_path=0", *overrides]))


def small(variant="v2", backbone="vim_tiny"):
    """A backbone of few, narrow layers."""
    config = configuration(backbone)
    config.backbone.dim, config.backbone.depth, config.backbone.variant = 32, 2, variant
    return config


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def flops(call):
    with FlopCounterMode(display=False) as counter:
        call()
    return {str(op): count for op, count in counter.get_flop_counts()["Global"].items()}


@pytest.mark.parametrize("variant", ["v2", "v1", "none"])
@pytest.mark.parametrize("direction", ["forward", "forward+backward"])
@pytest.mark.parametrize("backbone", ["vim_tiny", "vim_micro"])
def test_the_matrix_products_are_those_of_the_model(variant, direction, backbone):
    model, shape = build(small(variant, backbone), 25)
    spectrogram = shape.make(2, CPU)
    whole, products = (
        flops(call_of(model_of(name, model), direction, spectrogram, torch.float32))
        for name in ("cpu", "matmul")
    )
    assert whole == products
    assert {"aten.mm", "aten.bmm", "aten.convolution"} <= set(whole)


def test_the_matrix_products_have_weights_of_their_own():
    model, shape = build(small(), 25)
    products = MatrixProducts(model)
    weights = {parameter.data_ptr() for parameter in products.parameters()}
    assert len(weights) == len(list(products.parameters())) == 2 + 2 * 4
    assert weights.isdisjoint(parameter.data_ptr() for parameter in model.parameters())
    call = call_of(products, "forward", shape.make(2, CPU), torch.float32)
    assert 1e-3 < call()[0].std() < 1e3
    # between products nothing large is made that the model would not make
    assert call()[0].shape == (2, 25, 32)


@pytest.mark.parametrize("backbone", ["vim_micro", "vim_tiny", "vim_small", "vim_base"])
def test_the_transformer_has_about_the_parameters_of_the_model(backbone):
    with torch.device("meta"):
        model, _ = build(configuration(backbone), 197)
        assert 0.9 < parameters(as_transformer(model)) / parameters(model) < 1.1


def test_the_transformer_lets_every_token_see_every_other():
    model, _ = build(small(), 9)
    rival = as_transformer(model)
    tokens = torch.randn(1, 8, 32, requires_grad=True)
    out = tokens
    for layer in rival.layers:
        out = layer(out)
    (grad,) = torch.autograd.grad(out[0, 3].square().sum(), tokens)
    assert (grad.abs().sum(-1) > 0).all()


@pytest.mark.parametrize(
    "name",
    [
        "cpu",
        "chunked",
        pytest.param(
            "mambapy",
            marks=pytest.mark.skipif(
                importlib.util.find_spec("mambapy") is None, reason="mambapy is not installed"
            ),
        ),
    ],
)
@pytest.mark.parametrize("tied_decay", [False, True])
def test_what_is_beside_ours_computes_the_same(name, tied_decay):
    config = small()
    config.backbone.tied_decay = tied_decay
    model, shape = build(config, 21)
    with torch.no_grad():
        for parameter in model.layers.parameters():
            parameter.mul_(torch.rand_like(parameter) + 0.5)
    spectrogram = shape.make(2, CPU)
    one, other = (
        call_of(model_of(backend, model), "forward", spectrogram, torch.float32)()
        for backend in (name, "reference")
    )
    assert difference(one, other) < 1e-5


def test_gradients_do_not_pile_up():
    model, shape = build(small(), 9)
    made = model_of("cpu", model)
    call_of(made, "forward+backward", shape.make(1, CPU), torch.float32)()
    assert all(parameter.grad is None for parameter in made.parameters())


@pytest.mark.parametrize(
    ("tokens", "found"),
    [(196, (7, 28)), (512, (8, 64)), (100, (10, 10)), (1400, (8, 175)), (509, (6, 85))],
)
def test_a_grid_of_the_right_size(tokens, found):
    assert grid(tokens, 16) == found


@pytest.mark.parametrize("backbone", ["vim_micro", "vim_tiny"])
@pytest.mark.parametrize("tokens", [1, 2, 50, 101])
def test_the_model_has_the_tokens_that_are_told(backbone, tokens):
    model, shape = build(small(backbone=backbone), tokens)
    seen = []
    model.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    call_of(model, "forward", shape.make(1, CPU), torch.float32)()
    assert seen == [shape.tokens]
    assert abs(shape.tokens - tokens) <= 4


def test_mambapy_is_left_out_where_it_cannot_run():
    method = Method(1, CPU, torch.float32)
    config = small("v1")
    size = size_of(config, 2, 197)
    assert "v2 only" in model_problem("mambapy", config, size, 2**40, method)
    config = small()
    assert model_problem("mambapy", config, size, 2**40, method) is None
    assert "GiB" in model_problem("mambapy", config, size, 2**20, method)
    assert model_problem("matmul", config, size, 0, method) is None
    assert "cannot run on cpu" in model_problem("triton", config, size, 0, method)
