import numpy as np
import pytest
from threadpoolctl import threadpool_limits

RATE = 16_000


def build_sound(seed=0, seconds=1.0, rate=RATE):
    """Return bursts of a harmonic tone over noise, which have pitch, onsets and a background."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = rng.uniform(110, 220)
    tone = sum(np.sin(2 * np.pi * pitch * k * time + k) / k for k in range(1, 8))
    knots = np.arange(-1, seconds + 1, 0.04)
    level = np.interp(time, knots, rng.choice([0.05, 1.0], len(knots)))
    sound = 0.12 * tone * level + 0.02 * (0.2 + level) * rng.standard_normal(len(time))
    return sound.astype(np.float32)


@pytest.fixture(scope="session")
def make_sound():
    return build_sound


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Use one thread: more do not speed up small matrices and are slow on busy cores."""
    with threadpool_limits(1):
        yield
