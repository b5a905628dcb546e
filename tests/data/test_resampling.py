from itertools import pairwise
from math import gcd

import numpy as np
import pytest
import soundfile
from scipy import signal

from fakesound.data.audio import read_audio, stream_audio
from fakesound.data.resampling import Resampler
from fakesound.errors import InputError

RATES = [8_000, 11_025, 12_345, 16_000, 22_050, 44_100, 48_000, 96_000]


def in_parts(audio, cuts, rate, wanted=16_000):
    resampler = Resampler(rate, wanted)
    made = [resampler.push(audio[a:b]) for a, b in pairwise([0, *cuts, len(audio)])]
    return np.concatenate([*made, resampler.finish()])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("samples", [1, 77, 8_000, 60_001])
def test_parts_are_resampled_as_the_whole_is(rate, samples):
    rng = np.random.default_rng(samples)
    audio = rng.normal(0, 0.1, samples).astype(np.float32)
    common = gcd(rate, 16_000)
    whole = audio
    if rate != 16_000:
        whole = signal.resample_poly(audio, 16_000 // common, rate // common)
    for count in (0, 1, 7, 40):
        cuts = sorted(rng.integers(0, samples + 1, count))
        made = in_parts(audio, cuts, rate)
        assert made.shape == whole.shape
        assert made == pytest.approx(whole, abs=1e-6)
        # not merely near: the same, however it was cut
        assert np.array_equal(made, in_parts(audio, [], rate))


@pytest.mark.parametrize(
    ("name", "rate", "channels"),
    [("a.wav", 96_000, 2), ("a.flac", 44_100, 1), ("a.ogg", 22_050, 2), ("a.mp3", 48_000, 1)],
)
def test_a_file_in_parts_is_what_is_read_at_once(tmp_path, name, rate, channels):
    rng = np.random.default_rng(0)
    # more than one block of the file
    audio = rng.normal(0, 0.05, (300_000, channels))
    soundfile.write(tmp_path / name, audio, rate)
    streamed = np.concatenate(list(stream_audio(tmp_path / name, 16_000)))
    assert streamed == pytest.approx(read_audio(tmp_path / name, 16_000), abs=1e-6)


def test_what_cannot_be_read_is_said(tmp_path):
    cases = {"empty.wav": b"", "text.wav": b"no audio at all", "gone.wav": None}
    for name, content in cases.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            list(stream_audio(tmp_path / name, 16_000))
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan), 16_000, subtype="FLOAT")
    with pytest.raises(InputError, match="NaN"):
        list(stream_audio(tmp_path / "nan.wav", 16_000))
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16_000)
    with pytest.raises(InputError, match="no samples"):
        list(stream_audio(tmp_path / "none.wav", 16_000))
    soundfile.write(tmp_path / "whole.wav", np.zeros(32_000), 16_000)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "whole.wav").read_bytes()[:30_000])
    with pytest.raises(InputError, match="truncated"):
        list(stream_audio(tmp_path / "cut.wav", 16_000))
