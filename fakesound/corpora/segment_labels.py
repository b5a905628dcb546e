"""Read PartialSpoof's segment labels, from pickles without running their code, or from RTTM."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from fakesound.data.arrays import read_arrays
from fakesound.errors import InputError
from fakesound.timeline import FrameGrid, Region, merge_regions

# published time steps in seconds, the finest first
STEPS = ("0.01", "0.02", "0.04", "0.08", "0.16", "0.32", "0.64")
SPOOF = 0


def read_segment_labels(path: Path, step: float) -> dict[str, list[Region]]:
    """Return the fake regions of each clip of a ``*_seglab_*.npy``; "0" is spoof, "1" bona fide.

    Raises:
        InputError: if the file is damaged, is not a dictionary of labels, or asks to run code,
            which ``numpy.load`` would do.
    """
    labels = read_arrays(path)
    grid = FrameGrid.from_seconds(step)
    try:
        if not isinstance(labels, dict):
            raise TypeError(f"it holds a {type(labels).__name__}")
        return {
            str(name): grid.regions(_binary(values) == SPOOF) for name, values in labels.items()
        }
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path}: not a dictionary of segment labels ({error}); download it again"
        ) from None


def read_rttm(path: Path) -> dict[str, list[Region]]:
    """Return the spans of each clip that an RTTM file labels "spoof".

    Raises:
        InputError: naming the first row that is not RTTM.
    """
    spans: defaultdict[str, list[Region]] = defaultdict(list)
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        fields = line.split()
        if not fields:
            continue
        try:
            clip, onset, duration, label = fields[1], float(fields[3]), float(fields[4]), fields[7]
            spans[clip] += [Region(onset, round(onset + duration, 6))] if label == "spoof" else []
        except (IndexError, ValueError) as error:
            raise InputError(f"{path} row {number}: not RTTM ({error})") from None
    return {clip: merge_regions(regions) for clip, regions in spans.items()}


def _binary(values: Any) -> np.ndarray:  # noqa: ANN401
    labels = np.asarray(values).astype(np.int64)
    if labels.ndim != 1 or not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be one-dimensional, 0 or 1")
    return labels
