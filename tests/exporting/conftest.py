"""Small detectors of every kind, with weights that give confident scores."""

import torch

from fakesound.config.compose import compose_config, run_config
from fakesound.models.build import build_detector

RATE = 16_000
SMALL = (
    "features.bins=64",
    "features.window=320",
    "backbone.dim=16",
    "backbone.depth=1",
    "backbone.state=4",
    "backbone.stem.channels=[4,4]",
    "data.crop.seconds=0.48",
    "data.window_seconds=0.48",
)
CONV = ("backbone.depth=2",)
PATCH = (
    "backbone.stem.kind=patch",
    "backbone.stem.patch=[16,8]",
    "backbone.pos_embed=true",
    "backbone.order=frequency",
    "backbone.variant=v1",
    "features.kind=logmel",
    "features.bins=32",
    "heads.frame=false",
)
OVERLAPPING = (
    "backbone.stem.kind=patch",
    "backbone.stem.patch=[16,6]",
    "backbone.stem.stride=[16,4]",
    "backbone.class_token=false",
    "backbone.pos_embed=true",
    "backbone.variant=none",
    "backbone.tied_decay=true",
    "features.kind=lfcc",
    "heads.clip=false",
)

ALL = ("heads=all", "heads.neck_depth=1", "heads.pooling=linear_softmax")
TWO_WAY = (
    "features.phase=true",
    "features.level=-26",
    "features.floor=1e-7",
    "features.spread=true",
    "backbone.stem.statistics=true",
    "backbone.class_token=false",
    "heads.pooling=two_way",
)
ORIGINAL = (
    "backbone.stem.kind=patch",
    "backbone.stem.patch=[16,5]",
    "backbone.interpolate=true",
    "backbone.pos_embed=true",
    "backbone.order=frequency",
    "features.kind=mel",
    "heads.pooling=summary",
)
FAMILIES = ("codec", "edit")


def small_detector(*overrides):
    """Return a configuration and its detector, whose scores differ from frame to frame."""
    config = run_config(compose_config([*SMALL, *overrides]))
    detector = build_detector(config, FAMILIES).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in detector.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
        for name, parameter in detector.named_parameters():
            if name.startswith(("frame_head", "clip_head")) and parameter.ndim > 1:
                parameter *= 5 if config.heads.pooling != "summary" else 15
        # power without a logarithm is small
        scale = 0.02 if config.features.kind == "mel" else 1.0
        detector.features.mean.normal_(generator=generator).mul_(scale)
        detector.features.deviation.fill_(2.0 * scale)
    return config, detector
