import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakesound.scoring.windows import OverlapAdd, cut_windows, score_windows
from fakesound.timeline import window_starts

FRAME, WINDOW = 20, 10  # samples, frames


def forward(windows):
    """Return outputs that depend on the whole window, one of them with two values per frame."""
    frames = windows.reshape(len(windows), WINDOW, FRAME).mean(2)
    logits = frames + windows.std(1, keepdims=True)
    return {"frame_logits": logits, "family_logits": np.stack((logits, -logits), axis=2)}


def at_once(audio):
    """Return the same for the whole recording with explicit weights."""
    total = -(-len(audio) // FRAME)
    padded = np.pad(audio, (0, max(total, WINDOW) * FRAME - len(audio)))
    ramp = np.array([1, 2, 3, 4, 5, 5, 4, 3, 2, 1])
    summed, weight = np.zeros(max(total, WINDOW)), np.zeros(max(total, WINDOW))
    for _, first in window_starts([total], WINDOW):
        window = padded[first * FRAME : (first + WINDOW) * FRAME]
        summed[first : first + WINDOW] += ramp * forward(window[None])["frame_logits"][0]
        weight[first : first + WINDOW] += ramp
    return (summed / weight)[:total]


def scored(clips, cuts=(), batch=3):
    windows = (
        window
        for audio in clips
        for window in cut_windows(np.split(audio, sorted(cuts)), FRAME, WINDOW)
    )
    return list(score_windows(forward, windows, batch))


@given(
    st.lists(st.integers(1, 2_000), min_size=1, max_size=4),
    st.lists(st.integers(0, 2_000), max_size=8),
    st.integers(1, 5),
    st.integers(0, 99),
)
@settings(deadline=None)
def test_clips_of_any_length_in_any_parts_and_batches(lengths, cuts, batch, seed):
    rng = np.random.default_rng(seed)
    clips = [rng.normal(0, 1, samples).astype(np.float32) for samples in lengths]
    outputs = scored(clips, cuts, batch)
    assert len(outputs) == len(clips)
    for audio, found in zip(clips, outputs, strict=True):
        assert found["frame_logits"] == pytest.approx(at_once(audio), abs=1e-5)
        np.testing.assert_allclose(found["family_logits"][:, 1], -found["frame_logits"])


@given(st.integers(1, 3_000))
@settings(deadline=None)
def test_windows_start_where_the_windows_of_a_run_do(samples):
    windows = list(cut_windows([np.ones(samples, np.float32)], FRAME, WINDOW))
    total = -(-samples // FRAME)
    assert [window.first for window in windows] == window_starts([total], WINDOW)[:, 1].tolist()
    assert [window.total for window in windows] == [None] * (len(windows) - 1) + [total]
    assert {len(window.audio) for window in windows} == {WINDOW * FRAME}
    # zeros after the end
    assert windows[-1].audio.sum() == samples - windows[-1].first * FRAME


def test_a_recording_without_samples_has_no_windows():
    assert list(cut_windows([], FRAME, WINDOW)) == []
    assert scored([np.zeros(0, np.float32)]) == []


def test_a_clip_is_finished_as_soon_as_its_last_window_is_scored():
    taken = []

    def windows():
        for number in range(100):
            taken.append(number)
            yield from cut_windows([np.ones(WINDOW * FRAME, np.float32)], FRAME, WINDOW)

    next(score_windows(forward, windows(), batch=4))
    assert len(taken) == 4


def test_memory_holds_two_windows_of_a_long_recording():
    seen = []

    def parts():
        for _ in range(2_000):
            yield np.ones(50, np.float32)
            seen.append(windows.gi_frame.f_locals["buffer"].size)

    windows = cut_windows(parts(), FRAME, WINDOW)
    assert sum(1 for _ in windows) > 700
    assert max(seen) <= 2 * WINDOW * FRAME + 50


@given(st.integers(5, 60), st.integers(1, 20), st.integers(0))
@settings(deadline=None, max_examples=50)
def test_windows_that_agree_average_to_what_they_agree_on(frames, width, seed):
    width, truth = min(width, frames), np.random.default_rng(seed).normal(size=frames)
    overlap = OverlapAdd()
    for _, first in window_starts([frames], width):
        overlap.add(first, {"x": truth[first : first + width]})
    np.testing.assert_allclose(overlap.average(frames)["x"], truth, atol=1e-12)


def test_overlaps_are_averaged_by_distance_from_the_edges():
    # windows of 4 with weights 1 2 2 1, the second one two frames later
    overlap = OverlapAdd()
    overlap.add(0, {"x": np.zeros(4)})
    overlap.add(2, {"x": np.ones(4)})
    np.testing.assert_allclose(overlap.average(6)["x"], [0, 0, 1 / 3, 2 / 3, 1, 1])
