"""The detector: waveform in, logits of frames and clip out."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import pad

from fakesound.models.heads import (
    AttributionHead,
    ClipHead,
    FrameHead,
    InstanceHead,
    TwoWayHead,
    either,
    masked_mean,
    pool,
    pool_families,
)
from fakesound.models.masking import BandMask
from fakesound.models.neck import MambaNeck
from fakesound.models.tokens import BackboneOutput


class Backbone(Protocol):
    """What the detector needs of a backbone."""

    dim: int
    windows: int

    def forward_features(
        self, spectrogram: Float[Tensor, "batch channel bin window"]
    ) -> BackboneOutput:
        """Return tokens on a grid in time and a summary."""
        ...


class DetectorOutput(NamedTuple):
    """Logits on the frame grid; None for heads that are off.

    Attributes:
        frame_logits: logit of P(fake) of each frame.
        evidence: logit of the clip from each frame.
        attention: how much that counts, before the softmax over the clip's frames; None for a
            pooling without.
        boundary_logits: logit of P(a fake region begins or ends here) of each frame.
        family_logits: logits of the attack families from each frame.
        family_attention: attention weights for ``family_logits``.
        whole_evidence: logit of P(all of the clip is fake) from each frame; None for a pooling
            without such a hypothesis.
    """

    frame_logits: Float[Tensor, "batch frame"] | None = None
    evidence: Float[Tensor, "batch frame"] | None = None
    attention: Float[Tensor, "batch frame"] | None = None
    boundary_logits: Float[Tensor, "batch frame"] | None = None
    family_logits: Float[Tensor, "batch frame family"] | None = None
    family_attention: Float[Tensor, "batch frame"] | None = None
    whole_evidence: Float[Tensor, "batch frame"] | None = None

    def clip_logit(
        self, mask: Bool[Tensor, "batch frame"], pooling: str = "attention"
    ) -> Float[Tensor, " batch"] | None:
        """Return the logit of P(fake) of each clip whose frames are those in ``mask``."""
        if self.evidence is None:
            return None
        part = pool(self.evidence, self.attention, mask, pooling)
        whole = self.whole_logit(mask)
        return part if whole is None else either(part, whole)

    def part_logit(self, mask: Bool[Tensor, "batch frame"]) -> Float[Tensor, " batch"] | None:
        """Return the logit of each clip that a part of it is fake; None for one hypothesis."""
        if self.evidence is None or self.whole_evidence is None:
            return None
        return pool(self.evidence, self.attention, mask)

    def whole_logit(self, mask: Bool[Tensor, "batch frame"]) -> Float[Tensor, " batch"] | None:
        """Return the logit of each clip that all of it is fake; None for one hypothesis."""
        return None if self.whole_evidence is None else masked_mean(self.whole_evidence, mask)

    def clip_family_logits(
        self, mask: Bool[Tensor, "batch frame"]
    ) -> Float[Tensor, "batch family"] | None:
        """Return the logits of the families of attacks for each such clip, if it is fake."""
        if self.family_logits is None or self.family_attention is None:
            return None
        return pool_families(self.family_logits, self.family_attention, mask)


class Detector(nn.Module):
    """Features, backbone, neck and heads.

    Args:
        features: waveform to spectrogram.
        backbone: spectrogram to tokens.
        frame_windows: windows of the spectrogram in a frame.
        clip, frame: which heads there are.
        dropout: dropout rate of the heads' input.
        boundary: whether there is a head for the edges of fake regions.
        families: attack families of the attribution head; empty for no such head.
        pooling: rule that makes the clip logit from its frames, see `fakesound.models.heads.pool`.
        neck_depth: Mamba blocks before the frame and boundary heads; 0: no neck.
        kernel: kernel of the neck's scan.
        mask: share of training pairs in which bands are hidden.
        statistics: whether the backbone gives statistics.

    Raises:
        ValueError: if a step of the backbone is not a whole number of frames.
    """

    def __init__(
        self,
        features: nn.Module,
        backbone: nn.Module,
        frame_windows: int,
        clip: bool = True,
        frame: bool = True,
        dropout: float = 0.0,
        *,
        boundary: bool = False,
        families: Sequence[str] = (),
        pooling: str = "attention",
        neck_depth: int = 0,
        kernel: str = "auto",
        mask: float = 0.0,
        statistics: bool = False,
    ) -> None:
        super().__init__()
        self.features, self.backbone = features, backbone
        self.mask = BandMask(mask)
        self.frame_windows, self.pooling = frame_windows, pooling
        self.families = tuple(families)
        dim, windows = int(backbone.dim), int(backbone.windows)  # type: ignore[arg-type]
        frames, rest = divmod(windows, frame_windows)
        if rest or not frames:
            raise ValueError(
                f"a token step of {windows} windows is not a whole number of frames of "
                f"{frame_windows} windows"
            )
        self.neck = MambaNeck(dim, frames, neck_depth, kernel) if neck_depth else None
        # the neck's tokens are frames
        apart = 1 if neck_depth else frames
        clip_heads = {"attention": ClipHead, "two_way": TwoWayHead}
        clip_head = clip_heads.get(pooling, InstanceHead)
        self.frame_head = FrameHead(dim, apart, dropout) if frame else None
        self.clip_head = None
        if clip:
            own = {"statistics": statistics} if pooling == "two_way" else {}
            self.clip_head = clip_head(dim, frames, dropout, frame, **own)
        self.boundary_head = FrameHead(dim, apart, dropout) if boundary else None
        self.attribution_head = None
        if self.families:
            self.attribution_head = AttributionHead(dim, frames, dropout, len(families), frame)

    def forward(self, waveform: Float[Tensor, "batch sample"]) -> DetectorOutput:
        """Return the heads' outputs for ``waveform``, a whole number of frames long."""
        return self.of_spectrogram(self.features(waveform))

    def of_spectrogram(
        self, spectrogram: Float[Tensor, "batch channel bin window"]
    ) -> DetectorOutput:
        """Return the heads' outputs for a spectrogram of the features."""
        spectrogram = self.mask(spectrogram)
        windows = spectrogram.shape[-1]
        # up to whole token steps, with zeros: the mean in every channel
        step = int(self.backbone.windows)  # type: ignore[arg-type]  # of a Backbone
        spectrogram = pad(spectrogram, (0, -windows % step))
        found = self.backbone.forward_features(spectrogram)  # type: ignore[operator]
        tokens, summary, statistics = found
        grid = tokens if self.neck is None else self.neck(tokens)
        frame_logits = self.frame_head(grid) if self.frame_head else None
        evidence = attention = whole_evidence = family_logits = family_attention = None
        if isinstance(self.clip_head, TwoWayHead):
            evidence, attention, whole_evidence = self.clip_head.both(
                tokens, summary, statistics, frame_logits
            )
        elif self.clip_head is not None:
            evidence, attention = self.clip_head(tokens, summary, frame_logits)
        boundary_logits = self.boundary_head(grid) if self.boundary_head else None
        if self.attribution_head is not None:
            family_logits, family_attention = self.attribution_head(tokens, frame_logits)
        outputs = (
            frame_logits,
            evidence,
            attention,
            boundary_logits,
            family_logits,
            family_attention,
            whole_evidence,
        )
        frames = windows // self.frame_windows
        return DetectorOutput(*(None if part is None else part[:, :frames] for part in outputs))
