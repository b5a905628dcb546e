"""The Triton kernel against the reference, in Triton's interpreter, without a GPU.

The interpreter takes the place of the compiler when Triton is imported, so these tests run in a
process of their own, which imports it with TRITON_INTERPRET=1. It is slow: tensors are tiny.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import torch

from fakesound.errors import InputError
from fakesound.models.scan import bidirectional_conv, reference, resolve_kernel

from .cases import (
    EVERY_INPUT,
    EXTREMES,
    assert_close,
    check_conv_operators,
    check_nan,
    check_operators,
    check_scan,
    gradient,
    scan,
    scan_inputs,
    to,
    with_gradients,
)

pytest.importorskip("triton")

NARROW = ("x", "dt", "B", "C", "z")


@pytest.fixture(scope="module")
def interpreted():
    """Return a function that calls another one in Triton's interpreter."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TRITON_INTERPRET", "1")
            pool.submit(torch.set_num_threads, 1).result()
        yield lambda function, *arguments: pool.submit(function, *arguments).result()


def check(inputs, tolerance=5e-6):
    check_scan(inputs, "triton", torch.float32, tolerance)


@pytest.mark.parametrize(
    ("directions", "batch", "tokens", "channels", "state", "gated"),
    [
        (1, 1, 1, 16, 2, True),
        (1, 2, 17, 5, 2, False),
        (2, 1, 3, 40, 3, True),
        (2, 1, 40, 33, 2, True),
        (2, 2, 9, 1, 4, False),
        (2, 1, 197, 4, 1, True),
    ],
)
def test_equals_the_reference(interpreted, directions, batch, tokens, channels, state, gated):
    inputs = scan_inputs(directions, batch, tokens, channels, state, gated, scale=0.5)
    interpreted(check, inputs)


def test_tied_rates(interpreted):
    interpreted(check, scan_inputs(tokens=18, batch=1, state=5, tied=True))


@EXTREMES
def test_extremes(interpreted, dt, A_log):
    inputs = scan_inputs(tokens=20, batch=1, channels=8, state=2, dt=dt, A_log=A_log)
    interpreted(check, inputs, 2e-5)


def check_in_wide_programs(inputs):
    from fakesound.models.scan import triton

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(triton, "_RESIDENT_WARPS", 1)
        assert triton._forward_warps(inputs.x[0, :, 0].numel()) == 2
        check(inputs)


def test_programs_of_two_warps(interpreted):
    """The second program has channels for one warp, of which only one exists."""
    interpreted(check_in_wide_programs, scan_inputs(tokens=5, batch=1, channels=65, state=2))


