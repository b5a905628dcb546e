import numpy as np
import pytest
import torch

from fakesound.errors import InputError
from fakesound.inference.explanation import Explanation, Occlusion
from fakesound.inference.faithfulness import measure_faithfulness

from .conftest import RATE


@pytest.fixture(scope="module")
def occlusion(detector, sound):
    return Occlusion(detector, sound[:RATE], cell=0.25, bands=4)


def test_what_is_hidden_is_set_to_the_mean_and_asked_again(occlusion, detector, sound):
    explanation = occlusion.explain()
    assert explanation.relevance.shape == (4, 4)
    assert explanation.seconds == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert explanation.hertz == pytest.approx([0, 500, 1000, 1500, 2000])
    spectrogram = occlusion.whole.clone()
    mask = torch.ones(1, 50, dtype=torch.bool)
    with torch.inference_mode():
        before = float(detector.model.of_spectrogram(spectrogram).clip_logit(mask))
        spectrogram[:, :, 16:32, 50:75] = 0
        after = float(detector.model.of_spectrogram(spectrogram).clip_logit(mask))
    assert explanation.logit == pytest.approx(before, abs=1e-4)
    assert explanation.relevance[1, 2] == pytest.approx(before - after, abs=1e-4)


def test_the_curve_goes_from_the_recording_to_nothing(occlusion):
    order = np.arange(16)
    curve = occlusion.deletion_curve(order, points=4)
    assert curve[0] == pytest.approx(occlusion.explain().logit, abs=1e-4)
    everything = occlusion.logits(np.ones((1, 4, 4), bool))[0]
    assert curve[-1] == pytest.approx(everything, abs=1e-4)
    half = np.zeros((1, 4, 4), bool)
    half[0, :2] = True
    assert curve[2] == pytest.approx(occlusion.logits(half)[0], abs=1e-4)


def test_the_order_and_the_pointing_game():
    relevance = np.array([[0.1, 0.9], [-1.0, 0.3]])
    explanation = Explanation(relevance, np.array([0, 0.2, 0.4]), np.array([0, 1, 2]), 0.0)
    assert explanation.order().tolist() == [1, 3, 0, 2]
    fake = np.zeros(20, bool)
    fake[9] = True
    assert not explanation.points_at(fake)
    fake[10] = True
    assert explanation.points_at(fake)


def test_recordings_of_no_or_too_much_sound_are_refused(detector):
    for audio in (np.zeros(0, np.float32), np.zeros(31 * RATE, np.float32)):
        with pytest.raises(InputError, match="up to 30"):
            Occlusion(detector, audio)


def test_faithfulness_needs_clips_that_are_fake_in_part(detector):
    with pytest.raises(InputError, match="fake in part"):
        measure_faithfulness(detector, [], 3)
