"""Time a whole Vision Mamba on noise, kernel by kernel.

matmul runs only its matrix products, a lower bound for any kernel. transformer is an encoder like
ViT and AST (Gong et al. 2021) with as many parameters. mambapy is the Vim of that project.
reference, a Python loop, runs only if it is named. A backend that differs from the reference on a
small case is not timed.
"""

import argparse
import copy
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.common import (
    DIRECTIONS,
    KERNELS,
    Method,
    Record,
    Session,
    choose,
    kernel_problem,
    make_parser,
    mambapy_problem,
    method_of,
    numbers,
    progress,
    report,
    with_kernel,
)
from benchmarks.scan import MAMBAPY, Size, mambapy_bytes
from fakesound.command_line import guarded
from fakesound.config import RunConfig
from fakesound.config.compose import compose_config, run_config
from fakesound.errors import InputError
from fakesound.models.backbones import build_backbone
from fakesound.models.build import build_features
from fakesound.models.mamba import BidirectionalMamba
from fakesound.models.scan.reference import decay_rates
from fakesound.models.tokens import BackboneOutput
from fakesound.models.transformer import transformer_block
from fakesound.models.vim import VisionMamba
from fakesound.timeline import GRID

MATMUL, TRANSFORMER = "matmul", "transformer"
BACKENDS = (*KERNELS, MATMUL, TRANSFORMER, MAMBAPY, "reference")
# bands of the published 128 mel bins in patches of 16
USUAL_BANDS, FEWEST_BANDS = 8, 4
# few, since the reference is slow
CHECKED_TOKENS = 33
HEAD_DIM, EXPAND = 64, 4


