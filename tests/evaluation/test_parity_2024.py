import numpy as np
import pytest

from fakesound.metrics import segment_f1
from tests.metrics.conftest import build_clip

FRAMES = 1000  # of 10 ms, as the study of 2024 cut its clips


def random_clips(seed):
    """Return clips of 10 s, half of them fake, and their probabilities per 10 ms."""
    rng = np.random.default_rng(seed)
    clips = []
    for number in range(12):
        regions, odds = [], rng.normal(-2.5, 1.1, FRAMES)
        if number % 2:
            for start in rng.choice(9, 2, replace=False):
                onset, length = start + rng.uniform(0, 0.3), rng.uniform(0.01, 0.7)
                edges = np.round((onset, onset + length), 2)
                regions.append(tuple(edges.tolist()))
                odds[round(onset * 100) : round((onset + length) * 100)] += rng.uniform(0, 4)
        clips.append((regions, (1 / (1 + np.exp(-odds))).astype(np.float32)))
    return clips


def clip_scores(clips, step):
    return [
        build_clip(str(number), regions=regions, frames=frames, duration=10.0, frame_step=step)
        for number, (regions, frames) in enumerate(clips)
    ]


def notebook_f1(clips, width):
    """Labels and decisions of 10 ms, the highest of each ``width``, all clips together."""
    hits = wrong = missed = 0
    for regions, frames in clips:
        label = np.zeros(FRAMES, dtype=bool)
        for onset, offset in regions:
            label[round(onset * 100) : round(offset * 100)] = True
        label = label.reshape(-1, width).max(axis=1)
        called = (frames > 0.5).reshape(-1, width).max(axis=1)
        hits += (label & called).sum()
        wrong += (~label & called).sum()
        missed += (label & ~called).sum()
    return hits / (hits + (wrong + missed) / 2)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("width", [1, 2, 100])
def test_segment_f1_equals_the_notebook(seed, width):
    clips = random_clips(seed)
    expected = notebook_f1(clips, width)
    assert 0.2 < expected < 0.95
    assert segment_f1(clip_scores(clips, 0.01), width * 10_000) == pytest.approx(expected)


def test_pooling_of_frames_differs_from_their_mean():
    # the two definitions are not one: a lone loud frame counts in the notebook alone
    frames = np.zeros(FRAMES, dtype=np.float32)
    frames[100] = 0.9
    clip = ([(1.0, 1.02)], frames)
    assert segment_f1(clip_scores([clip], 0.01), 20_000) == notebook_f1([clip], 2) == 1
    mean = (clip[0], frames.reshape(-1, 2).mean(axis=1))
    assert segment_f1(clip_scores([mean], 0.02), 20_000) == 0
