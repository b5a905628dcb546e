"""Time whole detectors, from waveform to logits, backbone by backbone.

The table has the parameters, floating-point operations of one training crop, tokens, time and
memory. A backbone that does not fit into memory is skipped with a message.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import (
    DIRECTIONS,
    Record,
    Session,
    available_bytes,
    make_parser,
    method_of,
    numbers,
    peak_bytes,
    progress,
    report,
)
from fakesound.command_line import guarded
from fakesound.config import RunConfig
from fakesound.config.compose import compose_config, run_config
from fakesound.models.build import build_detector
from fakesound.models.detector import Detector
from fakesound.models.tokens import TokenEncoder
from fakesound.progress import console
from fakesound.timeline import GRID

# the size of the smallest Vision Mamba, and of Vim-tiny
BACKBONES = (
    "vim_micro,transformer_micro,ssd_micro,fcn_resnet,mobilenet,vim_tiny,transformer_tiny,ssd_tiny"
)
# operations of one state in one step of the scan: rate times step size, its exponential, decay,
# input, their sum, and two for the output
FLOPS_PER_STATE = 7


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this script."""
    parser = make_parser(__doc__ or "", 5)
    parser.add_argument(
        "--backbones",
        type=lambda text: list(dict.fromkeys(text.split(","))),
        default=BACKBONES,
        metavar="A,B",
        help=f"names in conf/backbone; ratios are to the first ({BACKBONES})",
    )
    parser.add_argument(
        "--batch",
        type=numbers(),
        default="8",
        metavar="B,B",
        help="numbers of crops in a batch (8)",
    )
    return parser


def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_args()
    configs = {
        name: run_config(compose_config([f"backbone={name}", "backbone.drop_path=0"]))
        for name in options.backbones
    }
    records = bench(configs, options.batch, Session(method_of(options)))
    columns = {
        "direction": "direction",
        "backbone": "backend",
        "parameters": "parameters",
        "MFLOPs": "flops",
        "tokens": "L",
        "B": "B",
        "ms": "seconds",
        "x first": "ratio",
        "MiB": "peak_bytes",
    }
    report(options, records, columns)


def bench(
    configs: Mapping[str, RunConfig], batches: Sequence[int], session: Session
) -> list[Record]:
    """Return the records of every backbone that fits into memory.

    Args:
        configs: configurations by the name of the backbone.
        batches: numbers of crops.
        session: rounds, device and dtype.
    """
    device, dtype = session.method.device, session.method.dtype
    detectors = {name: build_detector(config).to(device) for name, config in configs.items()}
    cases = [(batch, direction) for batch in batches for direction in DIRECTIONS]
    records = []
    for batch, direction in progress(cases):
        calls = {}
        for name, detector in detectors.items():
            two = call_of(detector.train(), DIRECTIONS[1], crops(configs[name], 2, device), dtype)
            needed = peak_bytes(two, device) // 2 * batch
            if needed < available_bytes(device):
                waveform = crops(configs[name], batch, device)
                calls[name] = call_of(detector, direction, waveform, dtype)
            else:
                size = f"{batch} crops would need some {needed / 2**30:.0f} GiB of memory"
                console.print(f"skipped: {name}: {size}", highlight=False)
            detector.train(direction != "forward")
        measured = session.measure(
            "backbone", direction, {"B": batch}, calls, {}, next(iter(calls), None)
        )
        for record in measured:
            name = record["backend"]
            detector, config = detectors[name], configs[name]
            record.update(
                L=tokens_of(detector, config),
                **_widths(config),
                parameters=sum(parameter.numel() for parameter in detector.parameters()),
                flops=flops(detector, crops(config, 1, device)),
                kind=config.backbone.kind,
            )
        records += measured
    return records


def crops(config: RunConfig, count: int, device: torch.device) -> Tensor:
    """Return noise of the shape of ``count`` training crops, (crop, sample)."""
    samples = GRID.count(config.data.crop.seconds) * GRID.samples(config.data.sample_rate)
    generator = torch.Generator().manual_seed(0)
    return (0.1 * torch.randn(count, samples, generator=generator)).to(device)


def call_of(
    detector: Detector, direction: str, waveform: Tensor, dtype: torch.dtype
) -> Callable[[], None]:
    """Return the call to time; with "forward+backward" all parameters get gradients."""
    backward = direction != "forward"

    def call() -> None:
        with (
            torch.set_grad_enabled(backward),
            torch.autocast(waveform.device.type, dtype, enabled=dtype != torch.float32),
        ):
            means = [part.float().mean() for part in detector(waveform).values()]
        if backward:
            torch.stack(means).sum().backward()
            detector.zero_grad()

    return call


def flops(detector: Detector, waveform: Tensor) -> int:
    """Return the floating-point operations of a forward pass.

    Matrix products, convolutions and attention are counted by `torch.utils.flop_counter` (a product
    and a sum are two), the convolution of Mamba likewise. Each state counts `FLOPS_PER_STATE` in
    each step of the scan. Elementwise operations and the spectrum are not counted.
    """
    ours = {
        torch.ops.fakesound.scan_forward: _scan_flops,
        torch.ops.fakesound.conv_forward: _conv_flops,
    }
    counter = FlopCounterMode(display=False, custom_mapping=ours)
    training = detector.training
    # unfused attention is two matrix products, which are counted on every device
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        detector.eval()(waveform)
    detector.train(training)
    return int(counter.get_total_flops())


def tokens_of(detector: Detector, config: RunConfig) -> int:
    """Return the length of the token sequence, or the number of frames of a crop."""
    backbone = detector.backbone
    if not isinstance(backbone, TokenEncoder):
        return GRID.count(config.data.crop.seconds)
    bands, steps = backbone.grid
    return bands * steps + (backbone.cls_token is not None)


def _scan_flops(
    _kernel: str,
    _keep: bool,
    x: Sequence[int],
    _dt: object,
    _rates: object,
    B: Sequence[int],
    *_others: object,
    **_more: object,
) -> int:
    directions, batch, tokens, channels = x
    return FLOPS_PER_STATE * directions * batch * tokens * channels * B[-1]


def _conv_flops(
    _kernel: str, x: Sequence[int], weight: Sequence[int], *_others: object, **_more: object
) -> int:
    batch, tokens, channels = x
    directions, _, width = weight
    return 2 * directions * batch * tokens * channels * width


def _widths(config: RunConfig) -> dict[str, int]:
    """Return E and N of a record: channels inside a block, and states of each, if it has any."""
    backbone = config.backbone
    if not backbone.has_tokens:
        return {"E": max(backbone.stem.channels), "N": 0}
    return {"E": backbone.expand * backbone.dim, "N": backbone.state if backbone.has_states else 0}


if __name__ == "__main__":
    guarded(main)
