"""What a benchmark finds out: records, the machine they are of, and the file with both."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from fakesound import provenance
from fakesound.files import write_whole

DIRECTIONS = ("forward", "forward+backward")
PACKAGES = (*provenance.PACKAGES, "triton", "mamba-ssm", "mambapy")


@dataclass(frozen=True)
class Record:
    """One measurement.

    Attributes:
        what: was measured: "scan", "model", "train step", ...
        backend: that did it.
        direction: one of ``DIRECTIONS``.
        B, L, E, N: clips, tokens, channels inside a block, states of a channel.
        seconds: median over the rounds.
        peak_bytes: see `fakesound.benchmarks.memory`; None where it is not known.
        first_call_seconds: of the first such call in the process, which compiles what is not yet
            compiled; None where it was not taken.
        extra: keys of one kind of benchmark.
    """

    what: str
    backend: str
    direction: str
    B: int
    L: int
    E: int
    N: int
    seconds: float
    peak_bytes: int | None = None
    first_call_seconds: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return the record as one flat object."""
        values = asdict(self)
        extra: dict[str, Any] = values.pop("extra")
        return values | extra


def machine(device: torch.device) -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    return {
        "processor": provenance.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": str(device),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "versions": provenance.versions(PACKAGES),
        "git": provenance.git_state(),
    }


def write_records(path: Path, device: torch.device, records: Sequence[Record]) -> None:
    """Write ``records`` to ``path`` as JSON, whole or not at all."""
    content = {"machine": machine(device), "records": [record.plain() for record in records]}
    write_whole(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
