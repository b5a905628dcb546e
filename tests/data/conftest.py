import pytest

from .made_clips import write_clips


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """Three genuine clips; of each one fake throughout and one fake in gaps; one without twin."""
    return write_clips(tmp_path_factory.mktemp("clips"))
