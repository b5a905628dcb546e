"""Provenance of results: code, versions, machine and settings."""

import hashlib
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

# of a build without git; a build or a run from a clone adds its commit
RELEASE = "0.1.0"
PACKAGES = (
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


@cache
def software_version() -> str:
    """Return the version of this package, with the commit that it was built or is run from.

    In a clone, ``0.1.0+gCOMMIT``, with ``.dirty`` if tracked files differ from the commit; the
    build writes it to the metadata of the wheel. Runs git, so it is called when it is needed.
    """
    folder = Path(__file__).resolve().parents[1]
    if (folder / ".git").exists() and (checkout := _checkout()) is not None:
        commit, changed = checkout
        return f"{RELEASE}+g{commit[:12]}{'.dirty' if changed else ''}"
    # metadata elsewhere may be those of another copy of the package
    for installed in distributions(name="fakesound", path=[str(folder)]):
        return installed.version
    return RELEASE


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of Python, of this package and of installed ``packages``."""
    installed = {"python": platform.python_version(), "fakesound": software_version()}
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
    checkout = _checkout()
    if checkout is None:
        return None
    commit, changed = checkout
    diff = _git("diff", "HEAD", "--binary") if changed else None
    return {"commit": commit, "changed": changed, "diff": diff and _digest(diff.encode())}


def _checkout() -> tuple[str, bool] | None:
    """Return the commit of the checkout, and whether tracked files differ from it."""
    # an installed package may be inside another repository
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "-uno")
    return None if commit is None else (commit, bool(changes))


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).resolve().parent), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


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
    # the script sets argv[0] to "fakesound VERB"
    start = ["python", "-m", main.name] if main is not None else Path(sys.argv[0]).name.split()
    return {
        "command": shlex.join([*start, *arguments]),
        "code": code_hash(),
        "platform": platform.platform(),
        "cores": usable_cores(),
        "environment": {name: os.environ[name] for name in SETTINGS if name in os.environ},
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
