"""``bench backbones``: whole detectors, one backbone beside the other."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from fakesound.benchmarks.measure import Method
from fakesound.benchmarks.memory import available_bytes, peak_bytes
from fakesound.benchmarks.records import DIRECTIONS, Record
from fakesound.benchmarks.timing import clock, interleave
from fakesound.config import RunConfig
from fakesound.models.build import GRID, build_detector
from fakesound.models.detector import Detector
from fakesound.models.tokens import TokenEncoder
from fakesound.progress import console, progress_bar

# of a state in one step of the scan: rate times step size, its exponential, decay, drive, their
# sum, and reading (two)
FLOPS_A_STATE = 7


def bench_backbones(
    configs: Mapping[str, RunConfig], batches: Sequence[int], method: Method
) -> list[Record]:
    """Return the records of every backbone that fits into memory; the others are told.

    Args:
        configs: by the name of the backbone.
        batches: numbers of crops.
        method: how to measure.
    """
    device, dtype = method.device, method.dtype
    detectors = {name: build_detector(config).to(device) for name, config in configs.items()}
    known = {
        name: {
            "parameters": sum(parameter.numel() for parameter in detector.parameters()),
            "flops": flops(detector, crops(configs[name], 1, device)),
            "kind": configs[name].backbone.kind,
            "dtype": str(dtype).removeprefix("torch."),
            "rounds": method.rounds,
        }
        for name, detector in detectors.items()
    }
    records = []
    with progress_bar("timing") as progress:
        for place, batch in enumerate(batches):
            fitting = [
                name
                for name, detector in detectors.items()
                if _fits(name, detector, configs[name], batch, method)
            ]
            if not fitting:
                continue
            for turn, direction in enumerate(DIRECTIONS):
                calls = {
                    name: call_of(
                        detectors[name], direction, crops(configs[name], batch, device), dtype
                    )
                    for name in fitting
                }
                records += _measured(calls, direction, batch, detectors, configs, known, method)
                progress(len(DIRECTIONS) * place + turn + 1, len(DIRECTIONS) * len(batches))
    return records


def _measured(
    calls: Mapping[str, Callable[[], object]],
    direction: str,
    batch: int,
    detectors: Mapping[str, Detector],
    configs: Mapping[str, RunConfig],
    known: Mapping[str, dict[str, Any]],
    method: Method,
) -> list[Record]:
    for name in calls:
        detectors[name].train(direction != "forward")
    timings = interleave(calls, method.rounds, clock(method.device))
    first = next(iter(timings.values()))
    return [
        Record(
            what="backbone",
            backend=name,
            direction=direction,
            B=batch,
            L=tokens_of(detectors[name], configs[name]),
            **_widths(configs[name]),
            seconds=timing.seconds,
            peak_bytes=peak_bytes(calls[name], method.device),
            first_call_seconds=timing.first,
            extra={
                **known[name],
                "seconds_min": min(timing.rounds),
                "ratio": timing.seconds / first.seconds,
            },
        )
        for name, timing in timings.items()
    ]


def crops(config: RunConfig, count: int, device: torch.device) -> Tensor:
    """Return noise like ``count`` crops of training, (crop, sample)."""
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
            found = [part.float().mean() for part in detector(waveform) if part is not None]
        if backward:
            torch.stack(found).sum().backward()
            detector.zero_grad()

    return call


def flops(detector: Detector, waveform: Tensor) -> int:
    """Return the floating-point operations of a forward pass.

    Matrix products, convolutions and attention as `torch.utils.flop_counter` counts them (a
    product and a sum are two), the convolution of Mamba likewise, and `FLOPS_A_STATE` for each
    state in each step of the scan. What goes value by value is not counted, nor is the spectrum.
    """
    ours = {
        torch.ops.fakesound.scan_forward: _scan_flops,
        torch.ops.fakesound.conv_forward: _conv_flops,
    }
    counter = FlopCounterMode(display=False, custom_mapping=ours)
    training = detector.training
    # in its plain form attention is two matrix products, which are counted on every device
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        detector.eval()(waveform)
    detector.train(training)
    return int(counter.get_total_flops())


def tokens_of(detector: Detector, config: RunConfig) -> int:
    """Return the length of the sequence that the blocks see, or the frames of a crop."""
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
    return FLOPS_A_STATE * directions * batch * tokens * channels * B[-1]


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
    states = backbone.state if backbone.has_states else 0
    return {"E": backbone.expand * backbone.dim, "N": states}


def _fits(name: str, detector: Detector, config: RunConfig, batch: int, method: Method) -> bool:
    """Return whether training on ``batch`` crops fits into memory; tell if it does not."""
    one = crops(config, 2, method.device)
    peak = peak_bytes(call_of(detector.train(), DIRECTIONS[1], one, method.dtype), method.device)
    needed = (peak or 0) // 2 * batch
    fits = needed < available_bytes(method.device)
    if not fits:
        console.print(
            f"left out: {name}: {batch} crops would need some {needed / 2**30:.0f} GiB of memory",
            highlight=False,
        )
    return fits
