import warnings
from types import ModuleType

import numpy as np
import pytest

from fakesound.metrics import ClipScore, logit
from fakesound.timeline import FrameGrid, Region


def build_clip(clip_id="a", score=0.5, regions=(), frames=(), duration=1.0, **fields):
    """Return a clip that is fake if it has regions."""
    fake = bool(regions)
    values = {
        "logit": logit(score),
        "label": "fake" if fake else "genuine",
        "attack": "edit/splice" if fake else None,
        "corpus": "corpus",
        "domain": "corpus",
        "source_id": clip_id,
    }
    return ClipScore(
        clip_id=clip_id,
        score=score,
        regions=tuple(Region(float(onset), float(offset)) for onset, offset in regions),
        frame_scores=np.asarray(frames, dtype=np.float32),
        duration=duration,
        **(values | fields),
    )


def called_clip(clip_id, regions, called, duration=10.0):
    """Return a clip whose 20 ms frames in ``called`` (``(onset, offset[, score])``) are high."""
    frames = np.zeros(round(duration / 0.02))
    for onset, offset, *score in called:
        frames[round(onset / 0.02) : round(offset / 0.02)] = score or 1.0
    return build_clip(clip_id, regions=regions, frames=frames, duration=duration)


def build_scores(seed=0, pairs=10, frames=50, step=0.02, gain=1.0, levels=1_000_000, copies=1):
    """Return pairs of a fake and its twin with regions off the grid and informative scores."""
    rng = np.random.default_rng(seed)
    duration = round(frames * step - 0.003, 6)
    clips = []
    for pair in range(pairs):
        for fake in (True, False):
            regions = ()
            if fake:
                onset = round(rng.uniform(0, 0.6) * duration, 6)
                regions = ((onset, round(onset + rng.uniform(0.1, 0.4) * duration, 6)),)
            target = FrameGrid.from_seconds(step).targets(
                [Region(*region) for region in regions], frames
            )
            for copy in range(copies):
                odds = gain * (rng.normal() + fake - 0.5)
                frame_odds = gain * (rng.normal(size=frames) + 2 * target - 1)
                clips.append(
                    build_clip(
                        f"{pair}-{fake}-{copy}",
                        score=float(np.round(1 / (1 + np.exp(-odds)), 6)),
                        regions=regions,
                        frames=np.round(levels / (1 + np.exp(-frame_odds))) / levels,
                        duration=duration,
                        frame_step=step,
                        source_id=f"source {pair}",
                        attack=f"family/{pair % 3}" if fake else None,
                        domain=f"domain {pair % 2}",
                        fold=("seen" if pair % 3 else "unseen") if fake else None,
                    )
                )
    return clips


@pytest.fixture(scope="session")
def make_clip():
    return build_clip


@pytest.fixture(scope="session")
def make_scores():
    return build_scores


@pytest.fixture(scope="session")
def sed_eval() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it still imports pkg_resources
        import sed_eval

    return sed_eval
