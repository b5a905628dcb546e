import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from fakesound.report import timeline, write_timelines
from fakesound.report.style import png
from fakesound.report.timelines import found_regions, plot_area, read_sound
from fakesound.timeline import Region


@pytest.fixture
def fake(run):
    return next(clip for clip in run.test_scores if clip.fake)


def test_one_time_axis_for_all_panels(run, fake):
    figure = timeline(fake, read_sound(run.clips[fake.clip_id]))
    area = plot_area(figure)
    assert len(figure.axes) == 3
    for axes in figure.axes:
        place = axes.get_position()
        assert (place.x0, place.x1) == pytest.approx((area.left, area.right))
        assert axes.get_xlim() == (0, area.seconds)
    assert area.seconds == fake.duration
    assert area.bottom == min(axes.get_position().y0 for axes in figure.axes)


def test_the_plot_area_is_where_the_picture_has_it(run, fake):
    """The true region of a clip fake throughout is drawn from the area's left to its right."""
    whole = replace(fake, regions=(Region(0.0, fake.duration),))
    figure = timeline(whole, None)
    area = plot_area(figure)
    pixels = soundless(figure)
    row = pixels[8]
    dark = np.flatnonzero(row < 100)
    assert dark[0] / len(row) == pytest.approx(area.left, abs=2 / len(row))
    assert (dark[-1] + 1) / len(row) == pytest.approx(area.right, abs=2 / len(row))


def soundless(figure):
    from matplotlib.image import imread

    return (imread(io.BytesIO(png(figure)))[:, :, 0] * 255).astype(int)


def test_panels_without_content_are_left_out(fake):
    assert len(timeline(fake, None).axes) == 2
    silent = replace(fake, frame_scores=np.zeros(0, dtype=np.float32))
    assert len(timeline(silent, None).axes) == 1


def test_found_regions_are_runs_above_the_threshold(fake):
    scores = np.zeros(40, dtype=np.float32)
    scores[5:10] = 0.9
    assert found_regions(replace(fake, frame_scores=scores)) == [Region(0.1, 0.2)]


def test_audio_that_is_gone_or_too_long(run, fake, tmp_path):
    clip = run.clips[fake.clip_id]
    assert read_sound(None) is None
    assert read_sound(replace(clip, path=tmp_path / "gone.wav")) is None
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(70 * 1000), 1000)
    long = read_sound(replace(clip, path=path, sample_rate=1000))
    assert long.samples.size == 60_000
    figure = timeline(replace(fake, duration=70.0, frame_scores=np.zeros(3500, np.float32)), long)
    assert plot_area(figure).seconds == 60


def test_silence_is_drawn(fake, run):
    sound = read_sound(run.clips[fake.clip_id])
    assert png(timeline(fake, replace(sound, samples=np.zeros_like(sound.samples))))


def test_pictures_are_named_safely_and_apart(run, fake, tmp_path):
    scores = [replace(fake, clip_id="../up"), replace(fake, clip_id="..|up")]
    pictures = write_timelines(replace(run, test_scores=scores), tmp_path / "t", ["../up", "..|up"])
    assert {path.parent for path in pictures.values()} == {tmp_path / "t"}
    assert len({path.name for path in pictures.values()}) == 2
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures.values())
