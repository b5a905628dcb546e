"""The CPU kernel beside OpenCV and in a read-only folder."""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import fakesound

STEP = """
import torch
from fakesound.models.mamba import BidirectionalMamba
from fakesound.models.scan import resolve_kernel

assert resolve_kernel("auto", "cpu") == "cpu"
torch.manual_seed(0)
tokens = torch.randn(3, 40, 16)
results = []
for threads in (1, 2):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    mixer = BidirectionalMamba(16)
    mixer(tokens).square().sum().backward()
    results.append([parameter.grad for parameter in mixer.parameters()])
names = [name for name, _ in mixer.named_parameters()]
for name, one, other in zip(names, *results, strict=True):
    assert one.isfinite().all() and torch.allclose(one, other, rtol=1e-4, atol=1e-6), name
print("done")
"""
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def step(code=STEP, **options):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, **options
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"
    return done.stderr


@pytest.mark.parametrize("first", ["cv2", "torch"])
def test_kernels_work_beside_opencv(first):
    second = {"cv2": "torch", "torch": "cv2"}[first]
    step(f"import {first}, {second}\ncv2.setNumThreads(2)\n{STEP.replace('import torch', '', 1)}")


@pytest.fixture
def locked_install():
    """Yield a folder with the package that the process cannot write to."""
    folder = Path(tempfile.mkdtemp())
    try:
        package = folder / "fakesound"
        source = Path(fakesound.__file__).parent
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, package, ignore=skipped)
        paths = [folder, *folder.rglob("*")]
        for path in paths:
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield folder
    finally:
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755)
        shutil.rmtree(folder)


def obey_permissions():
    """Make permissions apply to root in the following programs."""
    if os.geteuid() == 0 and ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0):
        raise OSError("cannot drop a capability")


@pytest.mark.skipif(sys.platform != "linux", reason="drops a capability of Linux")
def test_kernels_work_in_a_read_only_installation(locked_install):
    environment = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "HOME")}
    environment |= {"PYTHONPATH": str(locked_install), "HOME": str(locked_install / "none")}
    where = f"import fakesound; assert {str(locked_install)!r} in fakesound.__file__\n"
    refused = f"""
try:
    open({str(locked_install / "fakesound" / "new")!r}, "w")
except PermissionError:
    pass
else:
    raise AssertionError("not locked")
"""
    step(
        where + refused + STEP,
        env=environment,
        cwd=locked_install,
        preexec_fn=obey_permissions,
    )
    assert not list(locked_install.rglob("__pycache__"))
