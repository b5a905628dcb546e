import pytest
import torch

from fakesound.models.scan import bidirectional_conv, bidirectional_scan

from .cases import check_conv_operators, check_operators, scan_inputs, to


@pytest.mark.parametrize("kernel", ["auto", "chunked"])
@pytest.mark.parametrize("gated", [True, False])
def test_scan_operators_are_registered_as_torch_wants_them(kernel, gated):
    check_operators(to(scan_inputs(tokens=5, gated=gated), torch.float32), kernel)


@pytest.mark.parametrize("kernel", ["auto", "chunked"])
def test_conv_operators_are_registered_as_torch_wants_them(kernel):
    tensors = torch.randn(2, 5, 16), torch.randn(2, 16, 4), torch.randn(2, 16)
    check_conv_operators(*tensors, kernel)


def test_channels_that_need_padding_have_the_same_fakes():
    check_operators(to(scan_inputs(channels=20), torch.float32), "cpu")


def test_without_gradients_nothing_is_kept(monkeypatch):
    kept = []
    from fakesound.models.scan import cpu

    forward = cpu.scan_forward
    monkeypatch.setattr(cpu, "scan_forward", lambda *a: (kept.append(a[1]), forward(*a))[1])
    inputs = to(scan_inputs(), torch.float32)
    bidirectional_scan(*inputs[:8])
    x = inputs.x.clone().requires_grad_()
    with torch.no_grad():
        bidirectional_scan(x, *inputs[1:8])
    bidirectional_scan(x, *inputs[1:8])
    assert kept == [False, False, True]


def test_compiled_calls_are_single_operators():
    inputs = to(scan_inputs(channels=16), torch.float32)
    weight, bias = torch.randn(2, 16, 4), torch.randn(2, 16)

    def both(x, z):
        x = bidirectional_conv(x, weight, bias)
        return bidirectional_scan(x, *inputs[1:7], z)

    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph

    z = inputs.z
    compiled = torch.compile(both, fullgraph=True, backend=backend)
    with torch.no_grad():
        assert torch.equal(compiled(z, z), both(z, z))
    names = [str(node.target) for node in graphs[0].graph.nodes if "fakesound" in str(node.target)]
    assert [name.removesuffix(".default") for name in names] == [
        "fakesound.conv_forward",
        "fakesound.scan_forward",
    ]
