"""Provenance of results: code, versions, machine and settings."""

import hashlib
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "fakesound",
    "torch",
    "torchaudio",
    "torchmetrics",
    "lightning",
    "numpy",
    "scipy",
    "numba",
    "soundfile",
    "safetensors",
    "hydra-core",
    "omegaconf",
    "pyworld-prebuilt",
    "pycodec2",
    "triton",
    "mamba-ssm",
    "causal-conv1d",
    "wandb",
)
# environment variables that affect the number of threads and the precision
SETTINGS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
)


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of Python and of installed ``packages``."""
    installed = {"python": platform.python_version()}
    for name in packages:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def git_state() -> dict[str, str | bool | None] | None:
    """Return the state of the git checkout of this package; None without a checkout.

    Returns:
        ``commit``; ``changed``, whether tracked files differ from it; ``diff``, a digest of the
        differences, or None.
    """
    folder = Path(__file__).resolve().parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=10,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # an installed package may be inside another repository
    if git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "-uno")
    if commit is None:
        return None
    diff = git("diff", "HEAD", "--binary") if changes else None
    return {"commit": commit, "changed": bool(changes), "diff": diff and _digest(diff.encode())}


def code_hash() -> str:
    """Return a digest of the Python files of the package."""
    folder = Path(__file__).resolve().parent
    rows = [
        f"{path.relative_to(folder).as_posix()} {_digest(path.read_bytes())}"
        for path in sorted(folder.rglob("*.py"))
    ]
    return _digest("\n".join(rows).encode())


def usable_cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine() -> str:
    """Return the names of processor and operating system."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name}, {platform.system()}"


def process() -> dict[str, Any]:
    """Return command, code and environment of this process."""
    arguments = sys.argv[1:]
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    start = ["python", "-m", main.name] if main is not None else [Path(sys.argv[0]).name]
    return {
        "command": shlex.join([*start, *arguments]),
        "code": code_hash(),
        "platform": platform.platform(),
        "cores": usable_cores(),
        "environment": {name: os.environ[name] for name in SETTINGS if name in os.environ},
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
