"""Find copies of a recording by landmarks of its spectrogram.

Peaks of the spectrogram are paired with the peaks that follow. Two recordings are copies if many
pairs agree at one lag (Wang, ISMIR 2003). Levels, filters and codecs hardly change peaks.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64
from scipy import ndimage, signal

Audio = Float32[np.ndarray, " sample"]
# columns: a hash of two frequencies and the steps between them, and the step of the first peak
Landmarks = Int64[np.ndarray, "landmark 2"]

WINDOW, HOP = 1024, 256
# a peak is the highest of so many bins and steps
NEIGHBOURHOOD = (21, 15)
# peaks further below the loudest bin, in dB, are ignored
FLOOR = 40.0
# following peaks that each peak is paired with, and their largest distance in steps
FAN, FARTHEST = 6, 63
# fewest pairs that agree at one lag, and as a share of the landmarks of the shorter recording
LEAST, LEAST_SHARE = 12, 0.05
# hashes of more recordings than this carry no information
COMMON = 60


def landmarks(audio: Audio, rate: int) -> Landmarks:
    """Return the landmarks of a recording; only landmarks at the same ``rate`` compare."""
    if len(audio) < WINDOW:
        return np.zeros((0, 2), np.int64)
    spectrum = np.abs(signal.stft(audio, rate, nperseg=WINDOW, noverlap=WINDOW - HOP)[2])
    level = 20 * np.log10(spectrum + 1e-9)
    # the lowest bins hold hum, which recordings from one room share
    level = level[4:]
    highest = ndimage.maximum_filter(level, NEIGHBOURHOOD) == level
    bins, steps = np.nonzero(highest & (level > level.max() - FLOOR))
    order = np.lexsort((bins, steps))
    bins, steps = bins[order].astype(np.int64), steps[order].astype(np.int64)
    marks = []
    for ahead in range(1, FAN + 1):
        apart = steps[ahead:] - steps[:-ahead]
        near = (apart > 0) & (apart <= FARTHEST)
        key = (bins[:-ahead] << 18) | (bins[ahead:] << 6) | apart
        marks.append(np.stack((key[near], steps[:-ahead][near]), axis=1))
    return np.concatenate(marks)


def same_recordings(recordings: Sequence[Landmarks]) -> list[tuple[int, int]]:
    """Return the pairs of ``recordings``, by number, that are copies or share a part."""
    sizes = np.array([len(marks) for marks in recordings])
    if not sizes.sum():
        return []
    owner = np.repeat(np.arange(len(recordings)), sizes)
    marks = np.concatenate(recordings)
    order = np.lexsort((owner, marks[:, 0]))
    key, step, owner = marks[order, 0], marks[order, 1], owner[order]
    votes = [np.zeros((0, 3), np.int64)]
    for apart in range(1, COMMON):
        alike = (key[apart:] == key[:-apart]) & (owner[apart:] != owner[:-apart])
        if not (key[apart:] == key[:-apart]).any():
            break
        lag = step[apart:][alike] - step[:-apart][alike]
        votes.append(np.stack((owner[:-apart][alike], owner[apart:][alike], lag), axis=1))
    pairs, counts = np.unique(np.concatenate(votes), axis=0, return_counts=True)
    least = np.minimum(sizes[pairs[:, 0]], sizes[pairs[:, 1]]) * LEAST_SHARE
    agree = counts >= np.maximum(LEAST, least)
    return sorted({(int(a), int(b)) for a, b in pairs[agree, :2]})
