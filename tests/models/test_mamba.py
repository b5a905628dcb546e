import math

import pytest
import torch
from torch.nn.functional import conv1d, linear, silu, softplus

from fakesound.errors import InputError
from fakesound.models.mamba import BidirectionalMamba

from .scan.cases import assert_close
from .scan.conftest import one_thread  # noqa: F401  # of every test here too

SHAPES_V2 = {
    "in_proj.weight": (128, 32),
    "conv1d.weight": (64, 1, 4),
    "conv1d.bias": (64,),
    "x_proj.weight": (2 + 32, 64),
    "dt_proj.weight": (64, 2),
    "dt_proj.bias": (64,),
    "A_log": (64, 16),
    "D": (64,),
    "A_b_log": (64, 16),
    "D_b": (64,),
    "conv1d_b.weight": (64, 1, 4),
    "conv1d_b.bias": (64,),
    "x_proj_b.weight": (2 + 32, 64),
    "dt_proj_b.weight": (64, 2),
    "dt_proj_b.bias": (64,),
    "out_proj.weight": (32, 64),
}


def mixer(variant="v2", seed=0, **options):
    """Return a mixer with random parameters, so that every term affects the output."""
    torch.manual_seed(seed)
    mixer_copy = BidirectionalMamba(32, variant=variant, **options)
    for name, parameter in mixer_copy.named_parameters():
        if name.endswith("D") or name.endswith("D_b") or "log" in name:
            torch.nn.init.normal_(parameter)
    return mixer_copy


def selective_scan(x, dt, A, B, C, D, z, bias):
    """Return one causal direction with skip and gate, which Vim calls twice."""
    dt = softplus(dt + bias)
    h = x.new_zeros(len(x), x.shape[2], A.shape[1])
    out = []
    for t in range(x.shape[1]):
        h = torch.exp(dt[:, t, :, None] * A) * h + torch.einsum(
            "be,bn->ben", dt[:, t] * x[:, t], B[:, t]
        )
        out.append(torch.einsum("ben,bn->be", h, C[:, t]))
    return (torch.stack(out, 1) + D * x) * silu(z)


def vim(model, tokens):
    """Return the output of Vim with explicit flips, from float64 parameters."""
    p = {name: value.double() for name, value in model.state_dict().items()}

    def convolved(xz, suffix):
        x, z = xz.chunk(2, -1)
        channels = x.shape[2]
        x = conv1d(
            x.mT, p[f"conv1d{suffix}.weight"], p[f"conv1d{suffix}.bias"], padding=3, groups=channels
        )[..., : x.shape[1]].mT
        return silu(x), z

    def projected(x, suffix):
        rank = p[f"dt_proj{suffix}.weight"].shape[1]
        low, B, C = linear(x, p[f"x_proj{suffix}.weight"]).split([rank, 16, 16], -1)
        return linear(low, p[f"dt_proj{suffix}.weight"]), B, C

    xz = linear(tokens.double(), p["in_proj.weight"])
    x, z = convolved(xz, "")
    dt, B, C = projected(x, "")
    bias = p["dt_proj.bias"]
    out = selective_scan(x, dt, -p["A_log"].exp(), B, C, p["D"], z, bias)
    if model.variant == "v1":
        flipped = [tensor.flip(1) for tensor in (x, dt, B, C, z)]
        out_b = selective_scan(
            *flipped[:2], -p["A_b_log"].exp(), *flipped[2:4], p["D"], flipped[4], bias
        )
        out = out + out_b.flip(1)
    if model.variant == "v2":
        x, z = convolved(xz.flip(1), "_b")
        dt, B, C = projected(x, "_b")
        out_b = selective_scan(x, dt, -p["A_b_log"].exp(), B, C, p["D_b"], z, p["dt_proj_b.bias"])
        out = out + out_b.flip(1)
        out = out / 2
    return linear(out, p["out_proj.weight"])


@pytest.mark.parametrize("variant", ["none", "v1", "v2"])
@pytest.mark.parametrize("kernel", ["auto", "chunked"])
def test_equals_vim_with_flips(variant, kernel):
    model = mixer(variant, kernel=kernel)
    tokens = torch.randn(2, 21, 32)
    assert_close([model(tokens)], [vim(model, tokens)], 5e-6)
    assert_close([model.double()(tokens.double())], [vim(model, tokens)], 1e-12)


@pytest.mark.parametrize(
    ("variant", "absent"),
    [
        ("v2", ()),
        ("v1", ("D_b", "conv1d_b", "x_proj_b", "dt_proj_b")),
        ("none", ("D_b", "conv1d_b", "x_proj_b", "dt_proj_b", "A_b_log")),
    ],
)
def test_parameters_have_the_published_names_and_shapes(variant, absent):
    shapes = {
        name: tuple(value.shape)
        for name, value in BidirectionalMamba(32, variant=variant).state_dict().items()
    }
    assert shapes == {
        name: shape for name, shape in SHAPES_V2.items() if not name.startswith(absent or "!")
    }


def test_parameter_counts_are_those_of_vim_tiny_and_small():
    for dim, count in ((192, 282_048), (384, 1_043_328)):
        # The published count of a layer includes its norm.
        total = sum(parameter.numel() for parameter in BidirectionalMamba(dim).parameters())
        assert total + dim == count


