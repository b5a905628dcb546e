import pytest

from .made_clips import write_clips


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """Return three genuine clips, two fakes of each, and a fake without a twin."""
    return write_clips(tmp_path_factory.mktemp("clips"))
