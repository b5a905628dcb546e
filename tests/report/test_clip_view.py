import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread
from msgspec import structs

from fakesound.report import write_timelines
from fakesound.report.clip_view import (
    ClipContent,
    Relevance,
    clip_figure,
    clip_sound,
    found_regions,
    plot_area,
    read_sound,
    spans,
)
from fakesound.report.style import png
from fakesound.timeline import Region


@pytest.fixture
def fake(run):
    return next(clip for clip in run.test_scores if clip.fake)


@pytest.fixture
def content(run, fake):
    return ClipContent.of_score(fake, clip_sound(run, fake.clip_id))


def test_all_panels_have_one_time_axis(content):
    relevance = Relevance(np.ones((2, 3)), np.linspace(0, 0.8, 4), np.linspace(0, 4000, 3))
    figure = clip_figure(replace(content, relevance=relevance))
    area = plot_area(figure)
    panels = figure.axes[:5]
    assert [axes.get_ylabel() for axes in panels] == ["truth", "", "kHz", "kHz", "frame score"]
    for axes in panels:
        box = axes.get_position()
        assert (box.x0, box.x1) == pytest.approx((area["left"], area["right"]))
        assert axes.get_xlim() == (0, content.duration)
    assert area["seconds"] == content.duration


def test_the_plot_area_is_where_the_picture_has_it(content):
    """The true region of a clip that is fake throughout spans the area."""
    whole = replace(content, sound=None, truth=[Region(0.0, content.duration)], found=[])
    figure = clip_figure(whole)
    area = plot_area(figure)
    pixels = imread(io.BytesIO(png(figure)))[:, :, 0]
    box = figure.axes[0].get_position()
    row = pixels[round((1 - (box.y0 + box.y1) / 2) * len(pixels))]
    inside = row[round(area["left"] * len(row)) :]
    dark = np.flatnonzero(inside < 0.2) + round(area["left"] * len(row))
    assert dark[0] / len(row) == pytest.approx(area["left"], abs=3 / len(row))
    assert (dark[-1] + 1) / len(row) == pytest.approx(area["right"], abs=3 / len(row))


def test_panels_without_content_are_left_out(content):
    assert len(clip_figure(replace(content, sound=None)).axes) == 2
    assert len(clip_figure(replace(content, sound=None, truth=None)).axes) == 1
    silent = replace(content, sound=None, frame_scores=np.zeros(0, np.float32))
    assert clip_figure(silent) is None


def test_found_regions_are_runs_above_the_threshold(fake):
    scores = np.zeros(40, dtype=np.float32)
    scores[5:10] = 0.9
    regions = found_regions(replace(fake, frame_scores=scores))
    assert regions == [Region(0.1, 0.2)]
    assert spans(regions) == "0.10\N{EN DASH}0.20 s"
    assert spans([]) == "none"
    assert spans([Region(n, n + 0.5) for n in range(15)]).endswith("s and 3 more")


def test_missing_or_too_long_audio_is_not_shown(run, fake, tmp_path):
    assert read_sound(tmp_path / "gone.wav", 1000) is None
    assert clip_sound(replace(run, clips={}), fake.clip_id) is None
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(70 * 1000), 1000)
    clip = structs.replace(run.clips[fake.clip_id], location=str(path), sample_rate=1000)
    long = clip_sound(replace(run, clips={fake.clip_id: clip}), fake.clip_id)
    assert long.samples.size == 60_000
    scores = replace(fake, duration=70.0, frame_scores=np.zeros(3500, np.float32))
    assert plot_area(clip_figure(ClipContent.of_score(scores, long)))["seconds"] == 60


def test_pictures_have_safe_and_different_names(run, fake, tmp_path):
    scores = [replace(fake, clip_id="../up"), replace(fake, clip_id="..|up")]
    pictures = write_timelines(replace(run, test_scores=scores), tmp_path / "t", ["../up", "..|up"])
    assert {path.parent for path in pictures.values()} == {tmp_path / "t"}
    assert len({path.name for path in pictures.values()}) == 2
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures.values())
