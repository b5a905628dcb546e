"""The adapter of mamba-ssm, with a replacement of its CUDA extension in plain torch.

What is tested is the order of arguments, layouts, gradients and the refusal of what does not work.
That the real extension agrees is what the adapter's own probe checks where there is a GPU.
"""

import importlib
import sys
import types

import pytest
import torch
from torch.nn.functional import conv1d, silu, softplus

from fakesound.models.scan import kernels, reference

from .cases import assert_close, scan_inputs, to, with_gradients

NAME = "fakesound.models.scan.mamba_ssm"


def selective_scan(u, delta, A, B, C, D, bias):
    """Return one direction as documented by mamba-ssm: u, delta (B, E, L); B, C (B, 1, N, L)."""
    delta = softplus(delta + bias[:, None])
    hidden, ys = torch.zeros(*u.shape[:2], A.shape[1]), []
    for t in range(u.shape[2]):
        push = delta[:, :, t, None] * B[:, 0, None, :, t] * u[:, :, t, None]
        hidden = torch.exp(delta[:, :, t, None] * A) * hidden + push
        ys.append((hidden * C[:, 0, None, :, t]).sum(-1))
    return torch.stack(ys, -1) + D[:, None] * u


class Extension:
    """Replacement of ``selective_scan_cuda`` with the same arguments."""

    def fwd(self, u, delta, A, B, C, D, z, bias, delta_softplus):
        assert z is None
        assert delta_softplus is True
        assert u.stride(-1) == 1 or u.shape[-1] == 1
        kept = torch.zeros(u.shape[0], u.shape[1], -(-u.shape[2] // 2048), 2 * A.shape[1])
        return [selective_scan(u, delta, A, B, C, D, bias), kept]

    def bwd(self, u, delta, A, B, C, D, z, bias, dout, x, out, dz, delta_softplus, recompute):
        assert (z, out, dz, delta_softplus, recompute) == (None, None, None, True, False)
        assert x.shape[2] == -(-u.shape[2] // 2048)
        leaves = [t.detach().clone().requires_grad_() for t in (u, delta, A, B, C, D, bias)]
        with torch.enable_grad():
            y = selective_scan(*leaves)
        return list(torch.autograd.grad(y, leaves, dout))


class Wrong(Extension):
    def fwd(self, u, delta, A, B, C, D, z, bias, delta_softplus):
        y, kept = super().fwd(u, delta, A, B, C, D, z, bias, delta_softplus)
        return [2 * y, kept]


class Rounding(Extension):
    """Like the original on an H100: another order of sums, errors of about 1e-7 of the maximum."""

    def bwd(self, *arguments):
        return [
            part + 2e-7 * part.abs().max() * torch.linspace(-1, 1, part.numel()).view_as(part)
            for part in super().bwd(*arguments)
        ]


class Broken(Extension):
    def fwd(self, *arguments):
        raise RuntimeError("no kernel image is available for execution on the device")


def causal_conv1d_fn(x, weight, bias, activation):
    assert activation == "silu"
    width, channels = weight.shape[1], x.shape[1]
    result = conv1d(x, weight[:, None], bias, padding=width - 1, groups=channels)
    return silu(result[..., : x.shape[2]])


@pytest.fixture
def install(monkeypatch):
    """Return a function that replaces modules of mamba-ssm and imports the adapter."""

    def put(extension, **others):
        interface = types.ModuleType("mamba_ssm.ops.selective_scan_interface")
        interface.selective_scan_cuda = extension
        ops, package = types.ModuleType("mamba_ssm.ops"), types.ModuleType("mamba_ssm")
        ops.selective_scan_interface = interface
        for module in (package, ops, interface):
            monkeypatch.setitem(sys.modules, module.__name__, module)
        for name, module in others.items():
            monkeypatch.setitem(sys.modules, name, module)
        sys.modules.pop(NAME, None)
        return importlib.import_module(NAME)

    yield put
    sys.modules.pop(NAME, None)
    kernels.load_kernel.cache_clear()


def causal_conv1d():
    module = types.ModuleType("causal_conv1d")
    module.causal_conv1d_fn = causal_conv1d_fn
    return module


@pytest.mark.parametrize(
    ("directions", "tokens", "gated", "tied", "dtype", "tolerance"),
    [
        (2, 20, True, False, torch.float32, 1e-5),
        (1, 1, False, False, torch.float32, 1e-5),
        (2, 9, False, True, torch.float32, 1e-5),
        (2, 20, True, False, torch.bfloat16, 0.02),
    ],
)
def test_equals_the_reference(install, directions, tokens, gated, tied, dtype, tolerance):
    adapter = install(Extension())
    inputs = scan_inputs(directions, tokens=tokens, gated=gated, tied=tied, scale=0.5)
    grad = torch.randn(inputs.x.shape[1:], dtype=torch.float64)

    def exact(*tensors):
        return reference.scan(inputs.replace_tensors(tensors))

    expected = with_gradients(exact, inputs.tensors, grad)
    narrow = to(inputs, torch.float32)
    changed = [name for name in ("x", "dt", "B", "C", "z") if getattr(narrow, name) is not None]
    narrow = narrow._replace(**{name: getattr(narrow, name).to(dtype) for name in changed})
    out, kept = adapter.scan_forward(narrow, True)
    assert kept.shape == adapter.checkpoint_shape(narrow)
    result = (out, *adapter.scan_backward(grad.to(dtype), narrow, kept))
    assert [one.dtype for one in result[1:]] == [tensor.dtype for tensor in narrow.tensors]
    assert_close(result, expected, tolerance)
    assert adapter.scan_forward(narrow, False)[1].numel() == 0


@pytest.mark.parametrize("with_package", [True, False])
def test_the_convolution_is_the_packages_where_it_is_there(install, with_package):
    others = {"causal_conv1d": causal_conv1d() if with_package else None}
    adapter = install(Extension(), **others)
    assert (adapter._causal_conv1d(torch.device("cpu")) is causal_conv1d_fn) == with_package
    tensors = [torch.randn(2, 9, 8), torch.randn(2, 8, 4), torch.randn(2, 8)]
    grad = torch.randn(2, 2, 9, 8)
    expected = with_gradients(reference.conv, [t.double() for t in tensors], grad.double())
    result = (adapter.conv_forward(*tensors), *adapter.conv_backward(grad, *tensors))
    assert_close(result, expected, 1e-5)


@pytest.mark.parametrize("extension", [Extension(), Rounding()])
def test_the_probe_passes_what_works(install, extension):
    install(extension).probe("cpu")


@pytest.mark.parametrize(
    ("extension", "message"),
    [(Broken(), "does not work: no kernel image"), (Wrong(), "gives wrong results")],
)
def test_the_probe_refuses_what_does_not(install, extension, message):
    with pytest.raises(ImportError, match=message):
        install(extension).probe("cpu")


def test_a_package_without_the_extension_does_not_count(install):
    with pytest.raises(ImportError, match="without its CUDA extension"):
        install(None)


def test_a_kernel_that_fails_the_probe_is_not_offered(install):
    adapter = install(Broken())
    kernels.load_kernel.cache_clear()
    assert adapter.extension is not None
    assert kernels.load_kernel("mamba_ssm") is None


def test_a_package_that_fails_to_import_is_not_offered(monkeypatch):
    class Failing:
        def find_spec(self, name, path=None, target=None):
            if name == "mamba_ssm":
                raise OSError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(sys, "meta_path", [Failing(), *sys.meta_path])
    sys.modules.pop(NAME, None)
    with pytest.raises(ImportError, match="libcudart"):
        importlib.import_module(NAME)
    kernels.load_kernel.cache_clear()
    assert kernels.load_kernel("mamba_ssm") is None
