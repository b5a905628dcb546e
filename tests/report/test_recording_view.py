import base64
import io
import re

import numpy as np
import soundfile
from matplotlib.image import imread

from fakesound.report.clip_view import Sound
from fakesound.report.recording_view import score_fields, sound_fields, wavesurfer


def decoded(text):
    return base64.b64decode(text.rpartition(",")[2])


def test_peaks_and_spectrogram_lie_where_the_sound_does():
    rate = 16_000
    samples = np.zeros(2 * rate, np.float32)
    samples[rate:] = 0.5 * np.sin(2 * np.pi * 4_000 * np.arange(rate) / rate)
    fields = sound_fields(Sound(samples, rate))
    peaks = np.frombuffer(decoded(fields["peaks"]), np.uint8)
    assert len(peaks) == 400
    assert peaks[:200].max() == 0
    assert peaks[205:].min() > 250
    opacity = imread(io.BytesIO(decoded(fields["spectrogram"])))[..., 3]
    rows, columns = opacity.shape
    loudest = opacity[:, 3 * columns // 4].argmax()
    assert abs(loudest - rows / 2) < 3  # 4 kHz of 8 kHz
    assert opacity[:, columns // 4].max() == 0
    audio, read_rate = soundfile.read(io.BytesIO(decoded(fields["audio"])))
    assert read_rate == rate
    np.testing.assert_allclose(audio, samples, atol=1e-4)


def test_a_recording_without_audio_has_scores_alone():
    assert sound_fields(None) == {"audio": None, "peaks": "", "spectrogram": None}
    scores, seconds = score_fields(np.array([0, 0.5, 1], np.float32), 0.02)
    assert list(decoded(scores)) == [0, 128, 255]
    assert seconds == 0.06


def test_long_curves_keep_their_highest_frames():
    frames = np.zeros(100_000, np.float32)
    frames[77_777] = 1
    scores, seconds = score_fields(frames, 0.02)
    values = np.frombuffer(decoded(scores), np.uint8)
    assert len(values) <= 1_500
    step = seconds / len(values)
    assert values.argmax() * step <= 77_777 * 0.02 < (values.argmax() + 1) * step


def test_scripts_are_joined_with_their_licence():
    script = wavesurfer()
    assert "Redistribution and use in source and binary forms" in script
    assert re.findall(r"^const (\w+) = ", script, re.MULTILINE) == [
        *("WaveSurfer", "Regions", "Timeline")
    ]
    assert "export{" not in script
    assert "</script" not in script
