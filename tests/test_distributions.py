"""The wheels and source distributions: size, content and licences, and each wheel on its own."""

import email
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from fakesound.provenance import software_version

ROOT = Path(__file__).parents[1]
DATA = "fakesound_training_data"
# file names of recordings
AUDIO = re.compile(r"\.(ogg|flac|wav|mp3)$")


def build(source, out):
    """Build wheel and source distribution of the project in ``source``; return their paths."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", out],
        cwd=source, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (wheel,), (source_distribution,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, source_distribution


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return build(ROOT, tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return build(ROOT / "training_data", tmp_path_factory.mktemp("data"))


def names(wheel):
    return zipfile.ZipFile(wheel).namelist()


def metadata(wheel):
    (name,) = [name for name in names(wheel) if name.endswith(".dist-info/METADATA")]
    return email.message_from_bytes(zipfile.ZipFile(wheel).read(name))


def test_the_package_is_small_and_has_no_recordings(package):
    wheel, source = package
    assert wheel.stat().st_size < 8e6
    assert source.stat().st_size < 8e6
    with tarfile.open(source) as archive:
        archived = archive.getnames()
    for listed in (names(wheel), archived):
        assert not [name for name in listed if AUDIO.search(name)]
        assert not [name for name in listed if "CC-BY" in name or "ATTRIBUTION" in name]
    weights = {name for name in names(wheel) if name.endswith((".safetensors", ".onnx"))}
    assert weights == {f"fakesound/pretrained/detector.{end}" for end in ("safetensors", "onnx")}
    assert {"fakesound/conf/config.yaml", "hydra_plugins/fakesound_ray.py"} <= {*names(wheel)}


def test_the_training_data_are_complete(data):
    wheel, _ = data
    files = [
        path.relative_to(ROOT / "training_data").as_posix()
        for folder in ("embedded", "attack_weights")
        for path in (ROOT / "training_data" / folder).rglob("*")
        if path.is_file()
    ]
    content = {name for name in names(wheel) if ".dist-info/" not in name}
    assert content == {f"{DATA}/{name}" for name in [*files, "__init__.py"]}


def test_licences_are_those_of_the_content(package, data):
    assert metadata(package[0])["License-Expression"] == "Apache-2.0 AND BSD-3-Clause"
    assert metadata(package[0]).get_all("License-File") == [
        "LICENSE", "fakesound/report/wavesurfer/LICENSE",
    ]  # fmt: skip
    manifest = (ROOT / "training_data" / "embedded" / "manifest.jsonl").read_text("utf-8")
    licences = {json.loads(line)["license"] for line in manifest.splitlines()}
    expression = metadata(data[0])["License-Expression"].split(" AND ")
    assert set(expression) == licences | {"Apache-2.0"}
    assert set(metadata(data[0]).get_all("License-File")) == {
        "LICENSE", "embedded/ATTRIBUTION.md",
        *(f"embedded/LICENSES/{licence}.txt" for licence in licences),
    }  # fmt: skip
    assert (ROOT / "LICENSE").read_bytes() == (ROOT / "training_data" / "LICENSE").read_bytes()


def test_wheel_and_source_distribution_have_the_version_of_the_build(package, tmp_path):
    wheel, source = package
    version = metadata(wheel)["Version"]
    assert version == software_version()
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    assert f"Version: {version}\n" in (folder / "PKG-INFO").read_text("utf-8")
    # there is no git in it
    again, _ = build(folder, tmp_path / "again")
    assert metadata(again)["Version"] == version


def test_an_installation_shows_the_version_of_its_wheel(package, python):
    done = python("import fakesound\nprint(fakesound.__version__)")
    assert done.stdout == f"{metadata(package[0])['Version']}\n"


@pytest.fixture(scope="module")
def python(package, tmp_path_factory):
    """Return a function that runs code with the unpacked wheel."""
    folder = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(package[0]).extractall(folder)

    def run(code, *arguments, path=()):
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (folder, *path)))},
            capture_output=True, text=True,
        )  # fmt: skip

    return run


# training data that are installed in the environment of the tests are hidden
WITHOUT_DATA = f"""
import sys
sys.modules[{DATA!r}] = None
from fakesound.__main__ import main
main()
"""


def test_detection_works_without_training_data(python):
    done = python(WITHOUT_DATA, "detect", ROOT / "docs" / "example.flac", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"][0]["verdict"] == "fake"


@pytest.mark.parametrize("arguments", [("run", "experiment=mt_vim"), ("forge", "embedded", "out")])
def test_what_needs_training_data_shows_how_to_install_them(python, arguments):
    done = python(WITHOUT_DATA, *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install ./training_data" in done.stderr
    assert "#subdirectory=training_data" in done.stderr


def test_installed_training_data_are_found(python, data, tmp_path):
    zipfile.ZipFile(data[0]).extractall(tmp_path)
    code = """
from fakesound.attacks.neural.rendering import read_stages
from fakesound.forging import embedded_clips
print(embedded_clips()[0].location, "late" in read_stages("neural_rvq"))
"""
    done = python(code, path=[tmp_path])
    assert done.returncode == 0, done.stderr
    location, read = done.stdout.split()
    assert Path(location).is_relative_to(tmp_path / DATA)
    assert read == "True"
