"""Compiled code of the Triton kernels, without a GPU.

Speed cannot be seen here, but what would ruin it can: threads that wait for each other in a scan,
or states that do not fit into registers.
"""

import re
import subprocess
from collections import Counter

import pytest
import torch

from .cases import scan_inputs

triton = pytest.importorskip("triton")

from triton.backends.compiler import GPUTarget  # noqa: E402

from fakesound.models.scan import triton as kernel  # noqa: E402
from fakesound.models.scan import (  # noqa: E402
    triton_conv,
    triton_scan,
    triton_scan_backward,
    triton_sums,
)

CAPABILITIES = (80, 90)
DTYPES = (torch.float32, torch.bfloat16)
MODULES = {
    "scan_forward": triton_scan,
    "scan_backward": triton_scan_backward,
    "arrange_rows": triton_sums,
    "sum_rows": triton_sums,
    "gate_backward": triton_sums,
    "conv_forward": triton_conv,
    "conv_backward": triton_conv,
}


class AbsentGPU:
    """Driver of a GPU of a capability with the parts that compilation needs."""

    def __init__(self, capability):
        self.capability = capability

    def get_current_target(self):
        return GPUTarget("cuda", self.capability, 32)

    def get_current_device(self):
        return self.capability

    def get_current_stream(self, device):
        return 0


class Launches:
    """Replacement of a kernel that compiles its launches on request."""

    def __init__(self, kernel, wanted):
        self.kernel = kernel
        self.wanted = wanted
        self.compiled = []

    def __getitem__(self, grid):
        def launch(*arguments, **keywords):
            if self.wanted:
                self.compiled.append(self.kernel.warmup(*arguments, grid=grid, **keywords))

        return launch


