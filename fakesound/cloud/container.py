"""What SageMaker tells a training container, and the run that it means.

The files and variables are those of the SageMaker developer guide, "How Amazon SageMaker Provides
Training Information"; the ``SM_`` variables those of AWS's sagemaker-training toolkit, which count
where they are set.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakesound.cloud.grammar import plain, quoted
from fakesound.errors import InputError

ROOT = Path("/opt/ml")
# of SageMaker's own among the hyperparameters
INTERNAL = ("sagemaker_", "_tuning_")
PORT = 29_500
# by the name of a channel, numbers at its end aside: what it is, and which file of it
CHANNELS = {
    "root": ("data.root", None),
    "extra": ("data.extra", None),
    "manifest": ("data.manifest", "*.jsonl"),
    "train": ("data.train", "*.jsonl"),
    "validation": ("data.validation", "*.jsonl"),
    "test": ("data.test", "*.jsonl"),
    "init": ("init.path", "*"),
}
LISTS = ("data.extra", "data.train", "data.validation", "data.test")


@dataclass(frozen=True)
class Container:
    """What a training container was told.

    Attributes:
        hyperparameters: overrides of the configuration, by key, as text.
        hosts: names of all machines of the job, the first one leading.
        host: name of this one.
        interface: network interface that the machines reach each other by; None if not told.
        gpus: of this machine.
        channels: folders of data by the name of their channel.
        checkpoints: folder that SageMaker keeps in S3, and brings back after an interruption.
        results: folder for what else there is to keep.
        model: folder for the trained model.
        failure: file for the reason of a failure.
    """

    hyperparameters: Mapping[str, str]
    hosts: tuple[str, ...]
    host: str
    interface: str | None
    gpus: int
    channels: Mapping[str, Path]
    checkpoints: Path
    results: Path
    model: Path
    failure: Path

    @property
    def leads(self) -> bool:
        """Whether this is the machine that writes."""
        return self.host == self.hosts[0]


def read_container(root: Path, environment: Mapping[str, str]) -> Container:
    """Return what is told by the files under ``root`` and the variables of ``environment``.

    Raises:
        InputError: if a file is not what SageMaker writes.
    """
    resources = _read(root, "resourceconfig")
    inputs = _read(root, "inputdataconfig")
    told = json.loads(environment.get("SM_HPS") or "{}") | _read(root, "hyperparameters")
    hosts = json.loads(environment.get("SM_HOSTS") or "null") or resources.get("hosts")
    host = environment.get("SM_CURRENT_HOST") or resources.get("current_host")
    hosts = sorted(hosts or [host or "localhost"], key=lambda name: (len(name), name))
    channels = {name: root / "input" / "data" / name for name in inputs}
    for variable, place in environment.items():
        if variable.startswith("SM_CHANNEL_"):
            lower = variable.removeprefix("SM_CHANNEL_").lower()
            name = next((name for name in channels if name.lower() == lower), lower)
            channels[name] = Path(place)
    interface = resources.get("network_interface_name")
    gpus = environment.get("SM_NUM_GPUS")
    return Container(
        hyperparameters={
            key: _as_text(key, value) for key, value in told.items() if not key.startswith(INTERNAL)
        },
        hosts=tuple(hosts),
        host=host or hosts[0],
        interface=environment.get("SM_NETWORK_INTERFACE_NAME") or interface,
        gpus=int(gpus) if gpus else count_gpus(),
        channels=channels,
        checkpoints=root / "checkpoints",
        results=Path(environment.get("SM_OUTPUT_DATA_DIR") or root / "output" / "data"),
        model=Path(environment.get("SM_MODEL_DIR") or root / "model"),
        failure=root / "output" / "failure",
    )


def overrides_of(container: Container) -> list[str]:
    """Return the overrides that hyperparameters and channels mean, hyperparameters first.

    Raises:
        InputError: if a channel does not hold what its name says.
    """
    given = [key.lstrip("+") for key in container.hyperparameters]
    words = [
        # a deletion has no value
        key if key.startswith("~") and not value else f"{key}={value}"
        for key, value in container.hyperparameters.items()
    ]
    return [*words, *_of_channels(container, set(given))]


def distributed_overrides(container: Container, given: Sequence[str]) -> list[str]:
    """Return the overrides that make a run use all machines and GPUs, as far as not given."""
    wanted = {"trainer.devices": max(1, container.gpus), "trainer.num_nodes": len(container.hosts)}
    if set(wanted.values()) == {1}:
        return []
    keys = {word.partition("=")[0].lstrip("+") for word in given}
    return [f"++{key}={value}" for key, value in wanted.items() if key not in keys]


def launcher(container: Container, devices: object) -> list[str]:
    """Return what Python starts a run with: torchrun where there are several processes, else none.

    The first machine is rank 0, the one that writes.

    Args:
        container: of one of the machines.
        devices: what ``trainer.devices`` is: a number, or a word for all GPUs.
    """
    given = isinstance(devices, int) and devices > 0
    processes = devices if given else max(1, container.gpus)
    if len(container.hosts) == processes == 1:
        return []
    address = container.hosts[0] if len(container.hosts) > 1 else "127.0.0.1"
    return [
        "-m",
        "torch.distributed.run",
        f"--nnodes={len(container.hosts)}",
        f"--node-rank={container.hosts.index(container.host)}",
        f"--nproc-per-node={processes}",
        f"--master-addr={address}",
        f"--master-port={PORT}",
    ]


def variables(container: Container) -> dict[str, str]:
    """Return environment variables for the run: where channels are, and the network to use."""
    found = {f"SM_CHANNEL_{name.upper()}": str(at) for name, at in container.channels.items()}
    if container.interface is not None and len(container.hosts) > 1:
        found |= dict.fromkeys(("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME"), container.interface)
    return found


def count_gpus() -> int:
    """Return how many GPUs nvidia-smi lists; 0 without it."""
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in done.stdout.splitlines())


def _of_channels(container: Container, given: set[str]) -> list[str]:
    """Return the overrides that channels mean by their names, but for keys that are given."""
    found: dict[str, list[str]] = {}
    for name, folder in sorted(container.channels.items()):
        kind = name.lower().rstrip("0123456789").rstrip("_")
        key, pattern = CHANNELS.get(kind, (None, None))
        if key is not None and key not in given:
            place = folder if pattern is None else _only(folder, pattern)
            found.setdefault(key, []).append(quoted(str(place)))
    return [
        f"{key}=[{','.join(places)}]" if key in LISTS else f"{key}={places[-1]}"
        for key, places in found.items()
    ]


def _only(folder: Path, pattern: str) -> Path:
    files = sorted(path for path in folder.glob(pattern) if path.is_file())
    named = [path for path in files if path.name == "manifest.jsonl"]
    if len(named or files) == 1:
        return (named or files)[0]
    raise InputError(
        f"channel {folder.name}: holds {len(files)} files {pattern}; one is needed, or say which "
        f"by a hyperparameter, as data.manifest={folder}/NAME.jsonl"
    )


def _read(root: Path, name: str) -> dict[str, Any]:
    path = root / "input" / "config" / f"{name}.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: must hold a JSON object")
    return found


def _as_text(key: str, value: object) -> str:
    """Return a hyperparameter as Hydra reads it.

    SageMaker hands over text; its SDK makes JSON of values before, so that text has quotes in it.
    """
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        inner = json.loads(value)
    except ValueError:
        return value
    return plain(key, inner) if isinstance(inner, str) else value