@pytest.mark.parametrize("variant", ["none", "v1", "v2"])
def test_every_parameter_and_token_gets_a_gradient(variant):
    model = mixer(variant)
    tokens = torch.randn(2, 7, 32, requires_grad=True)
    model(tokens).square().sum().backward()
    for name, parameter in [*model.named_parameters(), ("tokens", tokens)]:
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_every_token_sees_every_other(variant):
    tokens = torch.randn(1, 9, 32, requires_grad=True)
    out = mixer(variant)(tokens)
    for place in (0, 4, 8):
        (grad,) = torch.autograd.grad(out[0, place].sum(), tokens, retain_graph=True)
        assert (grad[0].abs().sum(-1) > 0).all()


def test_alone_it_is_causal():
    tokens = torch.randn(1, 9, 32, requires_grad=True)
    (grad,) = torch.autograd.grad(mixer("none")(tokens)[0, 4].sum(), tokens)
    assert (grad[0, :5].abs().sum(-1) > 0).all()
    assert (grad[0, 5:] == 0).all()


def test_step_sizes_start_between_a_thousandth_and_a_tenth():
    torch.manual_seed(0)
    model = BidirectionalMamba(192)
    for projection in (model.dt_proj, model.dt_proj_b):
        steps = softplus(projection.bias)
        assert steps.min() >= 0.99e-3
        assert steps.max() <= 1.01e-1
        assert steps.log().std() > 1
        assert projection.weight.abs().max() <= 12**-0.5
    assert torch.equal(model.A_log[7], torch.arange(1.0, 17).log())
    assert torch.equal(model.A_log, model.A_b_log)
    assert (model.D == 1).all()


def test_parameters_without_weight_decay_are_marked():
    marked = {
        name
        for name, parameter in BidirectionalMamba(32).named_parameters()
        if getattr(parameter, "_no_weight_decay", False)
    }
    assert marked == {"A_log", "A_b_log", "D", "D_b", "dt_proj.bias", "dt_proj_b.bias"}


def test_sizes_are_arguments():
    model = BidirectionalMamba(20, state=8, expand=3)
    assert model.x_proj.weight.shape == (2 + 16, 60)
    assert model(torch.randn(1, 4, 20)).shape == (1, 4, 20)
    assert BidirectionalMamba(20).dt_proj.weight.shape[1] == math.ceil(20 / 16)


def test_an_unknown_variant_is_an_input_error():
    with pytest.raises(InputError, match="variant=v3: choose one of"):
        BidirectionalMamba(32, variant="v3")


# Torch makes one itself when it traces.
@pytest.mark.filterwarnings("ignore:.*Function.* should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("variant", ["none", "v1", "v2"])
def test_compiles_without_a_break(variant):
    model = mixer(variant)
    tokens = torch.randn(2, 11, 32)
    expected = model(tokens)
    expected.square().sum().backward()
    grads = [parameter.grad for parameter in model.parameters()]
    model.zero_grad()
    result = torch.compile(model, fullgraph=True, backend="aot_eager")(tokens)
    result.square().sum().backward()
    assert_close([result.detach()], [expected.detach().double()], 1e-6)
    compiled = [parameter.grad for parameter in model.parameters()]
    assert_close(compiled, [grad.double() for grad in grads], 1e-5)


def test_exports():
    model = mixer().eval()
    tokens = torch.randn(2, 11, 32)
    program = torch.export.export(model, (tokens,))
    assert_close([program.module()(tokens)], [model(tokens).double()], 1e-6)


def test_autocast_to_bfloat16():
    model = mixer()
    tokens = torch.randn(2, 30, 32)
    expected = model(tokens)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = model(tokens)
    result.float().square().sum().backward()
    assert result.dtype == torch.bfloat16
    assert all(parameter.grad.dtype == torch.float32 for parameter in model.parameters())
    assert_close([result.detach()], [expected.detach().double()], 3e-2)


@pytest.mark.parametrize("variant", ["none", "v1", "v2"])
def test_tied_decay_starts_where_rates_of_their_own_do(variant):
    free = BidirectionalMamba(16, state=8, variant=variant)
    tied = BidirectionalMamba(16, state=8, variant=variant, tied_decay=True)
    same = {name: value for name, value in free.state_dict().items() if "A_" not in name}
    missing = tied.load_state_dict(same, strict=False).missing_keys
    assert missing == [name for name in tied.state_dict() if "A_" in name]
    assert all(tied.get_parameter(name).shape == (32, 1) for name in missing)
    tokens = torch.randn(2, 21, 16)
    torch.testing.assert_close(tied(tokens), free(tokens), rtol=1e-4, atol=1e-6)
    tied(tokens).sum().backward()
    assert all(tied.get_parameter(name).grad.abs().sum() > 0 for name in missing)


def test_a_few_clips_at_a_time_give_what_all_give(monkeypatch):
    mixer_copy = mixer()
    tokens = torch.randn(5, 9, 32)
    calls = []
    inner = mixer_copy._mix
    monkeypatch.setattr(mixer_copy, "_mix", lambda part: (calls.append(len(part)), inner(part))[1])
    expected = mixer_copy(tokens)
    monkeypatch.setattr("fakesound.models.mamba._CACHED", 2 * 9 * 64)
    assert mixer_copy(tokens).requires_grad
    with torch.no_grad():
        torch.testing.assert_close(mixer_copy(tokens), expected, rtol=1e-5, atol=1e-6)
    assert calls == [5, 5, 2, 2, 1]  # in parts as equal as can be
