"""Detectors on the Hugging Face hub: the safetensors file and its card; an extra, ``[hub]``."""

import importlib
import tempfile
from pathlib import Path
from types import ModuleType

from fakesound.errors import InputError
from fakesound.scoring.checkpoint import read_checkpoint, write_safetensors

FILE = "detector.safetensors"


def pull(repository: str, revision: str | None = None) -> Path:
    """Return the file of the detector in ``repository``, "owner/name", fetched or kept from before.

    Raises:
        InputError: if the extra is not installed, or there is no such detector.
    """
    hub = _hub()
    try:
        return Path(hub.hf_hub_download(repository, FILE, revision=revision))
    except (hub.errors.HfHubHTTPError, hub.errors.HFValidationError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(f"{repository}: its {FILE} cannot be fetched ({first})") from error


def push(path: str | Path, repository: str, card: str, private: bool = True) -> str:
    """Put the detector at ``path`` and its ``card`` into ``repository``; return its address.

    Args:
        path: a run, a checkpoint, or an exported safetensors file.
        repository: "owner/name"; made if it is not there.
        card: the text of its README.md.
        private: whether a new repository is.

    Raises:
        InputError: if the extra is not installed, or ``path`` is no detector.
    """
    hub, checkpoint = _hub(), read_checkpoint(path)
    checkpoint.detector()  # what does not make one is not passed on
    with tempfile.TemporaryDirectory(prefix="fakesound-") as folder:
        write_safetensors(Path(folder, FILE), checkpoint)
        Path(folder, "README.md").write_text(card, encoding="utf-8")
        address = hub.create_repo(repository, private=private, exist_ok=True)
        hub.upload_folder(repo_id=repository, folder_path=folder, commit_message="A detector")
    return str(address)


def _hub() -> ModuleType:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError:
        raise InputError(
            "the hub needs huggingface_hub; install it with: pip install 'fakesound[hub]'"
        ) from None