@dataclass(frozen=True)
class Input:
    """Shape of a spectrogram, and the number of tokens that the model gets from it."""

    tokens: int
    bins: int
    windows: int
    channels: int

    def make(self, batch: int, device: torch.device) -> Tensor:
        """Return noise of this shape, (batch, channel, bin, window)."""
        generator = torch.Generator().manual_seed(0)
        shape = (batch, self.channels, self.bins, self.windows)
        return torch.randn(*shape, generator=generator).to(device)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this script."""
    parser = make_parser(__doc__ or "", 5, BACKENDS)
    parser.add_argument(
        "--backbone",
        default="vim_tiny",
        help="vim_micro, vim_tiny, vim_small or vim_base (vim_tiny)",
    )
    parser.add_argument(
        "--tokens", type=numbers(), default="197", metavar="L,L", help="tokens of a clip (197)"
    )
    parser.add_argument(
        "--batch", type=numbers(), default="1,8", metavar="B,B", help="clips in a batch (1,8)"
    )
    parser.add_argument("--tied-decay", action="store_true", help="one decay rate per channel")
    return parser


def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_args()
    tied = f"backbone.tied_decay={options.tied_decay}"
    config = only_vim(
        run_config(compose_config([f"backbone={options.backbone}", tied, "backbone.drop_path=0"]))
    )
    session = Session(method_of(options))
    records = bench(config, options.batch, options.tokens, session, options.backends)
    columns = {
        "direction": "direction",
        "backend": "backend",
        **{letter: letter for letter in "BL"},
        "ms": "seconds",
        "best": "seconds_min",
        "x ours": "ratio",
        "x matmul": "matmul_ratio",
        "MiB": "peak_bytes",
        "first call s": "first_call_seconds",
    }
    report(options, records, columns)
    if session.wrong:
        sys.exit("\n".join(f"not timed: {name} {why}" for name, why in session.wrong.items()))


def only_vim(config: RunConfig) -> RunConfig:
    """Return ``config``.

    Raises:
        InputError: if its backbone is no Vision Mamba.
    """
    if config.backbone.kind != "vim":
        raise InputError(
            f"backbone={config.backbone.name}: not a Vision Mamba, whose kernels are timed here; "
            "use python -m benchmarks.backbones"
        )
    return config


def bench(
    config: RunConfig,
    batches: Sequence[int],
    tokens: Sequence[int],
    session: Session,
    named: Sequence[str] | None,
) -> list[Record]:
    """Return the records of all sizes; backends with wrong results are in ``session.wrong``.

    Raises:
        InputError: if a named backend cannot run.
    """
    method = session.method
    largest = size_of(config, max(batches), max(tokens))
    backends = choose(
        named, BACKENDS, lambda name: problem(name, config, largest, method), ["reference"]
    )
    backends = _agreeing(backends, config, session)
    records = []
    for count, batch in progress([(count, batch) for count in tokens for batch in batches]):
        torch.manual_seed(0)
        model, shape = build(config, count)
        models = {name: model_of(name, model).to(method.device) for name in backends}
        spectrogram = shape.make(batch, method.device)
        for direction in DIRECTIONS:
            for backend in models.values():
                backend.train(direction != "forward")
            measured = session.measure(
                "model",
                direction,
                size_of(config, batch, shape.tokens).letters,
                {
                    name: call_of(backend, direction, spectrogram, method.dtype)
                    for name, backend in models.items()
                },
                {
                    "backbone": config.backbone.name,
                    "tied_decay": config.backbone.tied_decay,
                    "bins": shape.bins,
                    "windows": shape.windows,
                },
            )
            floor = {record["backend"]: record["seconds"] for record in measured}.get(MATMUL)
            for record in measured:
                record["matmul_ratio"] = None if floor is None else record["seconds"] / floor
                record["parameters"] = _size(models[record["backend"]])
            records += measured
    return records


def _agreeing(backends: Sequence[str], config: RunConfig, session: Session) -> list[str]:
    """Return the backends that agree with the reference on a small case, and the two floors."""
    device, dtype = session.method.device, session.method.dtype
    torch.manual_seed(0)
    model, shape = build(config, CHECKED_TOKENS)
    spectrogram = shape.make(1, device)

    def forward(name: str, dtype: torch.dtype) -> Callable[[], list[Tensor]]:
        return call_of(model_of(name, model).to(device), "forward", spectrogram, dtype)

    expected = forward("reference", torch.float32)()
    return [
        name
        for name in backends
        if name in (MATMUL, TRANSFORMER)
        or session.agrees(name, "forward", forward(name, dtype), expected)
    ]


def grid(tokens: int, most: int) -> tuple[int, int]:
    """Return bands and steps of a grid of ``tokens``, or of the nearest number that fits one.

    It has at most ``most`` bands, as near as possible to the number of the published models.

    >>> grid(196, 16), grid(512, 16), grid(509, 16)
    ((7, 28), (8, 64), (6, 85))
    """
    for count in (tokens + sign * away for away in range(FEWEST_BANDS) for sign in (1, -1)):
        fitting = [b for b in range(FEWEST_BANDS, most + 1) if count > 0 and count % b == 0]
        if fitting:
            bands = min(fitting, key=lambda b: abs(b - USUAL_BANDS))
            return bands, count // bands
    return 1, tokens


def build(config: RunConfig, tokens: int) -> tuple[VisionMamba, Input]:
    """Return the Vision Mamba for as nearly as possible ``tokens``, and its input."""
    backbone, stem = config.backbone, config.backbone.stem
    wanted = max(1, tokens - backbone.class_token)
    bands, steps = 1, wanted
    if stem.kind == "patch":
        stride = stem.stride or stem.patch
        bands, steps = grid(wanted, config.features.window // 2 // stride[0])
        config.features.bins = bands * stride[0]
    features = build_features(config.features, config.data.sample_rate)
    windows = steps * (stride[1] if stem.kind == "patch" else features.windows(GRID))
    model = build_backbone(backbone, features, windows * config.features.hop_ms / 1000, "auto")
    assert isinstance(model, VisionMamba)
    real = bands * steps + backbone.class_token
    return model, Input(real, features.bins, windows, features.channels)


def size_of(config: RunConfig, batch: int, tokens: int) -> Size:
    """Return the size of the scans in the model."""
    backbone = config.backbone
    directions = 1 if backbone.variant == "none" else 2
    channels = backbone.expand * backbone.dim
    return Size(batch, tokens, channels, backbone.state, directions, backbone.tied_decay)


def model_of(name: str, model: VisionMamba) -> nn.Module:
    """Return the model of backend ``name``; a scan has the weights of ``model``."""
    if name == MATMUL:
        return MatrixProducts(model)
    if name == TRANSFORMER:
        return as_transformer(model)
    if name == MAMBAPY:
        return with_mambapy(model)
    return with_kernel(model, name)


def problem(name: str, config: RunConfig, largest: Size, method: Method) -> str | None:
    """Return why backend ``name`` cannot run; None if it can."""
    if name in (MATMUL, TRANSFORMER):
        return None
    if name == MAMBAPY:
        if config.backbone.variant != "v2":
            return "computes variant v2 only"
        return mambapy_problem(method.device, config.backbone.depth * mambapy_bytes(largest))
    return kernel_problem(name, method)


def call_of(
    model: nn.Module, direction: str, spectrogram: Tensor, dtype: torch.dtype
) -> Callable[[], list[Tensor]]:
    """Return the call to time; with "forward+backward" all parameters get gradients."""
    backward = direction != "forward"

    def call() -> list[Tensor]:
        with (
            torch.set_grad_enabled(backward),
            torch.autocast(spectrogram.device.type, dtype, enabled=dtype != torch.float32),
        ):
            results = list(model.forward_features(spectrogram)[:2])  # type: ignore[operator]
        if backward:
            torch.stack([result.float().mean() for result in results]).sum().backward()
            model.zero_grad()
        return [result.detach() for result in results]

    return call


class MatrixProducts(nn.Module):
    """Stem and matrix products of every mixer of a model, each with the output of the previous one.

    Weights have the same shapes, so each product reads and writes the same amount of memory. Norm,
    gate, convolution, scan and skips between the products are left out. Gradients flow the same
    way.
    """

    def __init__(self, model: VisionMamba) -> None:
        super().__init__()
        self.class_token = model.cls_token is not None
        self.stem = copy.deepcopy(model.stem)
        self.mixers = nn.ModuleList(MixerProducts(mixer) for mixer in _mixers(model))

    def forward_features(self, spectrogram: Float[Tensor, "batch channel bin window"]) -> object:
        """Return the result of the last product, which has no meaning."""
        tokens = self.stem(spectrogram).flatten(2).transpose(1, 2)
        if self.class_token:
            tokens = torch.cat((tokens, tokens[:, :1]), dim=1)
        for mixer in self.mixers:
            tokens = mixer(tokens)
        return BackboneOutput(tokens, tokens[:, 0])


class MixerProducts(nn.Module):
    """The four matrix products of a mixer, two of them batched over the directions."""

    def __init__(self, mixer: BidirectionalMamba) -> None:
        super().__init__()
        self.directions = 2 if mixer.variant == "v2" else 1
        projected, channels = mixer.x_proj.weight.shape
        self.rank = mixer.dt_proj.in_features
        self.in_proj = _weight(*mixer.in_proj.weight.shape)
        self.x_proj = _weight(self.directions, projected, channels)
        self.dt_proj = _weight(self.directions, channels, self.rank)
        self.out_proj = _weight(*mixer.out_proj.weight.shape)

    def forward(self, tokens: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Return the last product."""
        batch, count, dim = tokens.shape
        # the halves that are x and z in the model are used as the two directions
        halves = (tokens.reshape(-1, dim) @ self.in_proj.mT).unflatten(-1, (2, -1)).transpose(0, 1)
        projected = torch.bmm(halves[: self.directions], self.x_proj.mT)
        steps = torch.bmm(projected[..., : self.rank], self.dt_proj.mT)
        return (steps[0] @ self.out_proj.mT).unflatten(0, (batch, count))


