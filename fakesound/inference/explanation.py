"""Where in time and frequency the evidence of a detector lies: by hiding parts and asking again."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from fakesound.data.audio import from_pcm, to_pcm
from fakesound.errors import InputError
from fakesound.inference.detector import Detector
from fakesound.models.build import GRID
from fakesound.models.detector import DetectorOutput
from fakesound.models.features import Spectrogram

BATCH = 16
CELL = 0.2  # seconds
BANDS = 8
LONGEST = 30.0  # seconds: the time it takes grows with their square


@dataclass(frozen=True)
class Explanation:
    """How much each part of a recording speaks for "fake".

    Attributes:
        relevance: fall of the logit where a cell is hidden; above 0 speaks for "fake".
        seconds: where cells begin in time, and where the last one ends.
        hertz: where cells begin in frequency, and where the last one ends.
        logit: of the recording as it is.
    """

    relevance: Float[np.ndarray, "band cell"]
    seconds: Float[np.ndarray, " edge"]
    hertz: Float[np.ndarray, " edge"]
    logit: float

    def order(self) -> Int[np.ndarray, " place"]:
        """Return the flat numbers of the cells, the most relevant first."""
        return np.argsort(-self.relevance, axis=None, kind="stable")

    def points_at(self, fake: Bool[np.ndarray, " frame"]) -> bool:
        """Return whether the most relevant cell lies on a fake frame: the pointing game.

        Zhang et al., "Top-down neural attention by excitation backprop", ECCV 2016.
        """
        cell = int(self.order()[0]) % self.relevance.shape[1]
        first, after = (round(at / GRID.step) for at in self.seconds[cell : cell + 2])
        return bool(fake[first : max(after, first + 1)].any())


class Occlusion:
    """A recording whose parts can be hidden, in one window.

    Args:
        detector: that is asked.
        audio: mono at the detector's rate.
        cell: seconds of a cell.
        bands: of frequency.

    Raises:
        InputError: for a detector of cepstra, which have no place in frequency, or a recording that
            is empty or too long.
    """

    def __init__(
        self,
        detector: Detector,
        audio: Float32[np.ndarray, " sample"],
        cell: float = CELL,
        bands: int = BANDS,
    ) -> None:
        seconds = len(audio) / detector.rate
        if not 0 < seconds <= LONGEST:
            raise InputError(f"recording of {seconds:.1f} s: give more than 0, up to {LONGEST} s")
        features = detector.model.features
        assert isinstance(features, Spectrogram)
        if features.kind == "lfcc":
            raise InputError("features.kind=lfcc: cepstra have no place in frequency; use another")
        self.detector = detector
        size = GRID.samples(detector.rate)
        samples = from_pcm(to_pcm(audio))
        samples = np.pad(samples, (0, -len(samples) % size))
        with torch.inference_mode():
            self.whole: Tensor = features(torch.from_numpy(samples)[None])
        bins, windows = self.whole.shape[2:]
        self.rows = _edges(bins, min(bands, bins))
        self.columns = _edges(windows, max(1, round(seconds / cell)))
        self.shape = len(self.rows) - 1, len(self.columns) - 1
        self.seconds = np.minimum(self.columns * features.hop / detector.rate, seconds)
        self.hertz = _hertz(features, self.rows, detector.rate)

    @torch.inference_mode()
    def logits(self, hidden: Bool[np.ndarray, "set band cell"]) -> Float[np.ndarray, " set"]:
        """Return the logit of the recording with each set of cells at the mean of the training."""
        found = []
        for start in range(0, len(hidden), BATCH):
            some = hidden[start : start + BATCH]
            parts = self.whole.repeat(len(some), 1, 1, 1)
            for number, cells in enumerate(some):
                for row, column in zip(*np.nonzero(cells), strict=True):
                    bins = slice(self.rows[row], self.rows[row + 1])
                    parts[number, :, bins, self.columns[column] : self.columns[column + 1]] = 0
            output = self.detector.model.of_spectrogram(parts)
            found.append(self._clip_logits(output).numpy())
        return np.concatenate(found)

    def explain(
        self, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Explanation:
        """Return the relevance of each cell: occlusion (Zeiler and Fergus, ECCV 2014)."""
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
        self, order: Int[np.ndarray, " place"], points: int = 10
    ) -> Float[np.ndarray, " point"]:
        """Return the logits as more and more cells are hidden, in ``order`` of their numbers.

        The faster it falls, the more faithful the order (Petsiuk, Das and Saenko, BMVC 2018).
        """
        counts = np.linspace(0, len(order), points + 1).round().astype(int)
        hidden = np.zeros((len(counts), len(order)), bool)
        for number, count in enumerate(counts):
            hidden[number, order[:count]] = True
        return self.logits(hidden.reshape(-1, *self.shape))

    def _clip_logits(self, output: DetectorOutput) -> Float[Tensor, " batch"]:
        frames = next(part for part in output if part is not None).shape[:2]
        logit = output.clip_logit(torch.ones(frames, dtype=torch.bool), self.detector.model.pooling)
        if logit is not None:
            return logit
        assert output.frame_logits is not None
        return output.frame_logits.amax(1)


def _edges(count: int, parts: int) -> Int[np.ndarray, " edge"]:
    """Return where parts of about equal size begin among ``count``, and where the last ends."""
    return np.linspace(0, count, min(parts, count) + 1).round().astype(int)


def _hertz(
    features: Spectrogram, rows: Int[np.ndarray, " edge"], rate: int
) -> Float[np.ndarray, " edge"]:
    if features.kind == "logstft":
        return rows * rate / features.window
    top = 2595 * np.log10(1 + rate / 2 / 700)
    return 700 * (10 ** (rows / features.bins * top / 2595) - 1)
