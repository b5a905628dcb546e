"""Modules for export that score windows or whole recordings.

The scorer of recordings reimplements `fakesound.scoring.windows` and `fakesound.scoring.clip_score`
with torch operators, because the number of samples is unknown during export.
"""

import copy
import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from fakesound.data.samples import LOUDEST
from fakesound.models.detector import Detector
from fakesound.models.heads import either, pool
from fakesound.models.stem import ConvStem
from fakesound.scoring.calibration import IDENTITY, Calibrator
from fakesound.scoring.clip_score import LOGIT_LIMIT, MEAN_SHARE, SMOOTHED
from fakesound.timeline import GRID, window_step

MIN_WIDTH = 1e-5  # smallest distance of two knots, in logits


class Scores(NamedTuple):
    """Scores of a clip.

    Attributes:
        score: P(fake) of the clip, calibrated.
        logit: log odds of the score.
        frame_scores: P(fake) of each frame; empty without a frame head.
    """

    score: Float[Tensor, ""]
    logit: Float[Tensor, ""]
    frame_scores: Float[Tensor, " frame"]


class WaveformScorer(nn.Module):
    """Score a waveform of any length, like the clips of a test.

    Args:
        detector: detector to copy.
        sample_rate: sample rate of the waveform in Hz.
        seconds: length of the windows of the detector.
        calibrator: calibrator of the clip logit; frame scores are not calibrated.
    """

    ramp: Tensor

    def __init__(
        self,
        detector: Detector,
        sample_rate: int,
        seconds: float,
        calibrator: Calibrator = IDENTITY,
    ) -> None:
        super().__init__()
        self.detector = exportable(detector)
        # their outputs are not in `Scores`
        for task in set(detector.tasks) - {"clip", "frame"}:
            setattr(self.detector, f"{task}_head", None)
        self.size = GRID.samples(sample_rate)
        self.frames = GRID.count(seconds)
        self.step = window_step(self.frames)
        self.calibration = Calibration(calibrator)
        position = torch.arange(1.0, self.frames + 1)
        self.register_buffer("ramp", torch.minimum(position, position.flip(0)))

    def forward(self, waveform: Float[Tensor, " sample"]) -> Scores:
        """Return the scores of ``waveform``.

        Raises:
            IndexError: for a waveform without samples, with NaN, or outside [-1, 1] by more than 5
                %, as in `fakesound.data.samples.to_channels`. The exported program also fails.
        """
        waveform = _checked(waveform)
        # symbolic during export: no branches on these values
        frames = (waveform.shape[0] + self.size - 1) // self.size
        beyond = torch.sym_max(frames - self.frames, 0)
        windows = 1 + (beyond + self.step - 1) // self.step
        total = self.frames + beyond
        framed = functional.pad(waveform, (0, total * self.size - waveform.shape[0]))
        framed = framed.view(-1, self.size)
        # the last window ends with the clip
        first = (torch.arange(windows) * self.step).clamp(max=beyond)
        indices = first[:, None] + torch.arange(self.frames)

        outputs = {
            name: self._averaged(values, indices, total)[:frames]
            for name, values in self.detector(framed[indices].flatten(1)).items()
        }
        logits = outputs.get("frame_logits", waveform[:0])
        if "evidence" in outputs:
            logit = self._pooled(outputs["evidence"], outputs.get("attention"))
            if "whole_evidence" in outputs:
                whole = outputs["whole_evidence"].mean().clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
                logit = either(logit.clamp(-LOGIT_LIMIT, LOGIT_LIMIT), whole)
                # see `fakesound.scoring.clip_score.frame_scores`
                logits = logits - MEAN_SHARE * logits.mean().clamp(min=0)
        else:
            logit = _highest(logits, frames)
        logit = self.calibration(logit.clamp(-LOGIT_LIMIT, LOGIT_LIMIT))
        return Scores(logit.sigmoid(), logit, logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT).sigmoid())

    def _pooled(
        self, evidence: Float[Tensor, " frame"], attention: Float[Tensor, " frame"] | None
    ) -> Float[Tensor, ""]:
        """Return the clip logit of all frames."""
        mask = torch.ones_like(evidence, dtype=torch.bool)[None]
        counts = None if attention is None else attention[None]
        return pool(evidence[None], counts, mask, self.detector.pooling)[0]

    def _averaged(
        self,
        values: Float[Tensor, "window frame"],
        indices: Int[Tensor, "window frame"],
        total: int | torch.SymInt,
    ) -> Float[Tensor, " total"]:
        """Average windows to one value per frame, like `fakesound.scoring.windows.OverlapAdd`."""
        index = indices.flatten()
        weight = self.ramp.expand(values.shape[0], -1).flatten()
        empty = values.new_zeros(total)
        summed = empty.index_add(0, index, weight * values.flatten())
        return summed / empty.index_add(0, index, weight)


class WindowScorer(nn.Module):
    """Compute the frame outputs of a batch of windows.

    Args:
        detector: detector to copy.
        sample_rate: sample rate of the windows in Hz.
        seconds: length of the windows.
    """

    def __init__(self, detector: Detector, sample_rate: int, seconds: float) -> None:
        super().__init__()
        self.detector = exportable(detector)
        self.samples = GRID.count(seconds) * GRID.samples(sample_rate)
        with torch.inference_mode():
            outputs = self.detector(torch.zeros(1, self.samples))
        # shapes of the outputs of one window
        self.outputs = {name: tuple(values.shape[1:]) for name, values in outputs.items()}

    def forward(self, windows: Float[Tensor, "window sample"]) -> tuple[Tensor, ...]:
        """Return the outputs of all heads, in the order of ``outputs``."""
        outputs = self.detector(windows)
        return tuple(outputs[name] for name in self.outputs)


