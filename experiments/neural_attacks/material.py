"""Training material of the generators: random cuts of genuine training clips."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fakesound.attacks.neural import INNER_RATES
from fakesound.data.audio import read_audio
from fakesound.data.folders import SUFFIXES
from fakesound.errors import InputError
from fakesound.forging import embedded_clips

SAMPLES = 8_000
# share of the embedded corpus in a batch, if there are folders too
EMBEDDED = 0.35


class Material:
    """Genuine recordings by corpus, each read at the generators' rate and at a higher one.

    Audio that is read at a higher rate but processed as 16 kHz is slower and lower. The attacks use
    the generators in this way, so they are trained in this way.
    """

    def __init__(self, roots: list[Path], rng: np.random.Generator) -> None:
        embedded = [Path(clip.location) for clip in embedded_clips() if clip.split == "train"]
        folders = [sorted(p for p in r.rglob("*") if p.suffix in SUFFIXES) for r in roots]
        self.rng = rng
        self.corpora = [_read(paths, rng) for paths in (embedded, *folders)]
        rest = (1 - EMBEDDED) / max(len(folders), 1)
        self.shares = np.array([EMBEDDED, *[rest] * len(folders)])
        self.shares /= self.shares.sum()
        self.lengths = [np.array([len(a) for a in corpus], float) for corpus in self.corpora]

    def batch(self, clips: int, samples: int = SAMPLES) -> Float[Tensor, "clip sample"]:
        """Return spans of ``samples`` samples with peaks from -26 to -2 dB."""
        spans = []
        while len(spans) < clips:
            index = int(self.rng.choice(len(self.corpora), p=self.shares))
            lengths = self.lengths[index]
            audio = self.corpora[index][self.rng.choice(len(lengths), p=lengths / lengths.sum())]
            start = int(self.rng.integers(0, max(1, len(audio) - samples + 1)))
            span = np.resize(audio[start : start + samples], samples)
            peak = np.abs(span).max()
            if peak > 1e-3:
                spans.append(span * (10 ** (-self.rng.uniform(2, 26) / 20) / peak))
        return torch.from_numpy(np.stack(spans).astype(np.float32))


def _read(paths: list[Path], rng: np.random.Generator) -> list[np.ndarray]:
    audios = []
    for path in paths:
        for rate in (INNER_RATES[0], int(rng.choice(INNER_RATES[1:]))):
            try:
                audio = read_audio(path, rate)
            except InputError as error:
                print("left out:", error)
                break
            if len(audio) >= SAMPLES // 2:
                audios.append(audio)
    return audios
