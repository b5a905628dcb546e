"""The detector, from waveform to the outputs of the heads."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from fakesound.config import HeadsConfig
from fakesound.models.heads import Outputs
from fakesound.models.masking import BandMask
from fakesound.models.tasks import TASKS, HeadInput, HeadSizes
from fakesound.models.vim import MambaNeck


class Detector(nn.Module):
    """Features, backbone, neck and heads.

    Args:
        features: module from waveform to spectrogram.
        backbone: module with the width ``dim`` of its tokens, the number of spectrogram ``windows``
            in a step, and ``forward_features`` from spectrogram to `BackboneOutput`.
        frame_windows: number of spectrogram windows in a frame.
        heads: heads that are on, their pooling, neck and dropout.
        families: attack families of the attribution head, if it is on.
        kernel: kernel of the scan of the neck.
        mask: share of training pairs with masked bands.
        statistics: whether the backbone returns statistics.

    Raises:
        ValueError: if a step of the backbone is not a whole number of frames.
    """

    def __init__(
        self,
        features: nn.Module,
        backbone: nn.Module,
        frame_windows: int,
        heads: HeadsConfig | None = None,
        families: Sequence[str] = (),
        *,
        kernel: str = "auto",
        mask: float = 0.0,
        statistics: bool = False,
    ) -> None:
        super().__init__()
        heads = heads or HeadsConfig()
        self.features, self.backbone = features, backbone
        self.mask = BandMask(mask)
        self.frame_windows, self.pooling = frame_windows, heads.pooling
        # without known families there is no attribution head
        self.families = tuple(families) if heads.attribution else ()
        dim, windows = int(backbone.dim), int(backbone.windows)  # type: ignore[arg-type]
        frames, rest = divmod(windows, frame_windows)
        if rest or not frames:
            raise ValueError(
                f"a token step of {windows} windows is not a whole number of frames of "
                f"{frame_windows} windows"
            )
        necked = heads.neck == "mamba"
        self.neck = MambaNeck(dim, frames, heads.neck_depth, kernel) if necked else None
        # the tokens of the neck are frames
        grid_frames = 1 if necked else frames
        sizes = HeadSizes(heads, dim, frames, grid_frames, self.families, statistics)
        for name, task in TASKS.items():
            on = getattr(heads, name) and (name != "attribution" or self.families)
            setattr(self, f"{name}_head", task.head(sizes) if on else None)

    @property
    def tasks(self) -> list[str]:
        """Tasks whose heads are on."""
        return [name for name in TASKS if getattr(self, f"{name}_head") is not None]

    def forward(self, waveform: Float[Tensor, "batch sample"]) -> Outputs:
        """Return the outputs of the heads for ``waveform``, a whole number of frames, by name."""
        return self.of_spectrogram(self.features(waveform))

    def of_spectrogram(self, spectrogram: Float[Tensor, "batch channel bin window"]) -> Outputs:
        """Return the outputs of the heads for a spectrogram of the features, by name."""
        spectrogram = self.mask(spectrogram)
        windows = spectrogram.shape[-1]
        # padded to whole token steps with zeros, the mean of every channel
        step = int(self.backbone.windows)  # type: ignore[arg-type]
        if windows % step:
            spectrogram = pad(spectrogram, (0, -windows % step))
        output = self.backbone.forward_features(spectrogram)  # type: ignore[operator]
        tokens, summary, statistics = output
        grid = tokens if self.neck is None else self.neck(tokens)
        inputs = HeadInput(tokens, grid, summary, statistics, None)
        outputs: dict[str, Tensor] = {}
        for name in self.tasks:
            outputs |= TASKS[name].outputs(getattr(self, f"{name}_head"), inputs)
            inputs = inputs._replace(frame_logits=outputs.get("frame_logits"))
        frames = windows // self.frame_windows
        return {name: values[:, :frames] for name, values in outputs.items()}
