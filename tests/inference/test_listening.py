from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakesound.data.dataset import window_starts
from fakesound.inference.detection import Detection
from fakesound.inference.listening import Listening
from fakesound.scoring.clip_score import stitch
from fakesound.timeline import FrameGrid

GRID, RATE, SECONDS = FrameGrid(), 1_000, 0.2
FRAME = GRID.samples(RATE)
WINDOW = GRID.count(SECONDS)


def hear(windows):
    """Something of each frame that depends on the whole window."""
    frames = windows.reshape(len(windows), WINDOW, FRAME).mean(2)
    return {"frame_logits": (frames + windows.std(1, keepdims=True)).astype(np.float32)}


def conclude(outputs, duration):
    return Detection("genuine", 0.0, (), duration, GRID.step, outputs["frame_logits"])


def heard(audio, cuts=(), batch=3):
    listening = Listening(hear, conclude, GRID, RATE, SECONDS, batch)
    given_out = [listening.push(audio[a:b]) for a, b in pairwise([0, *cuts, len(audio)])]
    return listening.finish(), [part for part in given_out if part is not None]


def at_once(audio):
    """As evaluation does it, with the whole recording at hand."""
    total = -(-len(audio) // FRAME)
    padded = np.pad(audio, (0, max(total, WINDOW) * FRAME - len(audio)))
    starts = window_starts(total, WINDOW, WINDOW // 2)
    windows = np.stack([padded[s * FRAME : (s + WINDOW) * FRAME] for s in starts])
    values = hear(windows)["frame_logits"]
    return stitch([v[: total - s] for v, s in zip(values, starts, strict=True)], starts, total)


@given(st.integers(1, 8_000), st.lists(st.integers(0, 8_000), max_size=12), st.integers(0, 99))
@settings(deadline=None)
def test_parts_of_any_size_are_heard_as_the_whole_at_once(samples, cuts, seed):
    audio = np.random.default_rng(seed).normal(0, 1, samples).astype(np.float32)
    detection, _ = heard(audio, sorted(cut for cut in cuts if cut <= samples))
    assert detection.frame_scores == pytest.approx(at_once(audio), abs=1e-5)
    assert detection.duration == pytest.approx(samples / RATE)


@given(st.integers(3_000, 9_000), st.integers(50, 900))
@settings(deadline=None)
def test_scores_given_out_on_the_way_are_final(samples, size):
    audio = np.random.default_rng(0).normal(0, 1, samples).astype(np.float32)
    detection, parts = heard(audio, range(size, samples, size))
    place = 0
    for part in parts:
        assert round(part.onset / GRID.step) == place
        final = 1 / (1 + np.exp(-detection.frame_scores[place : place + len(part.scores)]))
        assert part.scores == pytest.approx(final, abs=1e-5)
        place += len(part.scores)
    assert place <= len(detection.frame_scores)


def test_a_long_recording_is_forgotten_as_it_goes():
    listening = Listening(hear, conclude, GRID, RATE, SECONDS)
    for _ in range(400):
        listening.push(np.ones(500, np.float32))
    assert len(listening.held) < 4 * WINDOW * FRAME
    assert len(listening.waiting) < 17


def test_nothing_cannot_be_concluded():
    with pytest.raises(ValueError, match="no samples"):
        Listening(hear, conclude, GRID, RATE, SECONDS).finish()
