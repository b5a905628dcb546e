"""Read files of weights without running code in them."""

import argparse
import hashlib
import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fakesound.errors import InputError

# best checkpoint in the folder of a run
BEST = Path("checkpoints", "best.ckpt")
# keys of the weights in files of DeiT (Vim), Lightning and other training scripts
_PLACES = ("model", "state_dict", "model_state_dict")
_AGAIN = "download it again, or give another file"


@dataclass(frozen=True)
class WeightsFile:
    """Content of a file of weights.

    Attributes:
        path: path of the file.
        tensors: weights by name in the file.
        others: names of other content: optimiser state, arguments, counters.
        settings: hyperparameters that were saved with the weights, if any.
        digest: SHA-256 of the file.
    """

    path: Path
    tensors: dict[str, Tensor]
    others: tuple[str, ...]
    settings: Mapping[str, Any]
    digest: str


def refusal(path: Path, why: str) -> InputError:
    """Return the error of a file at ``path`` that cannot be used."""
    return InputError(f"init.path={path}: {why}")


def read_weights(path: Path) -> WeightsFile:
    """Return the content of the file at ``path``, in PyTorch's format or safetensors.

    For the folder of a run, its best checkpoint is read.

    Raises:
        InputError: if the file is missing or damaged, holds no weights, or asks to run code.
    """
    if path.is_dir():
        path = path / BEST
    if not path.is_file():
        raise refusal(
            path, "no such file; check the path, which is relative to the working directory"
        )
    try:
        with path.open("rb") as file:
            start = file.read(9)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise refusal(path, f"cannot be read ({error.strerror}); check its permissions") from error
    # a safetensors file starts with the length of its JSON header
    content = _safetensors(path) if start[8:] == b"{" else _pickled(path, start.startswith(b"PK"))
    key = next((name for name in _PLACES if isinstance(content.get(name), Mapping)), None)
    inner: Mapping[str, Any] = content if key is None else content[key]
    tensors = {str(name): value for name, value in inner.items() if isinstance(value, Tensor)}
    if not tensors:
        raise refusal(path, "holds no weights; give a file with the state_dict of a model")
    others = [str(name) for name in inner if str(name) not in tensors]
    if key is not None:
        others += [str(name) for name in content if name != key]
    settings = content.get("hyper_parameters")
    return WeightsFile(
        path, tensors, tuple(others), settings if isinstance(settings, Mapping) else {}, digest
    )


def _safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            content: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise refusal(path, f"is damaged or cut short; {_AGAIN}") from error
    try:
        settings = json.loads(metadata.get("config", "null"))
    except ValueError:
        settings = None
    return content if settings is None else content | {"hyper_parameters": settings}


def _pickled(path: Path, archive: bool) -> dict[Any, Any]:
    try:
        # for the arguments of Vim's training script; a Namespace only holds values
        with torch.serialization.safe_globals([argparse.Namespace]):
            # mapped, so that the state of the optimiser, twice as large, is not loaded
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except pickle.UnpicklingError as error:
        needed = re.search(r"(?:GLOBAL|global:?) ([\w.]+\.\w+)", str(error))
        if needed is None:
            raise refusal(path, f"is not a file of weights, or damaged; {_AGAIN}") from error
        raise refusal(
            path,
            f"reading it would run code ({needed[1]}); if you trust the file, save only its "
            "state_dict and give that file",
        ) from error
    except Exception as error:  # other bytes raise many kinds of errors
        raise refusal(path, f"is not a file of weights, or cut short; {_AGAIN}") from error
    if not isinstance(content, dict):
        raise refusal(
            path, f"holds a {type(content).__name__}, not weights by name; give a state_dict"
        )
    return content
