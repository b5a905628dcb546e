import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakesound.errors import InputError
from fakesound.timeline import (
    FrameGrid,
    Region,
    merge_regions,
    microseconds,
    window_starts,
    window_step,
)

LIMIT = 400  # microseconds; small enough to paint each one

plain = settings(deadline=None, database=None, derandomize=True)

steps = st.integers(1, 60)
moments = st.integers(0, LIMIT)
spans = st.lists(
    st.tuples(moments, moments).filter(lambda pair: pair[0] < pair[1]), min_size=0, max_size=6
)


def regions_of(pairs):
    return [Region(onset / 1e6, offset / 1e6) for onset, offset in pairs]


def painted(pairs, length=LIMIT):
    """Return a mask of the microseconds in a region."""
    canvas = np.zeros(length, dtype=bool)
    for onset, offset in pairs:
        canvas[onset:offset] = True
    return canvas


def runs(canvas):
    """Return the spans of True, one by one."""
    result, start = [], None
    for place, value in enumerate([*canvas, False]):
        if value and start is None:
            start = place
        elif not value and start is not None:
            result.append((start, place))
            start = None
    return result


def in_microseconds(regions):
    return [(microseconds(region.onset), microseconds(region.offset)) for region in regions]


@pytest.mark.parametrize(
    ("onset", "offset"),
    [
        (0.5, 0.5),
        (0.5, 0.4),
        (-0.1, 0.4),
        (-1e-9, 0.4),
        (float("nan"), 1),
        (0, float("nan")),
        (0, float("inf")),
        (0.1, 0.1 + 1e-8),
    ],
)
def test_a_region_must_be_a_span_of_time(onset, offset):
    with pytest.raises(InputError, match="0 <= onset < offset"):
        Region(onset, offset)


def test_regions_have_a_duration_and_an_order():
    assert Region(0.25, 1.0).duration == 0.75
    assert sorted([Region(1, 2), Region(0, 3), Region(0, 1)]) == [
        Region(0, 1),
        Region(0, 3),
        Region(1, 2),
    ]


@plain
@given(spans, steps, st.integers(1, LIMIT))
def test_targets_are_the_frames_with_a_painted_microsecond(pairs, step, duration):
    pairs = [(a, min(b, duration)) for a, b in pairs if a < duration]
    grid = FrameGrid(step)
    count = grid.count(duration / 1e6)
    canvas = painted(pairs, count * step)
    expected = [bool(canvas[i * step : (i + 1) * step].any()) for i in range(count)]
    assert grid.targets(regions_of(pairs), count).tolist() == expected


@plain
@given(st.integers(0, LIMIT), steps)
def test_frames_cover_the_clip_and_none_is_spare(duration, step):
    count = FrameGrid(step).count(duration / 1e6)
    assert (count - 1) * step < duration <= count * step or count == duration == 0


@plain
@given(st.lists(st.booleans(), max_size=40), steps, st.data())
def test_frames_to_regions_and_back(frames, step, data):
    fake = np.array(frames, dtype=bool)
    grid = FrameGrid(step)
    result = grid.regions(fake)
    assert in_microseconds(result) == [(a * step, b * step) for a, b in runs(fake)]
    assert grid.targets(result, len(fake)).tolist() == frames
    # any end within the last frame keeps them all
    rest = data.draw(st.integers(1, step))
    duration = ((len(fake) - 1) * step + rest) / 1e6 if frames else 0.0
    cut = grid.regions(fake, duration)
    assert grid.targets(cut, len(fake)).tolist() == frames
    assert all(region.offset <= duration for region in cut)


@plain
@given(st.lists(st.booleans(), min_size=1, max_size=30), steps, moments)
def test_regions_end_with_the_clip(frames, step, duration):
    fake = np.array(frames, dtype=bool)
    canvas = np.repeat(fake, step)[:duration]
    result = FrameGrid(step).regions(fake, duration / 1e6)
    assert in_microseconds(result) == runs(canvas)


@plain
@given(spans)
def test_merged_regions_are_the_runs_of_the_union(pairs):
    merged = merge_regions(regions_of(pairs))
    assert in_microseconds(merged) == runs(painted(pairs))
    assert merge_regions(merged) == merged


@plain
@given(spans, steps)
def test_merging_changes_no_target(pairs, step):
    grid, regions = FrameGrid(step), regions_of(pairs)
    count = grid.count(LIMIT / 1e6)
    merged = grid.targets(merge_regions(regions), count)
    assert np.array_equal(merged, grid.targets(regions, count))


def test_a_boundary_on_the_grid_never_moves():
    grid = FrameGrid()
    for frame in range(3000):
        # these products of floats fall on both sides of the true boundary
        region = Region(frame * 0.02, (frame + 1) * 0.02)
        assert grid.span(region) == (frame, frame + 1)
        assert grid.count((frame + 1) * 0.02) == frame + 1


def test_regions_past_the_last_frame_are_cut():
    assert FrameGrid().targets([Region(0.5, 9.0)], 30).sum() == 5
    assert not FrameGrid().targets([Region(0.7, 9.0)], 30).any()


@pytest.mark.parametrize(("rate", "samples"), [(16_000, 320), (44_100, 882), (8_000, 160)])
def test_frames_are_whole_samples(rate, samples):
    assert FrameGrid().samples(rate) == samples


def test_frames_that_are_not_whole_samples_are_refused():
    with pytest.raises(InputError, match="11025 Hz: not whole samples"):
        FrameGrid().samples(11_025)


@pytest.mark.parametrize("step", [0.0, -0.02, float("nan"), float("inf"), 1e-8])
def test_a_frame_step_must_be_positive(step):
    with pytest.raises(InputError, match="frame step"):
        FrameGrid.from_seconds(step)


def test_steps_in_seconds():
    assert FrameGrid.from_seconds(0.16) == FrameGrid(160_000)
    assert FrameGrid(20_000).step == 0.02


@pytest.mark.parametrize("window", [1, 2, 7, 50])
def test_windows_cover_every_clip_and_end_with_it(window):
    counts = range(1, 120)
    clips, firsts = window_starts(counts, window).T
    assert window_step(window) == max(1, 3 * window // 4)
    for clip, frames in enumerate(counts):
        starts = firsts[clips == clip].tolist()
        assert {start + i for start in starts for i in range(window)} >= set(range(frames))
        assert starts == sorted(set(starts))
        assert set(np.diff(starts[:-1])) <= {window_step(window)}
        assert frames <= window or starts[-1] + window == frames