def check_narrow(inputs, dtype):
    fields = {name: getattr(inputs, name).to(dtype) for name in NARROW}
    inputs = to(inputs, torch.float32)._replace(**fields)
    grad = gradient(inputs)
    actual = scan(inputs, "triton", grad)
    assert [result.dtype for result in actual[1:]] == [tensor.dtype for tensor in inputs.tensors]
    assert actual[0].dtype == dtype
    expected = scan(to(inputs, torch.float64), "reference", grad.to(dtype).double())
    assert_close(actual, expected, torch.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("state", [4, 3], ids=["words of four", "numbers"])
def test_narrow_tensors_are_computed_in_float32(interpreted, dtype, state):
    interpreted(check_narrow, scan_inputs(tokens=10, batch=1, state=state), dtype)


def check_views(inputs):
    """Views: one x for both directions, rows of a wider tensor as B, C; half a tensor as gate."""
    x, dt, A_log, B, C, D, dt_bias, z, _ = inputs
    shared = x[:1].expand(2, -1, -1, -1)
    projected = torch.cat([dt[..., :3], B[:1].expand_as(B), C], dim=-1)
    states = B.shape[-1]
    gate = torch.cat([x[0], z], dim=-1)[..., x.shape[-1] :]
    views = (shared, dt[:1].expand_as(dt), A_log, projected[..., 3 : 3 + states])
    views += (projected[..., 3 + states :], D, dt_bias, gate)
    viewed = inputs._replace(**dict(zip(inputs._fields, views, strict=False)))
    copied = viewed.replace_tensors([tensor.contiguous() for tensor in viewed.tensors])
    assert not any(viewed[i].is_contiguous() for i in (0, 1, 3, 4, 7))
    grad = torch.ones(()).double().expand(z.shape)
    results = (scan(given, "triton", grad) for given in (viewed, copied))
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_views_give_what_copies_give(interpreted):
    interpreted(check_views, to(scan_inputs(tokens=9, batch=2, state=2), torch.float32))


@EVERY_INPUT
def test_nan_is_not_hidden(interpreted, name):
    inputs = to(scan_inputs(tokens=4, batch=1, state=2), torch.float32)
    interpreted(check_nan, inputs, "triton", name)


def check_conv(directions, batch, tokens, channels, width):
    generator = torch.Generator().manual_seed(tokens)
    shapes = ((batch, tokens, channels), (directions, channels, width), (directions, channels))
    tensors = [torch.randn(shape, generator=generator).double() for shape in shapes]
    grad = torch.randn(directions, *shapes[0], generator=generator).double()
    actual = with_gradients(
        lambda *leaves: bidirectional_conv(*leaves, kernel="triton"),
        [tensor.float() for tensor in tensors],
        grad,
    )
    assert_close(actual, with_gradients(reference.conv, tensors, grad), 5e-6)


@pytest.mark.parametrize(
    ("directions", "batch", "tokens", "channels", "width"),
    [(1, 1, 1, 16, 4), (2, 2, 3, 40, 4), (2, 1, 2, 1, 3), (2, 1, 75, 70, 4), (1, 2, 30, 16, 1)],
)
def test_conv_equals_the_reference(interpreted, directions, batch, tokens, channels, width):
    interpreted(check_conv, directions, batch, tokens, channels, width)


def check_conv_of_half_a_tensor():
    torch.manual_seed(0)
    wide, weight, bias = torch.randn(2, 5, 12), torch.randn(2, 6, 4), torch.randn(2, 6)
    half = wide.bfloat16()[..., 6:]
    result = bidirectional_conv(half, weight, bias, kernel="triton")
    assert result.dtype == torch.bfloat16
    assert torch.equal(result, bidirectional_conv(half.contiguous(), weight, bias, kernel="triton"))
    expected = reference.conv(half.double(), weight.double(), bias.double())
    assert_close([result], [expected], torch.finfo(torch.bfloat16).eps)


def test_conv_of_half_a_narrow_tensor(interpreted):
    interpreted(check_conv_of_half_a_tensor)


@pytest.mark.parametrize("gated", [True, False])
def test_operators_are_registered_as_torch_wants_them(interpreted, gated):
    inputs = to(scan_inputs(tokens=3, batch=1, channels=3, state=1, gated=gated), torch.float32)
    interpreted(check_operators, inputs, "triton")
    weight, bias = torch.ones(2, inputs.x.shape[-1], 2), inputs.D
    interpreted(check_conv_operators, inputs.x[0], weight, bias, "triton")


def check_empty():
    inputs = to(scan_inputs(tokens=0, state=2), torch.float32)
    for result in scan(inputs, "triton", gradient(inputs)):
        assert not result.any()


def test_no_tokens(interpreted):
    interpreted(check_empty)


def resolve_all():
    return [resolve_kernel(name, "cpu") for name in ("triton", "auto")]


def test_a_cpu_is_for_the_interpreter_alone(interpreted):
    assert interpreted(resolve_all) == ["triton", "cpu"]
    with pytest.raises(InputError, match="kernel=triton: cannot run on cpu"):
        resolve_all()


def probed(wrong):
    from fakesound.models.scan import triton

    if wrong:
        forward = triton.scan_forward
        triton.scan_forward = lambda *inputs: (2 * forward(*inputs)[0], forward(*inputs)[1])
    try:
        triton.probe("cpu")
    except ImportError as error:
        return str(error)
    finally:
        if wrong:
            triton.scan_forward = forward
    return "works"


def test_the_probe_distinguishes_working_and_broken_kernels(interpreted):
    assert interpreted(probed, False) == "works"
    assert interpreted(probed, True) == "the Triton kernel gives wrong results"
