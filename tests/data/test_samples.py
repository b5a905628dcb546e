"""Samples of every type, shape and scale become the same mono float32, or are refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fakesound.data.notes import Notes, to_mono
from fakesound.data.samples import check_rate, to_channels, unpack
from fakesound.errors import InputError

GRID = np.array([-32_768, -16_384, -1, 0, 1, 16_384, 32_767], np.int16)
WANTED = GRID / np.float32(32_768)
SAME = {
    "int16": GRID,
    "big-endian": GRID.astype(">i2"),
    "uint16": (GRID.astype(int) + 32_768).astype(np.uint16),
    "int32": GRID.astype(np.int32) * 65_536,
    "float32": WANTED,
    "float64": WANTED.astype(np.float64),
    "list": WANTED.tolist(),
    "channels first": np.stack([WANTED, WANTED]),
    "channels last": np.stack([WANTED, WANTED], 1),
    "strided": np.repeat(WANTED, 2)[::2],
    "torch": torch.from_numpy(WANTED),
    "torch with a gradient": torch.from_numpy(WANTED).requires_grad_(),
    "torch int16": torch.from_numpy(GRID),
    "torch of negative view": torch.from_numpy(-WANTED).conj().neg(),
}


def mono(audio):
    return to_mono(to_channels(audio), Notes())


@pytest.mark.parametrize("name", SAME)
def test_types_and_shapes_of_the_same_samples(name):
    result = mono(SAME[name])
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, WANTED)


def test_types_of_8_bits_and_half_precision():
    assert mono(np.array([0, 64, 128, 255], np.uint8)).tolist() == [-1, -0.5, 0, 127 / 128]
    assert mono(np.array([-128, 0, 127], np.int8)).tolist() == [-1, 0, 127 / 128]
    half = np.array([-1, 0.5, 0.25], np.float16)
    assert mono(half).tolist() == [-1, 0.5, 0.25]
    assert mono(torch.tensor([-1, 0.5, 0.25], dtype=torch.bfloat16)).tolist() == [-1, 0.5, 0.25]


REFUSED = {
    "no samples": np.zeros(0),
    "three axes": np.zeros((1, 1, 9)),
    "as many channels as samples": np.zeros((2, 2)),
    "a hundred channels": np.zeros((100, 900)),
    "int64": GRID.astype(np.int64),
    "list of int": GRID.tolist(),
    "uint32": GRID.astype(np.uint32),
    "int32 of 16-bit values": GRID.astype(np.int32) // 2,
    "float of 16-bit values": GRID.astype(np.float32),
    "float of three times the scale": 3 * WANTED,
    "NaN": np.array([0, np.nan]),
    "Inf": np.array([0, -np.inf], np.float32),
    "bool": np.zeros(9, bool),
    "complex": np.zeros(9, complex),
    "text": np.array(["a"]),
    "ragged": [[0.0], [0.0, 0.1]],
    "None": None,
}


@pytest.mark.parametrize("name", REFUSED)
def test_arrays_without_scale_or_shape_are_refused_in_one_line(name):
    with pytest.raises(InputError, match=r"^recording: ") as error:
        to_channels(REFUSED[name])
    assert len(str(error.value).splitlines()) == 1


def test_a_few_per_cent_beyond_full_scale_are_clipped():
    assert mono(np.array([1.04, -1.04, 0.5])).tolist() == [1, -1, 0.5]


@given(st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=50), st.integers(1, 8))
@settings(deadline=None)
def test_any_samples_of_any_count_of_equal_channels(values, channels):
    samples = np.array(values, np.int16)
    wanted = samples / np.float32(32_768)
    if len(values) > channels:
        for stacked in (np.stack([samples] * channels), np.stack([samples] * channels, 1)):
            np.testing.assert_allclose(mono(stacked), wanted, atol=1e-7)


def test_channels_that_cancel_leave_the_louder_one_with_a_note():
    notes = Notes()
    result = to_mono(to_channels(np.stack([0.5 * WANTED, -0.6 * WANTED])), notes)
    np.testing.assert_allclose(result, -0.6 * WANTED, atol=1e-7)
    assert [text.split(":")[0] for text in notes.texts()] == ["channels"]
    assert "channel 2" in notes.texts()[0]


@pytest.mark.parametrize("rate", [16_000, 16_000.0, np.int64(16_000), np.float32(16_000)])
def test_whole_rates(rate):
    assert check_rate(rate) == 16_000


@pytest.mark.parametrize(
    "rate", [0, -16_000, 16_000.5, "16000", True, np.nan, np.inf, 10, 10**9, [16_000]]
)
def test_other_rates_are_refused(rate):
    with pytest.raises(InputError, match=r"^rate="):
        check_rate(rate)


def test_pairs_of_rate_and_samples_in_either_order():
    for pair in ((8_000, GRID), (GRID, 8_000)):
        samples, rate = unpack(pair, None)
        assert (samples is GRID, rate) == (True, 8_000)
    assert unpack(GRID, None) == (GRID, None)
    with pytest.raises(InputError, match=r"^rate=16000"):
        unpack((8_000, GRID), 16_000)