def exportable(detector: Detector) -> Detector:
    """Return a copy of ``detector`` in evaluation mode, of operators that runtimes compute fast."""
    copied = copy.deepcopy(detector).eval().requires_grad_(False)
    features = copied.features
    spectrum = ConvolvedSpectrum(features.window, features.hop)  # type: ignore[arg-type]
    features.spectrum = spectrum.to(next(detector.parameters()).device)
    stem = getattr(copied.backbone, "stem", None)
    if isinstance(stem, ConvStem):
        stem.fold = nn.Identity()
        stem.layers[0] = unfolded(stem.layers[0], stem.windows)  # type: ignore[arg-type]
        if stem.phase is not None:
            stem.phase.first = unfolded(stem.phase.first, stem.windows)
    return copied


def unfolded(convolution: nn.Conv2d, windows: int) -> nn.Conv2d:
    """Return ``convolution`` of `fakesound.models.stem.fold` as one of the spectrogram itself.

    Args:
        convolution: convolution of folded channels, of size 3 with padding.
        windows: number of windows that are folded.
    """
    weight = convolution.weight.unflatten(1, (-1, 2, windows)).permute(0, 1, 4, 2, 5, 3)
    weight = weight.flatten(4, 5).flatten(2, 3)
    stride = (2, windows)
    result = nn.Conv2d(weight.shape[1], len(weight), (6, 3 * windows), stride, stride, bias=False)
    result.weight = nn.Parameter(weight, requires_grad=False)
    return result.eval()


class Calibration(nn.Module):
    """Calibrator with torch operators: an affine map, or a sum of ramps between isotonic knots.

    Args:
        calibrator: calibrator to reimplement.
    """

    starts: Tensor
    widths: Tensor
    heights: Tensor

    def __init__(self, calibrator: Calibrator) -> None:
        super().__init__()
        self.slope, self.intercept = calibrator.slope, calibrator.intercept
        if calibrator.knots:
            # constant except for the ramps
            self.slope, self.intercept = 0.0, calibrator.knots[0][1]
        x, y = torch.tensor(calibrator.knots, dtype=torch.float64).reshape(-1, 2).T
        self.register_buffer("starts", x[:-1].float())
        # knots may coincide in single precision
        self.register_buffer("widths", x.diff().clamp(min=MIN_WIDTH).float())
        self.register_buffer("heights", y.diff().float())

    def forward(self, logit: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Return the calibrated logit."""
        affine = self.slope * logit + self.intercept
        if not len(self.heights):
            return affine
        return affine + (self.heights * ((logit - self.starts) / self.widths).clamp(0, 1)).sum()


class ConvolvedSpectrum(nn.Module):
    """Short-time Fourier transform as one convolution, which all runtimes compute fast.

    The exported file contains one period of the sine, from which the runtime computes the filters.

    Args:
        window: samples in a window.
        hop: samples between windows.
    """

    turn: Tensor
    hann: Tensor

    def __init__(self, window: int, hop: int) -> None:
        super().__init__()
        self.window, self.hop, self.bins = window, hop, window // 2 + 1
        angle = 2 * math.pi / window * torch.arange(window).double()
        self.register_buffer("turn", torch.stack((angle.cos(), -angle.sin())).float())
        self.register_buffer("hann", (0.5 - 0.5 * angle.cos()).float())

    def forward(
        self, waveform: Float[Tensor, "batch sample"]
    ) -> tuple[Float[Tensor, "batch bin window"], Float[Tensor, "batch bin window"]]:
        """Return the real and the imaginary part of each bin."""
        device = waveform.device
        bins = torch.arange(self.bins, device=device)[:, None]
        # reduced to one period, where the angles are exact
        phases = bins * torch.arange(self.window, device=device) % self.window
        basis = (self.turn[:, phases] * self.hann).flatten(0, 1)
        parts = functional.conv1d(waveform[:, None], basis[:, None], stride=self.hop)
        real, imaginary = parts.split(self.bins, dim=1)
        return real, imaginary


def _checked(waveform: Float[Tensor, " sample"]) -> Float[Tensor, " sample"]:
    """Return ``waveform`` clipped to [-1, 1]; raise an IndexError if it cannot be scored."""
    fits = waveform.abs() <= LOUDEST
    wrong = (fits.logical_not().sum() > 0) | (fits.sum() < 1)
    # exported programs cannot raise, so an invalid waveform selects an element that does not exist
    zero = waveform.new_zeros(1).index_select(0, wrong.long().reshape(1))
    return waveform.clamp(-1, 1) + zero


def _highest(logits: Float[Tensor, " frame"], frames: int | torch.SymInt) -> Float[Tensor, ""]:
    """Return the highest mean of `SMOOTHED` consecutive frames, or of all frames if fewer."""
    missing = torch.sym_max(SMOOTHED - frames, 0)
    padded = functional.pad(logits, (0, missing))
    means = functional.avg_pool1d(padded[None, None], SMOOTHED, 1)
    return means.max() * SMOOTHED / (SMOOTHED - missing)