def _weight(*shape: int) -> nn.Parameter:
    # scaled, since a hundred products would give subnormal numbers, which are slow
    return nn.Parameter(torch.randn(*shape) * shape[-1] ** -0.5)


def as_transformer(model: VisionMamba) -> VisionMamba:
    """Return a copy of ``model`` with transformer blocks, as many as have its parameters.

    Stem, position embedding and final norm are the same. A block has 1.6 to 1.8 times the
    parameters of a Mamba block of the same width.
    """
    transformer = copy.deepcopy(model)
    # a single head if the width is not a published one
    head_dim = HEAD_DIM if model.dim % HEAD_DIM == 0 else model.dim
    depth = round(_size(model.layers) / _size(transformer_block(model.dim, head_dim, EXPAND)))
    transformer.layers = nn.ModuleList(
        transformer_block(model.dim, head_dim, EXPAND) for _ in range(max(1, depth))
    )
    return transformer


def with_mambapy(model: VisionMamba) -> VisionMamba:
    """Return a copy of ``model`` with the blocks of mambapy's Vim and the same weights."""
    from mambapy.vim import MambaConfig, VMamba

    mixer = _mixers(model)[0]
    states = mixer.splits[-1]
    config = MambaConfig(
        d_model=model.dim,
        n_layers=len(model.layers),
        d_state=states,
        expand_factor=mixer.in_proj.out_features // 2 // model.dim,
    )
    weights = {}
    for name, weight in model.layers.state_dict().items():
        # mambapy has no tied decay rates
        full = decay_rates(weight, states).log() if name.endswith(("A_log", "A_b_log")) else weight
        weights[name.replace("A_b_log", "A_log_b")] = full
    layers = VMamba(config).layers
    layers.load_state_dict(weights)
    clone = copy.deepcopy(model)
    clone.layers = layers
    return clone


def _mixers(model: VisionMamba) -> list[BidirectionalMamba]:
    return [module for module in model.modules() if isinstance(module, BidirectionalMamba)]


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


if __name__ == "__main__":
    guarded(main)
