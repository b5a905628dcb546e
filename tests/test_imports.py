"""Libraries that take seconds to import are imported only where they are needed."""

import shutil
import subprocess
import sys

import pytest

from tests.conftest import imported_by
from tests.test_compare import sweep  # noqa: F401


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        (
            "fakesound.config, fakesound.config.saved",
            {"torch", "hydra", "omegaconf", "numpy", "lightning", "wandb"},
        ),
        (
            "fakesound.config.compose, fakesound.run, fakesound.command_line",
            {"torch", "lightning", "wandb", "torchaudio", "numba"},
        ),
        ("fakesound.listen", {"torch", "matplotlib"}),
        ("fakesound.models.mamba", {"numba"}),
    ],
)
def test_modules_import_no_heavy_libraries(modules, heavy):
    code = f"import sys, {modules}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (
            ("prepare", "fakesond", "x"),
            {"torch", "scipy", "soundfile", "lightning"},
        ),
        (("export", "lost", "--to", "onnx"), {"torch"}),
    ],
)
def test_errors_come_before_heavy_imports(arguments, heavy, tmp_path):
    assert imported_by(arguments, heavy, tmp_path) == (2, set())


def test_a_folder_is_prepared_without_torch(recordings, tmp_path):
    for place in ("genuine", "fake/vocoder/world"):
        (tmp_path / place).mkdir(parents=True)
        shutil.copy(recordings / "00.wav", tmp_path / place)
    arguments = ("prepare", "folder", tmp_path, "--out=o")
    assert imported_by(arguments, {"torch"}, tmp_path) == (0, set())
    assert (tmp_path / "o" / "manifest.jsonl").is_file()


def test_a_sweep_is_compared_without_torch(sweep):  # noqa: F811
    assert imported_by(("compare", sweep, "--draws=0"), {"torch"}) == (0, set())
