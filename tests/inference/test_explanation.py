import numpy as np
import pytest
import torch
from scipy.special import expit

from fakesound.errors import InputError
from fakesound.inference.explanation import Explanation, Occlusion, measure_faithfulness
from fakesound.scoring.checkpoint import numpy_outputs
from fakesound.scoring.clip_score import clip_logits
from fakesound.scoring.windows import OverlapAdd

from .conftest import RATE


@pytest.fixture(scope="module")
def occlusion(detector, sound):
    # four windows of a second
    return Occlusion(detector, sound[: int(2.4 * RATE)], cell=0.6, bands=4)


def test_the_recording_itself_scores_as_its_detection(occlusion, detector, sound):
    for audio in (sound[: int(2.4 * RATE)], sound[:5_000]):
        logit = Occlusion(detector, audio).logits(np.zeros((1, 1, 1), bool))[0]
        assert expit(logit) == pytest.approx(detector.detect(audio, RATE).score, abs=1e-5)


def test_a_hidden_cell_is_zero_in_every_window_that_holds_it(occlusion, detector):
    explanation = occlusion.explain()
    assert explanation.relevance.shape == (4, 4)
    assert explanation.seconds == pytest.approx([0, 0.6, 1.2, 1.8, 2.4])
    assert explanation.hertz == pytest.approx([0, 500, 1000, 1500, 2000])
    spectrograms = occlusion.spectrograms.clone()
    starts = [window.first for window in occlusion.windows]
    assert starts == [0, 37, 70]
    # columns of 10 ms, two a frame: the cell of 1.2 to 1.8 s
    for spectrogram, start in zip(spectrograms, starts, strict=True):
        first, after = (max(0, column - 2 * start) for column in (120, 180))
        spectrogram[:, 16:32, first:after] = 0
    with torch.inference_mode():
        outputs = numpy_outputs(detector.model.module.of_spectrogram(spectrograms))
    overlap = OverlapAdd()
    for number, start in enumerate(starts):
        overlap.add(start, {name: values[number] for name, values in outputs.items()})
    raw = clip_logits(overlap.average(120), detector.model.module.pooling).clip
    after = detector.model.calibrator.calibrate(np.array([raw]))[0]
    assert explanation.relevance[1, 2] == pytest.approx(explanation.logit - after, abs=1e-4)


def test_the_deletion_curve_ends_with_all_cells_hidden(occlusion):
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
    with pytest.raises(InputError, match="partly fake"):
        measure_faithfulness(detector, [], 3)
