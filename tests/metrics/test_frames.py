import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakesound.errors import InputError
from fakesound.metrics.frames import frame_table, segments
from fakesound.timeline import FrameGrid


@pytest.mark.parametrize(("step", "count"), [(0.02, 500), (0.04, 250), (0.01, 1000), (0.16, 62)])
@pytest.mark.parametrize("write", [lambda i, step: i * step, lambda i, step: round(i * step, 6)])
def test_no_boundary_on_the_grid_moves_a_frame(make_clip, step, count, write):
    clips = [
        make_clip(
            str(i),
            regions=[(write(i, step), write(i + 1, step))],
            frames=[0.0] * count,
            duration=round(count * step, 6),
            frame_step=step,
        )
        for i in range(count)
    ]
    table = frame_table(clips)
    fake = table.frame_fake.reshape(count, count)
    np.testing.assert_array_equal(fake, np.eye(count, dtype=bool))
    assert (table.frame_fake_time[fake.ravel()] == round(step * 1e6)).all()
    result = segments(table, round(step * 1e6))
    np.testing.assert_array_equal(result.fake, table.frame_fake)


def test_frames_agree_with_the_frame_grid(make_scores):
    for step in (0.02, 0.037, 0.11):
        scores = make_scores(step=step, frames=30)
        grid = FrameGrid.from_seconds(step)
        expected = [grid.targets(clip.regions, clip.frame_scores.size) for clip in scores]
        np.testing.assert_array_equal(frame_table(scores).frame_fake, np.concatenate(expected))


def test_time_is_cut_at_the_end_of_the_clip(make_clip):
    table = frame_table(
        [make_clip(regions=[(0.95, 1.001)], frames=[0.1, 0.9, 0.3], frame_step=0.4)]
    )
    assert np.diff(table.frame_edge).tolist() == [400_000, 400_000, 200_000]
    assert table.frame_fake_time.tolist() == [0, 0, 50_000]


@pytest.mark.parametrize(("frames", "expected"), [([0.1, 0.9], [0.1, 0.9, 0.9]), ([0.1] * 4, None)])
def test_a_frame_too_few_is_repeated_and_one_too_many_dropped(make_clip, frames, expected):
    table = frame_table([make_clip(frames=frames, frame_step=0.4)])
    assert table.frame_score.tolist() == pytest.approx(expected or [0.1] * 3)


def test_touching_and_overlapping_regions_are_one(make_clip):
    regions = [(0.5, 0.7), (0.1, 0.3), (0.2, 0.5), (0.8, 0.9)]
    table = frame_table([make_clip(regions=regions, frames=[0] * 50)])
    assert table.regions.onset.tolist() == [100_000, 800_000]
    assert table.regions.offset.tolist() == [700_000, 900_000]


def test_runs_end_with_their_clip(make_clip):
    table = frame_table([make_clip(str(i), frames=[1, 0, 1], frame_step=0.4) for i in range(2)])
    spans = table.spans(table.called(np.full(2, 0.5)))
    assert spans.clip.tolist() == [0, 0, 1, 1]
    assert spans.onset.tolist() == [0, 800_000, 1_000_000, 1_800_000]
    assert spans.offset.tolist() == [400_000, 1_000_000, 1_400_000, 2_000_000]


def test_a_threshold_is_compared_in_double_precision(make_clip):
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    table = frame_table([make_clip(frames=[low, high], frame_step=0.5)])
    middle = (float(low) + float(high)) / 2
    assert table.called(np.array([middle])).tolist() == [False, True]


def test_no_clips_and_clips_without_frames(make_clip):
    assert frame_table([]).frame_score.size == 0
    assert segments(frame_table([]), 20_000).clip.size == 0
    with pytest.raises(InputError, match="frame_scores: none"):
        frame_table([make_clip()])


@settings(max_examples=60, deadline=None)
@given(
    step=st.integers(1, 40),
    resolution=st.integers(1, 60),
    clips=st.lists(
        st.tuples(
            st.integers(41, 200),
            st.lists(st.tuples(st.integers(0, 39), st.integers(1, 90)), max_size=3),
            st.integers(0, 2**32 - 1),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_segments_equal_painting_every_millisecond(make_clip, step, resolution, clips):
    scores, expected = [], []
    for number, (duration, spans, bits) in enumerate(clips):
        regions = [(on, min(on + length, duration)) for on, length in spans]
        count = -(-duration // step)
        frames = np.random.default_rng(bits).integers(0, 5, count) / 4
        scores.append(
            make_clip(
                str(number),
                regions=[(on / 1000, off / 1000) for on, off in regions],
                frames=frames,
                duration=duration / 1000,
                frame_step=step / 1000,
            )
        )
        fake = np.zeros(duration, dtype=bool)
        for on, off in regions:
            fake[on:off] = True
        painted = np.repeat(frames, step)[:duration]
        for start in range(0, duration, resolution):
            part = slice(start, start + resolution)
            expected.append((number, fake[part].any(), painted[part].max()))
    result = segments(frame_table(scores), resolution * 1000)
    assert list(zip(result.clip, result.fake, result.score, strict=True)) == expected
