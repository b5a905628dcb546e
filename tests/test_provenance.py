"""The version names the commit; the distributions keep it."""

import importlib.util
import os
import shutil
import subprocess
import sys

import pytest

import fakesound
from fakesound import provenance
from fakesound.provenance import RELEASE


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """Return a function that runs git in a small repository with this module, without a commit."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    package = tmp_path / "fakesound"
    package.mkdir()
    shutil.copy(provenance.__file__, package)
    (package / "__init__.py").touch()

    def git(*arguments):
        name = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        done = subprocess.run(
            ["git", *name, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    return git


def version_in(folder):
    """Return the version by the module in ``folder``, which nothing has cached."""
    spec = importlib.util.spec_from_file_location(
        "copied_provenance", folder / "fakesound" / "provenance.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.software_version()


def test_a_clone_adds_its_commit_and_marks_changes(clone, tmp_path):
    clone("init", "-q")
    clone("add", ".")
    clone("commit", "-qm", "first")
    commit = clone("rev-parse", "HEAD")
    expected = f"{RELEASE}+g{commit[:12]}"
    assert version_in(tmp_path) == expected
    (tmp_path / "untracked.txt").touch()
    assert version_in(tmp_path) == expected
    (tmp_path / "fakesound" / "__init__.py").write_text("# changed\n")
    assert version_in(tmp_path) == f"{expected}.dirty"


def test_other_copies_have_the_plain_version(clone, tmp_path):
    assert version_in(tmp_path) == RELEASE
    # a repository without a commit, and one that does not track the package
    clone("init", "-q")
    assert version_in(tmp_path) == RELEASE
    (tmp_path / "other.txt").touch()
    clone("add", "other.txt")
    clone("commit", "-qm", "first")
    assert version_in(tmp_path) == RELEASE


def test_an_installed_copy_has_the_version_of_its_metadata(clone, tmp_path):
    # in another repository, as in an environment inside a checkout
    clone("init", "-q")
    installed = tmp_path / "fakesound-0.1.0+g0123456789ab.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Name: fakesound\nVersion: 0.1.0+g0123456789ab\n")
    assert version_in(tmp_path) == "0.1.0+g0123456789ab"


def test_all_records_have_the_same_version():
    from fakesound.inference.record import Record

    version = provenance.software_version()
    assert fakesound.__version__ == version == provenance.versions()["fakesound"]
    assert Record("default", "", "", "onnx", 0.5, 0.5, 0.5, 0.5, "").fakesound == version
    done = subprocess.run(
        [sys.executable, "-m", "fakesound", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"fakesound {version} (")


def test_the_imports_of_detect_start_no_program():
    code = """
import subprocess
def refuse(*arguments, **options):
    raise AssertionError(arguments)
subprocess.Popen.__init__ = refuse
import fakesound.detect, fakesound.inference, fakesound.inference.sharded, fakesound.inference.page
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_misspelt_name_of_the_package_is_an_error():
    with pytest.raises(AttributeError, match="__versoin__"):
        fakesound.__versoin__  # noqa: B018
