"""Options, timing, memory, tables and records that all benchmarks share.

Calls are timed in turn, round after round, in one process. Clock rates and other programs
change meanwhile: if two equal programs are timed one after the other, the second can look a third
slower.
"""

import argparse
import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.autograd.profiler import profile

from fakesound import provenance
from fakesound.errors import InputError, OutsideError
from fakesound.files import write_whole
from fakesound.models.mamba import BidirectionalMamba
from fakesound.models.scan import resolve_kernel
from fakesound.progress import console, progress_bar

Name = TypeVar("Name")
Model = TypeVar("Model", bound=nn.Module)
Record = dict[str, Any]
Call = Callable[[], object]

KERNELS = ("cpu", "triton", "mamba_ssm", "chunked")
DIRECTIONS = ("forward", "forward+backward")
# largest difference from the reference, as a share of the largest value
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2}
# idle threads of libgomp spin for a while, on cores that the next call may need
REST_SECONDS = 0.01
# getrusage includes the process that started this one; /proc/self/status does not
COMMAND = """
import atexit, importlib, os, sys
from pathlib import Path
def measured():
    peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    print("\\n", sum(os.times()[:4]), peak, file=sys.stderr)
atexit.register(measured)
importlib.import_module(f"fakesound.{sys.argv.pop(1)}").main()
"""


