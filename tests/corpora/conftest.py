"""Small trees in the layout of a data set."""

import numpy as np
import pytest
import soundfile

from fakesound.corpora.check import check_rows


def read_clips(corpus, root):
    """Return the clips of a valid data set, and the remarks on them."""
    listing = corpus.read(root)
    checked = check_rows(listing.rows)
    assert (listing.problems, checked.missing, checked.wrong) == ([], [], [])
    return checked.clips, [*listing.remarks, *checked.remarks]


@pytest.fixture
def audio(tmp_path):
    """Write a short file at a path below the root, and return the path."""

    def audio(name, seconds=10.0, rate=1_000):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # values of their own, so that no two files are alike
        samples = np.random.default_rng(len(name)).normal(0, 0.1, round(seconds * rate))
        soundfile.write(path, samples, rate)
        return path

    return audio


@pytest.fixture
def text(tmp_path):
    """Write a text file at a path below the root, and return the path."""

    def text(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    return text
