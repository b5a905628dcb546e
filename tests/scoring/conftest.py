from tests.metrics.conftest import make_clip, make_scores

__all__ = ["make_clip", "make_scores"]
