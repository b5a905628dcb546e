"""Recordings for the forge, and functions that run commands."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

RATE = 16_000
# small enough for seconds; every part of a run is in it
SMALL = (
    "experiment=smoke",
    "data.attacks=[vocoder/quantised_phase,codec/adpcm,inpainting/context_noise,edit/copy_move]",
    "split.held_out=vocoder/quantised_phase",
    "split.inner_held_out=codec/adpcm",
    "data.forge_workers=1",
)


@pytest.fixture(scope="session")
def recordings(tmp_path_factory) -> Path:
    """Return a folder of 16 short recordings, each of its own colour."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    for number in range(16):
        time = np.arange(int(1.6 * RATE)) / RATE
        tone = sum(
            np.sin(2 * np.pi * rng.uniform(100, 4000) * time + rng.uniform(0, 6)) for _ in range(4)
        )
        swell = 0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(1, 4) * time)
        noise = rng.standard_normal(len(time))
        audio = 0.1 * swell * tone + 10 ** rng.uniform(-3, -1.5) * noise
        sf.write(folder / f"{number:02}.wav", audio, RATE, subtype="PCM_16")
    return folder


@pytest.fixture(scope="session")
def small(recordings, tmp_path_factory) -> tuple[str, ...]:
    """Return overrides of a run of seconds, prepared data shared among tests of a process."""
    prepared = tmp_path_factory.mktemp("prepared")
    return (*SMALL, f"data.root={recordings}", f"data.prepared={prepared}")


@pytest.fixture(scope="session")
def finished_run(small, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Return the folder of a short run, which tests only read, and its finished process."""
    folder = tmp_path_factory.mktemp("finished")
    return folder / "out", succeed("run", *small, "hydra.run.dir=out", folder=folder)


@pytest.fixture
def finished(finished_run) -> Path:
    """Return the folder of a run of seconds."""
    return finished_run[0]


@pytest.fixture
def run_verb(monkeypatch, capfd):
    """Return a function that runs a verb in this process: exit code, stdout and stderr."""

    def run(verb: str, *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [f"fakesound {verb}", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            importlib.import_module(f"fakesound.{verb}").main()
        return stopped.value.code, *capfd.readouterr()

    return run


def command(module: str, *arguments: str) -> list[str]:
    """Return the command line of a verb."""
    return [sys.executable, "-m", f"fakesound.{module}", *arguments]


def fakesound(
    module: str, *arguments: str, folder: Path, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run a verb in ``folder`` as a user would, and return the finished process."""
    environment = {**os.environ, "WANDB_MODE": "offline", "COLUMNS": "100"}
    return subprocess.run(
        command(module, *arguments),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def imported_by(
    arguments: Sequence[object], names: Collection[str], folder: Path | None = None
) -> tuple[int, set[str]]:
    """Run a verb in a new process; return its exit code and those of ``names`` that it imported."""
    verb, *rest = map(str, arguments)
    code = (
        f"import sys\nfrom fakesound import {verb}\n"
        f"try: {verb}.main()\n"
        f"except SystemExit as end: print(end.code or 0, *{{*{sorted(names)}}} & {{*sys.modules}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *rest], capture_output=True, text=True, cwd=folder, check=True
    )
    exit_code, *imported = done.stdout.splitlines()[-1].split()
    return int(exit_code), set(imported)


def succeed(
    module: str, *arguments: str, folder: Path, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run a verb in ``folder`` as `fakesound` does; fail unless its exit code is 0."""
    done = fakesound(module, *arguments, folder=folder, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON Lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_metrics(folder: Path) -> dict[str, Any]:
    """Return the content of ``metrics.json`` of a run."""
    return json.loads((folder / "metrics.json").read_text())


def read_results(folder: Path) -> dict[str, Any]:
    """Return all of ``metrics.json`` that must repeat from run to run."""
    result = read_metrics(folder)
    result.pop("provenance")
    return result
