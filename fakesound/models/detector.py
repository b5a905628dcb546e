"""The detector: waveform in, frame and clip evidence out."""

from typing import NamedTuple, Protocol

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import pad

from fakesound.models.heads import ClipHead, FrameHead, pool
from fakesound.models.vim import BackboneOutput


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
        frame_logits: of P(fake) of each frame.
        evidence: of the clip, as each frame sees it.
        attention: how much that counts, before the softmax over the clip's frames.
    """

    frame_logits: Float[Tensor, "batch frame"] | None
    evidence: Float[Tensor, "batch frame"] | None
    attention: Float[Tensor, "batch frame"] | None

    def clip_logit(self, mask: Bool[Tensor, "batch frame"]) -> Float[Tensor, " batch"] | None:
        """Return the logit of P(fake) of each clip whose frames are those in ``mask``."""
        if self.evidence is None or self.attention is None:
            return None
        return pool(self.evidence, self.attention, mask)


class Detector(nn.Module):
    """Features, backbone and heads.

    Args:
        features: waveform to spectrogram.
        backbone: spectrogram to tokens.
        frame_windows: windows of the spectrogram in a frame.
        clip, frame: which heads there are.
        dropout: on what the heads see.

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
    ) -> None:
        super().__init__()
        self.features, self.backbone = features, backbone
        self.frame_windows = frame_windows
        dim, windows = int(backbone.dim), int(backbone.windows)  # type: ignore[arg-type]
        frames, rest = divmod(windows, frame_windows)
        if rest or not frames:
            raise ValueError(
                f"a token step of {windows} windows is not a whole number of frames of "
                f"{frame_windows} windows"
            )
        self.frame_head = FrameHead(dim, frames, dropout) if frame else None
        self.clip_head = ClipHead(dim, frames, dropout, frame) if clip else None

    def forward(self, waveform: Float[Tensor, "batch sample"]) -> DetectorOutput:
        """Return what the heads say of ``waveform``, a whole number of frames long."""
        spectrogram = self.features(waveform)
        windows = spectrogram.shape[-1]
        # up to whole token steps, with zeros: the mean in every channel
        spectrogram = pad(spectrogram, (0, -windows % self.backbone.windows))
        tokens, summary = self.backbone.forward_features(spectrogram)  # type: ignore[operator]
        frame_logits = self.frame_head(tokens) if self.frame_head else None
        found = (frame_logits, None, None)
        if self.clip_head is not None:
            found = (frame_logits, *self.clip_head(tokens, summary, frame_logits))
        frames = windows // self.frame_windows
        return DetectorOutput(*(None if part is None else part[:, :frames] for part in found))
