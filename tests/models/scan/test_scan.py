import pytest
import torch

from fakesound.models.scan import bidirectional_scan

from .cases import (
    EVERY_INPUT,
    EXTREMES,
    KERNELS,
    assert_close,
    check_nan,
    check_scan,
    gradient,
    scan,
    scan_inputs,
    to,
    with_gradients,
)

TOLERANCE = {torch.float32: 5e-6, torch.float64: 1e-12}


def check(inputs, kernel, dtype, tolerance=None):
    check_scan(inputs, kernel, dtype, tolerance or TOLERANCE[dtype])


BACKENDS = [("chunked", torch.float64), ("chunked", torch.float32), ("cpu", torch.float32)]


@pytest.mark.parametrize(("kernel", "dtype"), [*BACKENDS, ("reference", torch.float32)])
@pytest.mark.parametrize(
    ("directions", "batch", "tokens", "channels", "state", "gated"),
    [
        (1, 1, 1, 16, 8, True),
        (2, 1, 3, 40, 16, True),
        (1, 2, 16, 40, 8, False),
        (2, 3, 33, 1, 16, True),
        (2, 2, 101, 24, 16, True),
        (2, 1, 197, 72, 8, False),
        (1, 1, 512, 16, 16, True),
        (2, 1, 513, 40, 16, True),
        (2, 1, 1401, 17, 16, True),
        (2, 2, 19, 33, 6, True),
        (1, 2, 40, 16, 1, True),
        (2, 1, 35, 16, 33, False),
    ],
)
def test_equals_the_reference(kernel, dtype, directions, batch, tokens, channels, state, gated):
    check(scan_inputs(directions, batch, tokens, channels, state, gated, scale=0.5), kernel, dtype)


@pytest.mark.parametrize(("kernel", "dtype"), BACKENDS)
@EXTREMES
def test_extremes(kernel, dtype, dt, A_log):
    tolerance = 2e-5 if dtype != torch.float64 else None
    check(scan_inputs(tokens=70, dt=dt, A_log=A_log), kernel, dtype, tolerance)


@pytest.mark.parametrize(("kernel", "dtype"), [*BACKENDS, ("reference", torch.float64)])
@pytest.mark.parametrize("state", [2, 7, 16])
def test_tied_rates_are_multiples_of_one(kernel, dtype, state):
    inputs = scan_inputs(tokens=45, channels=24, state=state, tied=True)
    grad = gradient(inputs)
    multiples = torch.arange(1.0, state + 1, dtype=torch.float64).log()

    def written_out(x, dt, A_log, *rest):
        return bidirectional_scan(x, dt, A_log + multiples, *rest, kernel="reference")

    expected = with_gradients(written_out, inputs.tensors, grad)
    assert_close(scan(to(inputs, dtype), kernel, grad), expected, TOLERANCE[dtype])


@pytest.mark.parametrize("kernel", KERNELS)
def test_direction_1_is_direction_0_of_the_flipped_sequence(kernel):
    inputs = to(scan_inputs(tokens=37), torch.float32)
    x, dt, A_log, B, C, D, dt_bias, z, _ = inputs
    both = bidirectional_scan(*inputs[:8], kernel=kernel)

    def alone(direction, *dims):
        part = slice(direction, direction + 1)
        over_time = [tensor[part].flip(dims) for tensor in (x, dt, B, C)]
        return bidirectional_scan(
            *over_time[:2], A_log[part], *over_time[2:], D[part], dt_bias[part],
            z.flip([dim - 1 for dim in dims]), kernel=kernel,
        )  # fmt: skip

    assert_close([both], [(alone(0) + alone(1, 2).flip(1)).double()], 1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_views_give_what_copies_give(kernel):
    inputs = to(scan_inputs(tokens=9, channels=32), torch.float32)
    x, dt, A_log, B, C, D, dt_bias, z, _ = inputs
    shared = x[:1].expand(2, -1, -1, -1)
    projected = torch.cat([dt[..., :3], B, C], dim=-1)
    gate = torch.cat([x[0], z], dim=-1)[..., 32:]
    views = (shared, dt, A_log, projected[..., 3:11], projected[..., 11:], D, dt_bias, gate)
    copies = [tensor.contiguous() for tensor in views]
    assert not any(view.is_contiguous() for view in (shared, views[3], views[4], gate))
    assert torch.equal(
        bidirectional_scan(*views, kernel=kernel), bidirectional_scan(*copies, kernel=kernel)
    )


@pytest.mark.parametrize("kernel", ["reference", "chunked"])
@pytest.mark.parametrize(("gated", "tied"), [(True, False), (False, False), (True, True)])
def test_gradcheck(kernel, gated, tied):
    inputs = scan_inputs(batch=1, tokens=4, channels=2, state=2, gated=gated, scale=0.5, tied=tied)
    leaves = [tensor.requires_grad_() for tensor in inputs.tensors]

    def function(*tensors):
        return scan(inputs.replace_tensors(tensors), kernel)[0]

    assert torch.autograd.gradcheck(function, leaves)


@pytest.mark.parametrize("kernel", ["chunked", "cpu"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_tensors_are_computed_in_float32(kernel, dtype):
    inputs = scan_inputs(tokens=50)
    names = ("x", "dt", "B", "C", "z")
    narrow = inputs._replace(**{name: getattr(inputs, name).to(dtype) for name in names})
    narrow = narrow._replace(
        **{name: getattr(inputs, name).float() for name in ("A_log", "D", "dt_bias")}
    )
    expected = bidirectional_scan(*(t.double() for t in narrow[:8]), kernel="reference")
    result = bidirectional_scan(*narrow[:8], kernel=kernel)
    assert result.dtype == dtype
    assert_close([result], [expected], torch.finfo(dtype).eps)


@pytest.mark.parametrize("kernel", KERNELS)
@EVERY_INPUT
def test_nan_is_not_hidden(kernel, name):
    check_nan(to(scan_inputs(), torch.float32), kernel, name)


def test_results_do_not_depend_on_chunks_of_channels(monkeypatch):
    inputs = scan_inputs(tokens=20, channels=10)
    whole = bidirectional_scan(*inputs[:8], kernel="chunked")
    monkeypatch.setattr("fakesound.models.scan.chunked._BLOCK_ELEMENTS", 3 * 2 * 20 * 8)
    check(inputs, "chunked", torch.float64)
    assert_close([bidirectional_scan(*inputs[:8], kernel="chunked")], [whole], 1e-14)


@pytest.mark.parametrize("name", ["dt", "A_log", "B", "C", "D", "dt_bias", "z"])
def test_wrong_shapes_are_refused(name):
    inputs = scan_inputs(tokens=6)
    wrong = inputs._replace(**{name: getattr(inputs, name)[..., :-1, :]})
    with pytest.raises(ValueError, match=f"{name} has shape"):
        bidirectional_scan(*wrong[:8])


def test_a_third_direction_is_refused():
    with pytest.raises(ValueError, match="3 directions"):
        bidirectional_scan(*scan_inputs(directions=3)[:8])
