"""How many processes train, as far as the configuration tells."""

from collections.abc import Mapping
from typing import Any

from fakesound.config.checks import one_of
from fakesound.errors import InputError


def processes_on_host(trainer: Mapping[str, Any]) -> int | None:
    """Return how many processes each host runs; None where that depends on the host.

    Raises:
        InputError: if ``trainer.devices`` is no number or list of devices.
    """
    devices = trainer.get("devices", 1)
    wrong = InputError(
        f"trainer.devices={devices}: must be a number of processes, a list of GPUs as in [0,1], or "
        "auto"
    )
    if isinstance(devices, bool):
        raise wrong
    if isinstance(devices, str) and devices != "auto":
        parts = devices.split(",")
        if not all(part.strip().lstrip("-").isdecimal() for part in parts):
            raise wrong
        devices = int(devices) if len(parts) == 1 else parts
    if devices in ("auto", -1):
        return None
    count = devices if isinstance(devices, int) else len(devices)
    if count < 1:
        raise wrong
    return count


def processes_in_all(trainer: Mapping[str, Any]) -> int | None:
    """Return how many processes all hosts run; None where that depends on them."""
    here = processes_on_host(trainer)
    return None if here is None else here * int(trainer.get("num_nodes", 1))


def check_trainer(trainer: Mapping[str, Any], batch_size: int) -> None:
    """Check that processes can share batches of ``batch_size`` crops.

    Raises:
        InputError: if they cannot.
    """
    one_of("trainer.strategy", str(trainer.get("strategy", "auto")), ("auto", "ddp"))
    nodes = trainer.get("num_nodes", 1)
    if isinstance(nodes, bool) or not isinstance(nodes, int) or nodes < 1:
        raise InputError(f"trainer.num_nodes={nodes}: must be a number of hosts, at least 1")
    count = processes_in_all(trainer)
    if count is not None:
        check_batch(batch_size, count)


def check_batch(batch_size: int, count: int) -> None:
    """Check that ``count`` processes can share a batch, fakes and their twins together.

    Raises:
        InputError: if they cannot.
    """
    if count > 1 and batch_size % (2 * count):
        raise InputError(
            f"data.batch_size={batch_size}: {count} processes cannot share its pairs of crops "
            f"evenly; use a multiple of {2 * count}"
        )
