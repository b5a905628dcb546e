"""PartialSpoof's segment labels, from pickles that are read without running what they hold."""

import pickle
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from fakesound.errors import InputError
from fakesound.timeline import FrameGrid, Region, merge_regions

# steps in seconds that labels are published for, the finest first
STEPS = ("0.01", "0.02", "0.04", "0.08", "0.16", "0.32", "0.64")
SPOOF = 0
# all that a pickle may name: what rebuilds arrays and dictionaries, and nothing that acts
HARMLESS = {
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    *((f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("builtins", "list"),
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        if (module, name) == ("_codecs", "encode"):
            # how pickles of old spell bytes
            return _bytes
        if (module, name) not in HARMLESS:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        # the old name of numpy's core warns and will go
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_segment_labels(path: Path, step: float) -> dict[str, list[Region]]:
    """Return the fake regions of each clip of a ``*_seglab_*.npy``; "0" is spoof, "1" bona fide.

    Raises:
        InputError: if the file is no pickled dictionary of labels, or its pickle names anything
            that arrays do not need, which ``numpy.load`` would run.
    """
    try:
        with path.open("rb") as file:
            labels = _load(file)
        grid = FrameGrid.from_seconds(step)
        return {
            str(name): grid.regions(_binary(values) == SPOOF) for name, values in labels.items()
        }
    # a damaged pickle raises whatever it likes
    except Exception as error:
        raise InputError(
            f"{path}: no dictionary of segment labels ({error}); download it again"
        ) from None


def read_rttm(path: Path) -> dict[str, list[Region]]:
    """Return the spans that an RTTM file labels "spoof", of each clip it names.

    Raises:
        InputError: naming the row that is not RTTM.
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


def _bytes(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes bytes as {encoding}")
    return text.encode("latin1")


def _load(file: IO[bytes]) -> Mapping[Any, Any]:
    version = np.lib.format.read_magic(file)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    _, _, dtype = read_header(file)
    if not dtype.hasobject:
        raise ValueError("it holds plain numbers")
    array = _ArraysOnly(file).load()
    labels = array.item()
    if not isinstance(labels, dict):
        raise ValueError(f"it holds a {type(labels).__name__}")
    return labels


def _binary(values: Any) -> np.ndarray:  # noqa: ANN401
    labels = np.asarray(values).astype(np.int64)
    if labels.ndim != 1 or not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be 0 or 1, in a row")
    return labels
