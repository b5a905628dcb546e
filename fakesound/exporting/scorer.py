"""Scorers as modules that export: of windows, and of a whole clip.

That of a whole clip repeats `fakesound.scoring.windows` and `fakesound.scoring.clip_score` in
operators of torch: the number of samples is only known when the exported program runs.
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
from fakesound.scoring.calibration import IDENTITY, Calibrator
from fakesound.scoring.clip_score import LOGIT_LIMIT, SMOOTHED
from fakesound.timeline import GRID, window_step

STEEPEST = 1e-5  # logits in which a climb between two knots is done


class Scores(NamedTuple):
    """Scores of a clip.

    Attributes:
        score: P(fake) of the clip, calibrated.
        logit: logit of the score; calibrated from a logit between -30 and 30.
        frame_scores: P(fake) of each frame; empty without a frame head.
    """

    score: Float[Tensor, ""]
    logit: Float[Tensor, ""]
    frame_scores: Float[Tensor, " frame"]


class WaveformScorer(nn.Module):
    """Scores a waveform of any length as a test scores its clips.

    Args:
        detector: detector; a copy is used, with a spectrum that exports.
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
        # `Scores` has no outputs of theirs
        for task in set(detector.tasks) - {"clip", "frame"}:
            setattr(self.detector, f"{task}_head", None)
        self.size = GRID.samples(sample_rate)
        self.frames = GRID.count(seconds)
        self.step = window_step(self.frames)
        self.calibration = Calibration(calibrator)
        place = torch.arange(1.0, self.frames + 1)
        self.register_buffer("ramp", torch.minimum(place, place.flip(0)))

    def forward(self, waveform: Float[Tensor, " sample"]) -> Scores:
        """Return the scores of ``waveform``.

        Raises:
            IndexError: where `fakesound.data.samples.to_channels` refuses it: without samples, with
                NaN, or beyond -1 to 1 by more than 5 %. So does the exported program.
        """
        waveform = _checked(waveform)
        # symbols while exporting: nothing may branch on them
        frames = (waveform.shape[0] + self.size - 1) // self.size
        beyond = torch.sym_max(frames - self.frames, 0)
        windows = 1 + (beyond + self.step - 1) // self.step
        total = self.frames + beyond
        framed = functional.pad(waveform, (0, total * self.size - waveform.shape[0]))
        framed = framed.view(-1, self.size)
        # the last window ends with the clip
        first = (torch.arange(windows) * self.step).clamp(max=beyond)
        places = first[:, None] + torch.arange(self.frames)

        outputs = {
            name: self._averaged(values, places, total)[:frames]
            for name, values in self.detector(framed[places].flatten(1)).items()
        }
        logits = outputs.get("frame_logits", waveform[:0])
        if "evidence" in outputs:
            logit = self._pooled(outputs["evidence"], outputs.get("attention"))
            if "whole_evidence" in outputs:
                whole = outputs["whole_evidence"].mean().clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
                logit = either(logit.clamp(-LOGIT_LIMIT, LOGIT_LIMIT), whole)
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
        places: Int[Tensor, "window frame"],
        total: int | torch.SymInt,
    ) -> Float[Tensor, " total"]:
        """Return one value a frame, as `fakesound.scoring.windows.OverlapAdd` does."""
        index = places.flatten()
        weight = self.ramp.expand(values.shape[0], -1).flatten()
        empty = values.new_zeros(total)
        summed = empty.index_add(0, index, weight * values.flatten())
        return summed / empty.index_add(0, index, weight)


class WindowScorer(nn.Module):
    """Computes the frame outputs of a batch of windows, as a detector does.

    Args:
        detector: detector; a copy is used, with a spectrum that exports.
        sample_rate: sample rate of the windows in Hz.
        seconds: length of the windows.
    """

    def __init__(self, detector: Detector, sample_rate: int, seconds: float) -> None:
        super().__init__()
        self.detector = exportable(detector)
        self.samples = GRID.count(seconds) * GRID.samples(sample_rate)
        with torch.inference_mode():
            found = self.detector(torch.zeros(1, self.samples))
        # shapes of the outputs of one window
        self.outputs = {name: tuple(values.shape[1:]) for name, values in found.items()}

    def forward(self, windows: Float[Tensor, "window sample"]) -> tuple[Tensor, ...]:
        """Return the outputs of the heads that there are, in the order of ``outputs``."""
        found = self.detector(windows)
        return tuple(found[name] for name in self.outputs)


def exportable(detector: Detector) -> Detector:
    """Return a copy of ``detector``, ready to score, with a spectrum that exports."""
    copied = copy.deepcopy(detector).eval().requires_grad_(False)
    features = copied.features
    spectrum = ConvolvedSpectrum(features.window, features.hop)  # type: ignore[arg-type]
    features.spectrum = spectrum.to(next(detector.parameters()).device)
    return copied


class Calibration(nn.Module):
    """A calibrator in operators of torch: an affine map, or the climbs between isotonic knots.

    Args:
        calibrator: calibrator to repeat.
    """

    starts: Tensor
    widths: Tensor
    climbs: Tensor

    def __init__(self, calibrator: Calibrator) -> None:
        super().__init__()
        self.slope, self.intercept = calibrator.slope, calibrator.intercept
        if calibrator.knots:
            # constant but for the climbs
            self.slope, self.intercept = 0.0, calibrator.knots[0][1]
        x, y = torch.tensor(calibrator.knots, dtype=torch.float64).reshape(-1, 2).T
        self.register_buffer("starts", x[:-1].float())
        # knots that single precision cannot tell apart are a step
        self.register_buffer("widths", x.diff().clamp(min=STEEPEST).float())
        self.register_buffer("climbs", y.diff().float())

    def forward(self, logit: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Return the calibrated logit."""
        made = self.slope * logit + self.intercept
        if not len(self.climbs):
            return made
        return made + (self.climbs * ((logit - self.starts) / self.widths).clamp(0, 1)).sum()


class ConvolvedSpectrum(nn.Module):
    """The transform of the features as one convolution, which every runtime has and computes fast.

    An exported file holds one turn of the sine; the runtime makes the filters from it.

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
        # angles of less than one turn are exact
        places = bins * torch.arange(self.window, device=device) % self.window
        basis = (self.turn[:, places] * self.hann).flatten(0, 1)
        parts = functional.conv1d(waveform[:, None], basis[:, None], stride=self.hop)
        real, imaginary = parts.split(self.bins, dim=1)
        return real, imaginary


def _checked(waveform: Float[Tensor, " sample"]) -> Float[Tensor, " sample"]:
    """Return ``waveform`` clipped to [-1, 1]; fail where it cannot be scored."""
    fits = waveform.abs() <= LOUDEST
    wrong = (fits.logical_not().sum() > 0) | (fits.sum() < 1)
    # an exported program has no exceptions; the second element, which is not there, is one
    zero = waveform.new_zeros(1).index_select(0, wrong.long().reshape(1))
    return waveform.clamp(-1, 1) + zero


def _highest(logits: Float[Tensor, " frame"], frames: int | torch.SymInt) -> Float[Tensor, ""]:
    """Return the highest mean of `SMOOTHED` frames in a row, or of all where there are fewer."""
    missing = torch.sym_max(SMOOTHED - frames, 0)
    padded = functional.pad(logits, (0, missing))
    means = functional.avg_pool1d(padded[None, None], SMOOTHED, 1)
    return means.max() * SMOOTHED / (SMOOTHED - missing)