@pytest.fixture
def compile_kernel(monkeypatch, tmp_path):
    """Return a function that compiles one of the kernels that a function launches."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))

    def compile_kernel(wanted, capability, function, *arguments):
        monkeypatch.setattr(triton.runtime.driver, "_active", AbsentGPU(capability))
        launches = {}
        with pytest.MonkeyPatch.context() as patch:
            for name, module in MODULES.items():
                launches[name] = Launches(getattr(module, name), name == wanted)
                patch.setattr(module, name, launches[name])
            function(*arguments)
        (compiled,) = launches[wanted].compiled
        return compiled

    return compile_kernel


def resources(compiled, tmp_path):
    """Return the registers of a thread and the bytes that it spills to memory."""
    path = tmp_path / "kernel.cubin"
    path.write_bytes(compiled.asm["cubin"])
    tool = triton.knobs.nvidia.cuobjdump.path
    text = subprocess.check_output([tool, "-res-usage", path], text=True)
    registers, stack = re.search(r"REG:(\d+) STACK:(\d+)", text).groups()
    return int(registers), int(stack)


def inner_loops(compiled, tmp_path):
    """Return how often each instruction occurs in each loop that has no other inside."""
    path = tmp_path / "kernel.cubin"
    path.write_bytes(compiled.asm["cubin"])
    tool = triton.knobs.nvidia.cuobjdump.path
    text = subprocess.check_output([tool, "-sass", path], text=True)
    pattern = r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+ )?([A-Z]\w*)([^;]*);"
    code = [(int(at, 16), name, rest) for at, name, rest in re.findall(pattern, text)]
    loops = []
    for at, name, rest in code:
        target = re.search(r"0x([0-9a-f]+)", rest)
        if name == "BRA" and target and int(target[1], 16) < at:
            loops.append((int(target[1], 16), at))
    for first, last in loops:
        inside = [other for other in loops if first <= other[0] and other[1] < last]
        if not inside:
            yield Counter(name for at, name, _ in code if first <= at <= last)


def usual(dtype, directions=2, **changes):
    inputs = scan_inputs(directions, batch=2, tokens=20, channels=64, state=16, **changes)
    inputs = inputs.replace_tensors([tensor.float() for tensor in inputs.tensors])
    names = ("x", "dt", "B", "C", "z")
    return inputs._replace(**{name: getattr(inputs, name).to(dtype) for name in names})


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("directions", "most"), [(1, 128), (2, 168)])
def test_forward_scan_waits_for_no_other_thread(
    compile_kernel, tmp_path, capability, dtype, directions, most
):
    inputs = usual(dtype, directions)
    compiled = compile_kernel("scan_forward", capability, kernel.scan_forward, inputs, True)
    assert not re.search(r"\bbar\.|\bshfl\.|\.shared", compiled.asm["ptx"])
    registers, stack = resources(compiled, tmp_path)
    assert registers <= most
    assert stack == 0
    (loop,) = inner_loops(compiled, tmp_path)
    assert loop["MUFU"] == directions * (16 + 4)
    assert sum(loop.values()) <= directions * 250


def test_tied_rates_take_one_exponential(compile_kernel, tmp_path):
    inputs = usual(torch.float32, tied=True)
    compiled = compile_kernel("scan_forward", 90, kernel.scan_forward, inputs, True)
    (loop,) = inner_loops(compiled, tmp_path)
    assert loop["MUFU"] == 2 * (1 + 4)


def test_programs_of_four_warps_wait_for_no_other_thread(compile_kernel, monkeypatch):
    monkeypatch.setattr(kernel, "_RESIDENT_WARPS", 1)
    inputs = usual(torch.bfloat16)
    compiled = compile_kernel("scan_forward", 90, kernel.scan_forward, inputs, True)
    assert compiled.metadata.num_warps == 4
    assert not re.search(r"\bbar\.|\bshfl\.|\.shared", compiled.asm["ptx"])


def test_rows_are_read_by_words(compile_kernel, tmp_path):
    inputs = usual(torch.bfloat16)
    compiled = compile_kernel("scan_forward", 90, kernel.scan_forward, inputs, True)
    (loop,) = inner_loops(compiled, tmp_path)
    x_dt_gate_and_partial = 2 * 4
    assert loop["LDG"] == x_dt_gate_and_partial + 2 * 2 * 16 // 4


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_backward_scan_keeps_its_states_in_registers(compile_kernel, tmp_path, capability, dtype):
    inputs = usual(dtype)
    kept = torch.empty(kernel.checkpoint_shape(inputs))
    compiled = compile_kernel(
        "scan_backward", capability, kernel.scan_backward, inputs.z, inputs, kept
    )
    assert not re.search(r"\bbar\.|\.shared", compiled.asm["ptx"])
    registers, stack = resources(compiled, tmp_path)
    assert registers <= 168
    assert stack <= 128
    replay, descent = sorted(inner_loops(compiled, tmp_path), key=lambda loop: loop["SHFL"])
    for loop in (replay, descent):
        assert not loop["LDL"]
        assert not loop["STL"]
    assert replay["SHFL"] == 0
    assert descent["SHFL"] == 16
    assert sum(descent.values()) <= 8 * 30
    assert sum(replay.values()) <= 8 * 10


@pytest.mark.parametrize("name", ["arrange_rows", "sum_rows", "gate_backward"])
def test_what_surrounds_the_backward_scan_compiles(compile_kernel, name):
    inputs = usual(torch.bfloat16)
    kept = torch.empty(kernel.checkpoint_shape(inputs))
    assert compile_kernel(name, 90, kernel.scan_backward, inputs.z, inputs, kept).asm["cubin"]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("directions", "tokens"), [(1, 20), (2, 21)])
def test_conv_fits_into_registers(compile_kernel, tmp_path, dtype, directions, tokens):
    grad = torch.zeros(directions, 2, tokens, 64, dtype=dtype)
    parameters = torch.zeros(directions, 64, 4), torch.zeros(directions, 64)
    forward = compile_kernel("conv_forward", 90, kernel.conv_forward, grad[0], *parameters)
    backward = compile_kernel("conv_backward", 90, kernel.conv_backward, grad, grad[0], *parameters)
    for compiled in (forward, backward):
        assert not re.search(r"\bbar\.|\bshfl\.|\.shared", compiled.asm["ptx"])
        registers, stack = resources(compiled, tmp_path)
        assert registers <= 168
        assert stack == 0
