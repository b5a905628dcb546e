"""Detections in the Python API: priors, several recordings, files in memory, exports."""

import io
import json
import os
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import expit, logit

import fakesound
from fakesound.errors import InputError
from fakesound.inference import Detector
from fakesound.scoring.decision import FakeRegion, with_prior

from .conftest import RATE


@pytest.fixture
def file(sound, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, sound, RATE, subtype="PCM_16")
    return path


@pytest.mark.parametrize("prior", [0.001, 0.3, 0.5, 0.999])
def test_a_prior_adds_its_log_odds(detector, sound, prior):
    even, other = detector.detect(sound, RATE), detector.detect(sound, RATE, prior=prior)
    assert logit(other.score) == pytest.approx(logit(even.score) + logit(prior))
    assert other.probability(0.5) == pytest.approx(even.score)
    assert even.probability(prior) == pytest.approx(other.score)
    assert other.record.prior == prior
    assert with_prior(float(expit(1.5)), prior) == pytest.approx(expit(1.5 + logit(prior)))


def test_a_prior_makes_verdicts_certain_and_does_not_turn_them(detector, sound):
    even = detector.detect(sound, RATE, confidence=0.5)
    for prior in (1e-6, 1 - 1e-6):
        verdict = detector.detect(sound, RATE, prior=prior, confidence=0.9).verdict
        assert verdict == "uncertain" or verdict == even.verdict
        assert (verdict == "uncertain") == ((even.verdict == "fake") == (prior < 0.5))


@pytest.mark.parametrize("key", [{"prior": 0}, {"prior": 1}, {"confidence": 0.4}])
def test_settings_out_of_range_are_refused(detector, sound, key):
    ((name, value),) = key.items()
    with pytest.raises(InputError, match=f"{name}={value}"):
        detector.detect(sound, RATE, **key)
    with pytest.raises(InputError, match=f"{name}={value}"):
        Detector(detector.model, **key)


def test_a_file_in_memory_scores_as_on_disk(detector, file):
    stored = detector.detect(file)
    with file.open("rb") as opened:
        result = detector.detect(opened)
    assert result.path == str(file)
    held = detector.detect(io.BytesIO(file.read_bytes()))
    for one in (result, held):
        assert one.score == pytest.approx(stored.score, abs=1e-6)
        assert one.sha256 == stored.sha256
    for other, hint in ((b"RIFF", "an open file"), (None, "give numbers")):
        with pytest.raises(InputError, match=hint):
            detector.detect(other)


def test_many_recordings_with_errors_among_them(detector, file, tmp_path):
    broken = tmp_path / "b.wav"
    broken.write_bytes(b"RIFF")
    with pytest.raises(InputError, match=r"b\.wav"):
        detector.detect_many([file, broken])
    assert len(detector.detect_many([file, broken, file], on_error="skip")) == 2
    seen = []
    result = detector.detect_many(
        [file, broken], on_error="return", progress=lambda *counts: seen.append(counts)
    )
    assert seen == [(1, 2), (2, 2)]
    assert result[0].path == str(file)
    assert isinstance(result[1], InputError)
    assert "1 errors" in repr(result)
    document = json.loads(result.to_json())
    assert [row["error"] is None for row in document["results"]] == [True, False]
    assert document["model"]["sha256"] == detector.model.sha256
    with pytest.raises(InputError, match="did you mean return"):
        detector.detect_many([file], on_error="returns")


def test_values_and_tables(detector, file, monkeypatch):
    result = detector.detect(file)
    row = result.to_dict(frames=True)
    assert row["sha256"] == result.sha256
    assert len(row["frame_scores"]) == len(result.frame_scores)
    assert json.loads(result.to_json())["results"] == [result.to_dict()]
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda data: data))
    frames = result.to_pandas()
    assert frames["offset"][-1] == pytest.approx(result.duration)
    np.testing.assert_array_equal(frames["score"], result.frame_scores)
    (one,) = detector.detect_many([file]).to_pandas()
    assert one["verdict"] == result.verdict
    assert one["model_sha256"] == detector.model.sha256
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="pip install pandas"):
        result.to_pandas()


def test_representations(detector, file):
    result = detector.detect(file)
    assert f"{result.score:.3f}" in repr(result)
    assert "\n" not in repr(result)
    page = result._repr_html_()
    assert result.verdict in page
    assert page.count("<tr>") == 2
    assert "torch" in repr(detector)
    assert str(RATE) in repr(detector)


def test_a_path_is_escaped_in_a_notebook(detector, sound, tmp_path):
    path = tmp_path / "<b>.wav"
    soundfile.write(path, sound, RATE)
    assert "<b>" not in detector.detect(path)._repr_html_()


def test_the_package_lists_its_names():
    assert {"Detector", "Detection", "Detections", "__version__"} == set(dir(fakesound))
    assert fakesound.Detections is not None


def test_json_is_utf8_whatever_the_name_of_the_file(detector, file):
    odd = file.with_name(os.fsdecode(b"caf\xe9.wav"))
    file.rename(odd)
    document = json.loads(detector.detect(odd).to_json().encode())
    assert document["results"][0]["path"].endswith("caf\\xe9.wav")


def test_a_score_of_nan_is_an_error(detector, sound):
    def forward(windows):
        return {name: values * np.nan for name, values in detector.model.forward(windows).items()}

    with pytest.raises(InputError, match="not a number"):
        Detector(replace(detector.model, forward=forward)).detect(sound, RATE)


def test_a_plot_shows_scores_threshold_and_regions(detector, sound, monkeypatch):
    found = replace(
        detector.detect(sound, RATE), verdict="fake", regions=(FakeRegion(0.2, 0.5, 0.9),)
    )
    axes = Figure().subplots()
    assert found.plot(axes) is axes
    steps, region = axes.patches
    values, edges, _ = steps.get_data()
    assert values == pytest.approx(found.frame_scores)
    assert (edges[0], edges[-1]) == (0, pytest.approx(found.duration))
    assert (region.get_x(), region.get_width()) == pytest.approx((0.2, 0.3))
    assert list(axes.lines[0].get_ydata()) == [found.record.frame_threshold] * 2
    replace(found, frame_scores=found.frame_scores[:0], record=None).plot(Figure().subplots())
    assert isinstance(found.plot(), Axes)
    pyplot.close()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"^matplotlib: not installed"):
        found.plot()
