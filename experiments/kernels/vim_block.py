"""Time a bidirectional Mamba block on a GPU, compared with Vim's implementation on mamba-ssm.

Vim runs mamba-ssm's fused operator on the tokens and on their flipped copy, flips the second result
back and halves the sum. This script does the same with the operators of current mamba-ssm and
causal-conv1d, with the same weights. It compares the outputs of both first, then times them in
turn.
"""

import argparse
import json
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch
from causal_conv1d.cpp_functions import causal_conv1d_fwd_function
from mamba_ssm.ops.selective_scan_interface import mamba_inner_fn, selective_scan_cuda
from torch import Tensor
from torch.nn.functional import linear

from fakesound.models.mamba import BidirectionalMamba


def weights(block: BidirectionalMamba, suffix: str) -> tuple[Tensor, ...]:
    """Return the parameters of one direction of ``block``, in the order of mamba-ssm."""
    conv, x_proj, dt_proj = (
        getattr(block, name + suffix) for name in ("conv1d", "x_proj", "dt_proj")
    )
    rates = -torch.exp(block.A_b_log if suffix else block.A_log)
    skip = block.D_b if suffix else block.D
    return conv.weight, conv.bias, x_proj.weight, dt_proj.weight, rates, skip, dt_proj.bias


def direction(xz: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
    """Return the output of Vim's fused operator for one direction, before the output projection."""
    conv, bias, x_weight, dt_weight, rates, skip, dt_bias = parts
    length, state = xz.shape[-1], rates.shape[1]
    x, z = xz.chunk(2, dim=1)
    x = causal_conv1d_fwd_function(
        x, conv[:, 0].to(x), bias.to(x), None, None, None, silu_activation=True
    )
    low = linear(x.transpose(1, 2).flatten(0, 1), x_weight)
    rank = dt_weight.shape[1]
    dt = (dt_weight @ low[:, :rank].t()).unflatten(1, (-1, length)).transpose(0, 1)
    B, C = (
        part.unflatten(0, (-1, length)).mT[:, None].contiguous()
        for part in (low[:, rank : rank + state], low[:, -state:])
    )
    return selective_scan_cuda.fwd(x, dt, rates, B, C, skip, z, dt_bias, True)[2]


def vim_forward(block: BidirectionalMamba, tokens: Tensor) -> Tensor:
    """Return the output of Vim's block of variant v2."""
    xz = linear(tokens, block.in_proj.weight).transpose(1, 2).contiguous()
    y = direction(xz, weights(block, ""))
    y = y + direction(xz.flip(-1), weights(block, "_b")).flip(-1)
    return linear(y.transpose(1, 2) / 2, block.out_proj.weight)


def vim_trained(block: BidirectionalMamba, tokens: Tensor) -> Tensor:
    """Return the output with gradients; each direction is projected, in Vim their sum."""
    xz = linear(tokens, block.in_proj.weight).transpose(1, 2).contiguous()

    def inner(part: Tensor, suffix: str) -> Tensor:
        conv, bias, x_weight, dt_weight, rates, skip, dt_bias = weights(block, suffix)
        return mamba_inner_fn(
            part, conv, bias, x_weight, dt_weight, block.out_proj.weight, None, rates,
            None, None, skip, delta_bias=dt_bias, delta_softplus=True,
        )  # fmt: skip

    return (inner(xz, "") + inner(xz.flip(-1), "_b").flip(1)) / 2


def cast(block: BidirectionalMamba, dtype: torch.dtype) -> BidirectionalMamba:
    """Return ``block`` in ``dtype``, except for decay rates, skips and step biases, as in Vim."""
    for name, parameter in block.named_parameters():
        if not name.startswith(("A_", "D")) and name not in ("dt_proj.bias", "dt_proj_b.bias"):
            parameter.data = parameter.data.to(dtype)
    return block


def timed(calls: dict[str, Callable[[], None]], rounds: int) -> dict[str, tuple[float, int]]:
    """Return the median seconds of each call, in turn round after round, and its peak bytes."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    peaks = {}
    for name, call in calls.items():
        for _ in range(5):
            call()
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        peaks[name] = torch.cuda.max_memory_allocated() - before
    for _ in range(rounds):
        for name, call in calls.items():
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            for _ in range(10):
                call()
            end.record()
            torch.cuda.synchronize()
            seconds[name].append(start.elapsed_time(end) / 1e4)
    return {name: (median(values), peaks[name]) for name, values in seconds.items()}


def main() -> None:
    """Print ratios and write the records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--tokens", default="197,512,513,1401")
    parser.add_argument("--batch", default="8,64")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    machine = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__}
    machine |= {"python": platform.python_version(), "dtype": "bfloat16"}
    print(machine)
    records = []
    for batch in map(int, options.batch.split(",")):
        for length in map(int, options.tokens.split(",")):
            records += compared(options.dim, batch, length, options.rounds)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "records": records}, indent=1))


def compared(dim: int, batch: int, length: int, rounds: int) -> list[dict[str, object]]:
    """Check that both outputs agree, and return the records of one size."""
    torch.manual_seed(0)
    block = cast(BidirectionalMamba(dim, kernel="triton").cuda(), torch.bfloat16)
    tokens = torch.randn(batch, length, dim, device="cuda", dtype=torch.bfloat16)
    with torch.no_grad():
        ours, theirs = block(tokens).float(), vim_forward(block, tokens).float()
        other = vim_trained(block, tokens).float()
    scale = ours.abs().mean()
    off = max(float((ours - each).abs().mean() / scale) for each in (theirs, other))
    if not off < 0.03:
        raise SystemExit(f"B={batch} L={length}: the outputs differ by {off:.3f} of their mean")
    grad = torch.randn_like(tokens)

    def forward(function: Callable[..., Tensor], *arguments: object) -> None:
        with torch.no_grad():
            function(*arguments)

    def trained(function: Callable[..., Tensor], *arguments: object) -> None:
        block.zero_grad(set_to_none=True)
        function(*arguments).backward(grad)

    records = []
    for way, run, vim in (
        ("forward", forward, vim_forward),
        ("forward+backward", trained, vim_trained),
    ):
        calls = {"ours": partial(run, block, tokens), "vim": partial(run, vim, block, tokens)}
        measured = timed(calls, rounds)
        (our_seconds, our_peak), (vim_seconds, vim_peak) = measured.values()
        print(
            f"B={batch} L={length} {way}: ours {our_seconds * 1e3:.3f} ms, Vim "
            f"{vim_seconds / our_seconds:.2f}x the time, {vim_peak / our_peak:.2f}x the memory; "
            f"the outputs differ by {off:.4f}"
        )
        size = {"B": batch, "L": length, "E": 2 * dim, "N": 16}
        records += [
            {"what": "block", "backend": name, "direction": way, **size}
            | {"seconds": seconds, "peak_bytes": peak}
            for name, (seconds, peak) in measured.items()
        ]
    return records


if __name__ == "__main__":
    main()
