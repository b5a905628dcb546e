from tests.models.scan.conftest import one_thread  # noqa: F401  # of every test here too
