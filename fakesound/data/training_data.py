"""Find the recordings and attack weights that training and the forge need.

They are a distribution of their own, so that an installation that only detects stays small. In a
checkout they are next to the package.
"""

import os
from importlib.util import find_spec
from pathlib import Path

from fakesound.errors import InputError

PACKAGE = "fakesound_training_data"
INSTALL = (
    "pip install ./training_data in a clone, or pip install "
    '"git+URL#subdirectory=training_data" with the URL of the repository'
)
# folder of the recordings in earlier versions, which manifests and saved configurations may name
FORMER = "fakesound/data/embedded"


def training_data(part: str, key: str) -> Path:
    """Return a folder of the training data.

    Args:
        part: "embedded", the corpus of genuine recordings, or "attack_weights".
        key: setting that needs it, for the error message.

    Raises:
        InputError: if the training data are not installed.
    """
    if (folder := _folder()) is None:
        raise InputError(f"{key}: the training data are not installed; {INSTALL}")
    return folder / part


def moved(path: str) -> str:
    """Return the current path of a file or folder that earlier versions had in the package.

    A path that exists, or that is none of them, is returned unchanged.
    """
    _, found, rest = path.rpartition(FORMER)
    if not found or (rest and rest[0] != "/") or os.path.exists(path):
        return path
    if (folder := _folder()) is None:
        return path
    return f"{folder / 'embedded'}{rest}"


def _folder() -> Path | None:
    spec = find_spec(PACKAGE)
    if spec is not None and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0])
    checkout = Path(__file__).resolve().parents[2] / "training_data"
    return checkout if (checkout / "embedded" / "manifest.jsonl").is_file() else None
