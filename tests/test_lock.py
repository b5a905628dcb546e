"""requirements.lock has versions for `make install LOCK=requirements.lock`."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = (("linux", "Linux"), ("darwin", "Darwin"), ("win32", "Windows"))


def locked(python, machine):
    """Return the version of each package in the lock for a Python and a machine."""
    here = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": machine[0],
        "platform_system": machine[1],
        "platform_machine": "x86_64",
    }
    rows = (ROOT / "requirements.lock").read_text().splitlines()
    parsed = [Requirement(row) for row in rows if not row.startswith("#")]
    result = [row for row in parsed if row.marker is None or row.marker.evaluate(here)]
    versions = {row.name.lower().replace("_", "-"): row.specifier for row in result}
    assert len(versions) == len(result)
    return {name: str(each).removeprefix("==") for name, each in versions.items()}


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("machine", MACHINES, ids=str)
def test_the_lock_satisfies_what_the_package_asks_for(python, machine):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"]]
    for name in ("dev", "sweep", "export", "bench", "slurm", "serve"):
        asked += extras[name]
    versions = locked(python, machine)
    for text in asked:
        need = Requirement(text)
        if need.marker is None or need.marker.evaluate({"platform_system": machine[1]}):
            assert need.specifier.contains(versions[need.name.lower().replace("_", "-")]), text
