"""The site builds without broken links."""

import os
import subprocess
import sys

import pytest

from tests.docs.guide import ROOT

pytest.importorskip("material")
pytest.importorskip("mkdocstrings")


@pytest.mark.slow
def test_the_site_builds_strictly(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    site = tmp_path / "site"
    for page in ("index.html", "detect/index.html", "model_card/index.html"):
        assert (site / page).is_file()
    assert 'id="fakesound.inference.detector.Detector.detect"' in (
        site / "api" / "index.html"
    ).read_text("utf-8")
