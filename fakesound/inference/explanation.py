"""Explain a detection by occlusion: which parts of time and frequency change the score."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from fakesound.data.audio import read_audio
from fakesound.data.manifest import Clip
from fakesound.errors import InputError
from fakesound.inference.detector import Detector
from fakesound.models.features import Spectrogram
from fakesound.scoring.checkpoint import numpy_outputs
from fakesound.scoring.clip_score import clip_logits
from fakesound.scoring.windows import BATCH, FrameValues, OverlapAdd, cut_windows
from fakesound.timeline import GRID

CELL = 0.2  # seconds
BANDS = 8
LONGEST = 30.0  # seconds; one second of audio takes one or two seconds to compute


@dataclass(frozen=True)
class Explanation:
    """Relevance of each cell of time and frequency for the verdict "fake".

    Attributes:
        relevance: decrease of the logit if a cell is hidden; positive for evidence of "fake".
        seconds: edges of the cells in time.
        hertz: edges of the cells in frequency.
        logit: calibrated logit of the unchanged recording.
    """

    relevance: Float[np.ndarray, "band cell"]
    seconds: Float[np.ndarray, " edge"]
    hertz: Float[np.ndarray, " edge"]
    logit: float

    def order(self) -> Int[np.ndarray, " cell"]:
        """Return the flat indices of the cells, the most relevant first."""
        return np.argsort(-self.relevance, axis=None, kind="stable")

    def points_at(self, fake: Bool[np.ndarray, " frame"]) -> bool:
        """Return whether the most relevant cell overlaps a fake frame (pointing game).

        Zhang et al., "Top-down neural attention by excitation backprop", ECCV 2016.
        """
        cell = int(self.order()[0]) % self.relevance.shape[1]
        first, stop = (round(at / GRID.step) for at in self.seconds[cell : cell + 2])
        return bool(fake[first : max(stop, first + 1)].any())


class Occlusion:
    """Recording whose cells of time and frequency can be hidden.

    A hidden cell is set to 0, the mean of the training data, in the normalised features of each
    window that contains it. No audio has exactly such features. Windows are scored as in detection.

    Args:
        detector: detector to explain.
        audio: mono samples at the detector's rate.
        cell: length of a cell in seconds.
        bands: number of cells in frequency.
        name: name of the recording in errors.

    Raises:
        InputError: for a detector with cepstral features, which have no frequency axis, or a
            recording that is empty or too long.
    """

    def __init__(
        self,
        detector: Detector,
        audio: Float32[np.ndarray, " sample"],
        cell: float = CELL,
        bands: int = BANDS,
        name: str = "recording",
    ) -> None:
        seconds = len(audio) / detector.rate
        if not 0 < seconds <= LONGEST:
            raise InputError(f"{name}: lasts {seconds:.1f} s; give one of up to {LONGEST:g} s")
        module = detector.model.module
        if module is None:
            raise InputError('backend=onnx: has no access to features; use backend="torch"')
        features = module.features
        assert isinstance(features, Spectrogram)
        if features.kind == "lfcc":
            raise InputError(
                "features.kind=lfcc: cepstra have no frequency axis; use another detector"
            )
        self.detector, self.module = detector, module
        size = GRID.samples(detector.rate)
        self.windows = list(cut_windows([audio], size, detector.frames))
        self.frames = self.windows[-1].total or 0
        self.columns_per_frame = features.windows(GRID)
        device = next(module.parameters()).device
        with torch.inference_mode():
            waveform = torch.from_numpy(np.stack([window.audio for window in self.windows]))
            self.spectrograms: Tensor = features(waveform.to(device))
            self.outputs = [
                one
                for start in range(0, len(self.windows), BATCH)
                for one in self._outputs(self.spectrograms[start : start + BATCH])
            ]
        bins, columns = self.spectrograms.shape[2], self.frames * self.columns_per_frame
        self.rows = _edges(bins, min(bands, bins))
        self.columns = _edges(columns, max(1, round(seconds / cell)))
        self.shape = len(self.rows) - 1, len(self.columns) - 1
        self.seconds = np.minimum(self.columns * features.hop / detector.rate, seconds)
        self.hertz = _hertz(features, self.rows, detector.rate)

    @torch.inference_mode()
    def logits(self, hidden: Bool[np.ndarray, "set band cell"]) -> Float[np.ndarray, " set"]:
        """Return the calibrated logit of the recording with each set of cells hidden."""
        inside = [self._inside(number) for number in range(len(self.windows))]
        # the outputs of the other windows do not change
        changed = [
            (index, number)
            for index, cells in enumerate(hidden)
            for number in range(len(self.windows))
            if (cells.any(0) & inside[number]).any()
        ]
        outputs = [dict(enumerate(self.outputs)) for _ in hidden]
        for start in range(0, len(changed), BATCH):
            some = changed[start : start + BATCH]
            parts = torch.stack([self._without(hidden[index], number) for index, number in some])
            for (index, number), one in zip(some, self._outputs(parts), strict=True):
                outputs[index][number] = one
        raw = np.array([self._logit(one) for one in outputs])
        return self.detector.model.calibrator.calibrate(raw)

    def explain(
        self, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Explanation:
        """Compute the relevance of each cell by occlusion (Zeiler and Fergus, ECCV 2014)."""
        rows, columns = self.shape
        logit = float(self.logits(np.zeros((1, rows, columns), bool))[0])
        relevance = np.zeros(rows * columns)
        for start in range(0, relevance.size, BATCH):
            flat = np.arange(start, min(start + BATCH, relevance.size))
            hidden = np.zeros((len(flat), relevance.size), bool)
            hidden[np.arange(len(flat)), flat] = True
            relevance[flat] = logit - self.logits(hidden.reshape(-1, rows, columns))
            progress(int(flat[-1]) + 1, relevance.size)
        return Explanation(relevance.reshape(rows, columns), self.seconds, self.hertz, logit)

    def deletion_curve(
        self, order: Int[np.ndarray, " cell"], points: int = 10
    ) -> Float[np.ndarray, " point"]:
        """Return the logits while cells are hidden one after another, in ``order``.

        The faster they fall, the more faithful the order (Petsiuk, Das and Saenko, BMVC 2018).
        """
        counts = np.linspace(0, len(order), points + 1).round().astype(int)
        hidden = np.zeros((len(counts), len(order)), bool)
        for number, count in enumerate(counts):
            hidden[number, order[:count]] = True
        return self.logits(hidden.reshape(-1, *self.shape))

    def _outputs(self, spectrograms: Tensor) -> list[dict[str, FrameValues]]:
        values = numpy_outputs(self.module.of_spectrogram(spectrograms))
        return [{name: v[row] for name, v in values.items()} for row in range(len(spectrograms))]

    def _inside(self, number: int) -> Bool[np.ndarray, " cell"]:
        """Return which cells have columns in window ``number``."""
        start = self.windows[number].first * self.columns_per_frame
        stop = start + self.spectrograms.shape[3]
        return (self.columns[:-1] < stop) & (self.columns[1:] > start)

    def _without(self, hidden: Bool[np.ndarray, "band cell"], number: int) -> Tensor:
        spectrogram = self.spectrograms[number].clone()
        start = self.windows[number].first * self.columns_per_frame
        for row, column in zip(*np.nonzero(hidden), strict=True):
            first, stop = np.maximum(self.columns[column : column + 2] - start, 0)
            spectrogram[:, self.rows[row] : self.rows[row + 1], first:stop] = 0
        return spectrogram

    def _logit(self, outputs: Mapping[int, Mapping[str, FrameValues]]) -> float:
        overlap = OverlapAdd()
        for window, one in zip(self.windows, outputs.values(), strict=True):
            overlap.add(window.first, one)
        return clip_logits(overlap.average(self.frames), self.module.pooling).clip


@dataclass(frozen=True)
class Faithfulness:
    """Faithfulness of explanations, averaged over clips.

    Attributes:
        clips: number of clips.
        pointing: share of clips whose most relevant cell overlaps a fake frame.
        chance: share of random cells that overlap a fake frame.
        deletion: mean of the deletion curve minus its start; lower is more faithful.
        random: the same mean for cells hidden in random order.
    """

    clips: int
    pointing: float
    chance: float
    deletion: float
    random: float


def measure_faithfulness(
    detector: Detector,
    clips: Sequence[Clip],
    limit: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Faithfulness:
    """Measure the faithfulness of explanations on up to ``limit`` partial fakes.

    Raises:
        InputError: if there are no partial fakes.
    """
    partial = [
        clip
        for clip in clips
        if clip.regions
        and clip.duration <= LONGEST
        and sum(region.duration for region in clip.regions) < 0.95 * clip.duration
    ]
    if not partial:
        raise InputError("--manifest: has no partly fake test clip; name another")
    rng = np.random.default_rng(0)
    chosen = [partial[i] for i in sorted(rng.permutation(len(partial))[:limit])]
    rows = []
    for number, clip in enumerate(chosen):
        occlusion = Occlusion(detector, read_audio(clip.location, detector.rate))
        explanation = occlusion.explain()
        fake = GRID.targets(clip.regions, GRID.count(clip.duration))
        cells = explanation.relevance.shape[1]
        spans = np.round(explanation.seconds / GRID.step).astype(int)
        touched = [fake[spans[c] : max(spans[c + 1], spans[c] + 1)].any() for c in range(cells)]
        curves = [
            occlusion.deletion_curve(order)
            for order in (explanation.order(), rng.permutation(explanation.relevance.size))
        ]
        fall, random = (float(curve[1:].mean() - curve[0]) for curve in curves)
        rows.append((explanation.points_at(fake), float(np.mean(touched)), fall, random))
        progress(number + 1, len(chosen))
    pointing, chance, deletion, random = (
        float(np.mean(column)) for column in zip(*rows, strict=True)
    )
    return Faithfulness(len(rows), pointing, chance, deletion, random)


def _edges(count: int, parts: int) -> Int[np.ndarray, " edge"]:
    """Return the edges of ``parts`` parts of about equal size that cover ``count`` items."""
    return np.linspace(0, count, min(parts, count) + 1).round().astype(int)


def _hertz(
    features: Spectrogram, rows: Int[np.ndarray, " edge"], rate: int
) -> Float[np.ndarray, " edge"]:
    if features.kind == "logstft":
        return rows * rate / features.window
    top = 2595 * np.log10(1 + rate / 2 / 700)
    return 700 * (10 ** (rows / features.bins * top / 2595) - 1)