@dataclass(frozen=True)
class Method:
    """Number of rounds, device and precision of a benchmark.

    Attributes:
        rounds: timed calls of each backend, after a first one.
        device: device of all tensors.
        dtype: dtype of activations; parameters are float32.
    """

    rounds: int
    device: torch.device
    dtype: torch.dtype

    @property
    def extra(self) -> Record:
        """Return the keys that every record has."""
        return {"dtype": str(self.dtype).removeprefix("torch."), "rounds": self.rounds}

    def now(self) -> float:
        """Return the time in seconds, once the device has finished its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


@dataclass(frozen=True)
class Timing:
    """Seconds of a first call, which may compile, and of the calls after it."""

    first: float
    rounds: Sequence[float]

    @property
    def seconds(self) -> float:
        """Median over the rounds."""
        return median(self.rounds)


def make_parser(doc: str, rounds: int, backends: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark.

    Args:
        doc: docstring of the script.
        rounds: default of ``--rounds``.
        backends: choices of ``--backends``; empty for a script without that option.
    """
    name = Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(
        f"python -m benchmarks.{name}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="file to write the records to")
    parser.add_argument(
        "--rounds", type=at_least(1), default=rounds, help=f"timed rounds ({rounds})"
    )
    parser.add_argument("--threads", type=at_least(1), help="CPU threads (torch's default)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    if backends:
        parser.add_argument(
            "--backends",
            type=lambda text: list(dict.fromkeys(text.split(","))),
            metavar="A,B",
            help=f"any of {', '.join(backends)} (all that can run)",
        )
    return parser


def at_least(least: int) -> Callable[[str], int]:
    """Return a type for argparse: whole numbers from ``least`` on."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text}: must be a whole number of at least {least}")
        return int(text)

    return number


def numbers(least: int = 1) -> Callable[[str], list[int]]:
    """Return a type for argparse: whole numbers from ``least`` on, separated by commas."""
    return lambda text: list(dict.fromkeys(map(at_least(least), text.split(","))))


def method_of(options: argparse.Namespace) -> Method:
    """Return the method that the options name, and set the number of threads.

    Raises:
        InputError: if there is no such device.
    """
    if options.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device=cuda: torch finds no CUDA device; use --device=cpu")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    return Method(options.rounds, torch.device(options.device), getattr(torch, options.dtype))


def choose(
    named: Sequence[str] | None,
    known: Sequence[str],
    problem: Callable[[str], str | None],
    slow: Iterable[str] = (),
) -> list[str]:
    """Return the backends to time: the named ones, or all that can run.

    Args:
        named: names from the command line; None for all that can run.
        known: names of all backends.
        problem: function that returns why a backend cannot run, or None.
        slow: names of backends that run only if named.

    Raises:
        InputError: if a named backend is unknown or cannot run, or none can run.
    """
    chosen = []
    for name in known if named is None else named:
        if name not in known:
            raise InputError(f"--backends={name}: unknown; choose from {', '.join(known)}")
        reason = problem(name)
        if named is not None and reason is not None:
            raise InputError(f"--backends={name}: {reason}")
        if named is None and reason is None and name in slow:
            reason = "too slow; name it in --backends to time it"
        if reason is None:
            chosen.append(name)
        else:
            console.print(f"skipped: {name}: {reason}", highlight=False)
    if not chosen:
        raise InputError("--backends: none of them can run on this machine")
    return chosen


def kernel_problem(name: str, method: Method) -> str | None:
    """Return why a scan kernel cannot run; None if it can."""
    try:
        resolve_kernel(name, method.device, method.dtype)
    except InputError as error:
        return str(error).removeprefix(f"kernel={name}: ").split(";")[0]
    return None


def mambapy_problem(device: torch.device, needed: int) -> str | None:
    """Return why mambapy cannot run with ``needed`` bytes; None if it can."""
    if find_spec("mambapy") is None:
        return "needs mambapy; pip install mambapy"
    if needed > available_bytes(device):
        return f"would need some {needed / 2**30:.0f} GiB of memory"
    return None


def with_kernel(model: Model, kernel: str) -> Model:
    """Return a copy of ``model`` that scans with ``kernel``."""
    clone = copy.deepcopy(model)
    for module in clone.modules():
        if isinstance(module, BidirectionalMamba):
            module.kernel = kernel
    return clone


def in_turn(names: Sequence[Name], rounds: int) -> Iterator[tuple[int, Name]]:
    """Yield (round, name), each name once a round; each round starts one name later."""
    for number in range(rounds):
        start = number % len(names)
        for name in (*names[start:], *names[:start]):
            time.sleep(REST_SECONDS)
            yield number, name


def interleave(
    calls: Mapping[Name, Call], rounds: int, now: Callable[[], float]
) -> dict[Name, Timing]:
    """Time each of ``calls``: a first call, then ``rounds`` calls in turn."""

    def timed(name: Name) -> float:
        start = now()
        calls[name]()
        return now() - start

    first = {name: timed(name) for name in calls}
    seconds: dict[Name, list[float]] = {name: [] for name in calls}
    for _, name in in_turn(list(calls), rounds):
        seconds[name].append(timed(name))
    return {name: Timing(first[name], seconds[name]) for name in calls}


def peak_bytes(call: Call, device: torch.device) -> int:
    """Return the largest total size, in bytes, of the tensors that ``call`` allocates.

    On a CPU the resident set includes memory of earlier calls, since the C library keeps freed
    memory. The profiler reports each allocation of a tensor; the maximum of their running sum is
    exact.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # no message at every start and stop
    with profile(use_cpu=True, profile_memory=True, use_kineto=True) as profiler:
        call()
    assert profiler.kineto_results is not None
    changes = [
        (event.start_ns(), event.nbytes())
        for event in profiler.kineto_results.events()
        if event.name() == "[memory]"
    ]
    total = largest = 0
    # the sort is stable: changes within one tick keep their order
    for _, change in sorted(changes, key=lambda pair: pair[0]):
        total += change
        largest = max(largest, total)
    return largest


def available_bytes(device: torch.device) -> int:
    """Return the free memory in bytes; a very large number where it is unknown."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration):
        return 2**62


def difference(results: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> float:
    """Return the largest difference, as a share of the largest value of the same tensor."""
    shares = [
        (one.float() - other.float()).abs().max() / other.abs().max().clamp_min(1e-30)
        for one, other in zip(results, expected, strict=True)
    ]
    return float(torch.stack(shares).max())


@dataclass
class Session:
    """Checks and timings of one benchmark.

    Attributes:
        method: rounds, device and dtype.
        first: seconds of the first call of each (backend, direction) in this process.
        wrong: backends whose result differs from the reference, with the difference.
    """

    method: Method
    first: dict[tuple[str, str], float] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)

    def agrees(
        self,
        name: str,
        direction: str,
        call: Callable[[], Sequence[torch.Tensor]],
        expected: Sequence[torch.Tensor],
    ) -> bool:
        """Return whether the first call of a backend gives the expected result; record an error."""
        start = self.method.now()
        results = call()
        self.first[name, direction] = self.method.now() - start
        off = difference(results, expected)
        if off <= TOLERANCE[self.method.dtype]:
            return True
        self.wrong[name] = f"differs from the reference by {off:.1e} of the largest value"
        return False

    def measure(
        self,
        what: str,
        direction: str,
        letters: Mapping[str, int],
        calls: Mapping[str, Call],
        extra: Mapping[str, Any],
        against: str | None = None,
    ) -> list[Record]:
        """Return a record of each of ``calls``.

        Args:
            what: name of the benchmark.
            direction: one of ``DIRECTIONS``.
            letters: B clips, L tokens, E channels inside a block, N states of a channel.
            calls: calls to time, by backend.
            extra: further keys of each record.
            against: backend of the ratios; by default our fastest kernel on this device.
        """
        method = self.method
        timings = interleave(calls, method.rounds, method.now)
        ours = timings.get(against or resolve_kernel("auto", method.device, method.dtype))
        return [
            {
                "what": what,
                "backend": name,
                "direction": direction,
                **letters,
                "seconds": timing.seconds,
                "peak_bytes": peak_bytes(calls[name], method.device),
                "first_call_seconds": self.first.setdefault((name, direction), timing.first),
                **extra,
                **method.extra,
                "seconds_min": min(timing.rounds),
                "ratio": None if ours is None else timing.seconds / ours.seconds,
            }
            for name, timing in timings.items()
        ]


@dataclass(frozen=True)
class CommandCost:
    """Time, processor time and peak memory of a command, with the start of Python."""

    seconds: float
    processor_seconds: float
    peak_bytes: int


def measure_command(verb: str, *arguments: str, checkout: Path | None = None) -> CommandCost:
    """Run a verb of fakesound in a process of its own.

    Args:
        verb: name of the verb.
        arguments: arguments of the verb.
        checkout: folder with another version of the package; None for this one.

    Raises:
        OutsideError: with the last line that the command printed, if it fails.
    """
    environment = None if checkout is None else os.environ | {"PYTHONPATH": str(checkout)}
    command = [sys.executable, "-c", COMMAND, verb, *arguments]
    start = time.perf_counter()
    # Python looks for the package in the current folder first
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=checkout
    )
    seconds = time.perf_counter() - start
    *printed, last = done.stderr.strip().splitlines() or [""]
    if done.returncode:
        raise OutsideError(f"{verb} {' '.join(arguments)}: {(printed or [last])[-1]}")
    busy, peak = last.split()
    return CommandCost(seconds, float(busy), int(peak) * 1024)


def command_record(
    what: str, backend: str, clips: int, frames: int, costs: Sequence[CommandCost]
) -> Record:
    """Return the record of a command on ``clips`` clips of ``frames`` frames, for its rounds."""
    return {
        "what": what,
        "backend": backend,
        "direction": "forward",
        **{"B": clips, "L": frames, "E": 0, "N": 0},
        "seconds": median(cost.seconds for cost in costs),
        "peak_bytes": max(cost.peak_bytes for cost in costs),
        "first_call_seconds": None,
        "seconds_min": min(cost.seconds for cost in costs),
        "ratio": None,
        "processor_seconds": median(cost.processor_seconds for cost in costs),
        "rounds": len(costs),
        "dtype": "float32",
    }


def progress(items: Sequence[Name]) -> Iterator[Name]:
    """Yield ``items`` and advance a progress bar."""
    with progress_bar("timing") as bar:
        for done, item in enumerate(items):
            bar(done, len(items))
            yield item


def report(
    options: argparse.Namespace, records: Sequence[Record], columns: Mapping[str, str]
) -> None:
    """Print the records as a table and write them to ``--json``.

    Args:
        options: options of the script.
        records: records of all measurements.
        columns: keys to show, by title; seconds are shown in ms, bytes in MiB.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title, key in columns.items():
        text = all(isinstance(record.get(key), str) for record in records)
        table.add_column(title, justify="left" if text else "right")
    for record in records:
        table.add_row(*(_cell(key, record.get(key)) for key in columns.values()))
    output = Console() if sys.stdout.isatty() else Console(width=100)
    output.print(table)
    device = torch.device(options.device)
    machine = {
        "processor": provenance.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": str(device),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "versions": provenance.versions((*provenance.PACKAGES, "mambapy")),
        "git": provenance.git_state(),
    }
    where = machine["gpu"] or f"{machine['processor']}, {machine['threads']} threads"
    output.print(f"medians of {options.rounds} rounds; {where}", highlight=False)
    if options.json is not None:
        content = {"machine": machine, "records": list(records)}
        write_whole(options.json, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _cell(key: str, value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int) and not key.endswith("bytes"):
        return f"{value:,}"
    scale = {"seconds": 1e3, "seconds_min": 1e3, "peak_bytes": 2**-20, "flops": 1e-6}
    value = scale.get(key, 1) * value
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
