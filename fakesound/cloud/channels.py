"""Data in S3 becomes input channels of a job; data on this machine is refused."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from fakesound.config import RunConfig
from fakesound.config.data import PARTS
from fakesound.errors import InputError

S3 = "s3://"
# folders of audio; everything else is a file, in a folder of audio or alone
FOLDERS = ("root", "extra")
WEIGHTS = "init"


def take_channels(config: RunConfig, hyperparameters: dict[str, str]) -> dict[str, str]:
    """Return the S3 address of each channel that ``config`` needs.

    In ``hyperparameters`` each address is replaced by the place that the container finds the
    channel at, which it has in ``SM_CHANNEL_NAME``.

    Raises:
        InputError: if data is on this machine, with the command that copies it.
    """
    channels: dict[str, str] = {}
    for key, value in _places(config).items():
        several = isinstance(value, list)
        found = []
        for number, place in enumerate(value if several else [value]):
            _check_remote(key, place)
            name = WEIGHTS if key == "init.path" else key.rpartition(".")[2]
            name = f"{name}_{number}" if several else name
            folder, file = _parted(key, place)
            channels[name] = folder
            found.append(f"${{oc.env:SM_CHANNEL_{name.upper()}}}{file}")
        for given in [other for other in hyperparameters if other.lstrip("+") == key]:
            del hyperparameters[given]
        hyperparameters[key] = f"[{','.join(found)}]" if several else found[0]
    return channels


def _places(config: RunConfig) -> Mapping[str, Any]:
    """Return each key that says where data is, and what it says."""
    keys = ("root", "manifest", "extra", *PARTS)
    given = {f"data.{key}": getattr(config.data, key) for key in keys}
    given["init.path"] = config.init.path
    return {key: value for key, value in given.items() if value}


def _check_remote(key: str, place: str) -> None:
    if place.startswith(S3) and len(place) > len(S3):
        return
    path = PurePath(place)
    # a manifest names audio beside it
    whole = key.rpartition(".")[2] in FOLDERS or key == "init.path"
    what, to = (path, path.name) if whole else (path.parent, path.parent.name)
    copy = "aws s3 cp" if key == "init.path" else "aws s3 cp --recursive"
    address = f"s3://BUCKET/{to}" if whole else f"s3://BUCKET/{to}/{path.name}"
    raise InputError(
        f"{key}={place}: is on this machine; `{copy} {what} s3://BUCKET/{to}` copies it, then give "
        f"{key}={address}"
    )


def _parted(key: str, place: str) -> tuple[str, str]:
    """Return the address of the channel, and what lies in it as ``/FILE``."""
    if key.rpartition(".")[2] in FOLDERS:
        return place.rstrip("/") + "/", ""
    folder, _, file = place.rpartition("/")
    # of weights this file alone, of a manifest the audio beside it too
    return (place if key == "init.path" else f"{folder}/"), f"/{file}"
