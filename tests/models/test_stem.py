import pytest
import torch

from fakesound.models.stem import ConvStem, PatchStem

from .scan.conftest import one_thread  # noqa: F401  # of every test here too

BINS, DIM = 32, 12


def touched(stem, windows, step):
    """Bins and windows of the spectrogram that the tokens of ``step`` depend on."""
    seen = torch.randn(1, 2, BINS, windows, requires_grad=True)
    stem.eval()(seen)[..., step].square().sum().backward()
    return [torch.nonzero(seen.grad[0].abs().sum((0, 2 - axis)))[:, 0] for axis in (0, 1)]


@pytest.mark.parametrize(
    ("patch", "stride"),
    [((16, 16), (16, 16)), ((16, 16), (8, 10)), ((8, 5), (4, 2)), ((4, 2), (8, 4))],
)
@pytest.mark.parametrize("steps", [1, 7])
def test_one_patch_for_each_stride(patch, stride, steps):
    stem = PatchStem(3, DIM, patch, stride)
    assert stem.windows == stride[1]
    assert stem.bands(BINS) == BINS // stride[0]
    tokens = stem(torch.randn(2, 3, BINS, steps * stem.windows))
    assert tokens.shape == (2, DIM, stem.bands(BINS), steps)


def test_patches_apart_are_a_linear_map_of_each():
    stem = PatchStem(2, DIM, (16, 4), (16, 4))
    seen = torch.randn(1, 2, BINS, 12)
    for band in range(2):
        for step in range(3):
            patch = seen[0, :, band * 16 : band * 16 + 16, step * 4 : step * 4 + 4]
            expected = stem.proj.weight.flatten(1) @ patch.flatten() + stem.proj.bias
            torch.testing.assert_close(stem(seen)[0, :, band, step], expected)


@pytest.mark.parametrize(("width", "stride"), [(16, 10), (8, 4), (5, 2), (4, 4)])
def test_overlapping_patches_are_centred_in_their_stride(width, stride):
    stem = PatchStem(2, DIM, (16, width), (16, stride))
    windows = touched(stem, 9 * stride, 4)[1]
    before, after = 4 * stride - int(windows[0]), int(windows[-1]) + 1 - 5 * stride
    assert len(windows) == width
    assert 0 <= after - before <= 1


def test_overlap_over_frequency_is_centred_too():
    stem = PatchStem(1, 1, (8, 2), (4, 2))
    torch.nn.init.ones_(stem.proj.weight)
    torch.nn.init.zeros_(stem.proj.bias)
    for place in range(BINS):
        seen = torch.zeros(1, 1, BINS, 2)
        seen[0, 0, place] = 1
        (bands,) = torch.nonzero(stem(seen)[0, 0, :, 0], as_tuple=True)
        expected = [band for band in range(BINS // 4) if -2 <= place - 4 * band < 6]
        assert bands.tolist() == expected


@pytest.mark.parametrize("windows", [1, 2, 4])
@pytest.mark.parametrize("steps", [1, 7])
@pytest.mark.parametrize("widths", [[8], [8, 6, 4]])
def test_convolutions_leave_one_token_a_step(windows, steps, widths):
    stem = ConvStem(3, DIM, BINS, windows, widths)
    assert stem.windows == windows
    assert stem.bands(BINS) == 1
    assert stem(torch.randn(2, 3, BINS, steps * windows)).shape == (2, DIM, 1, steps)


def test_convolutions_see_all_bins_and_a_step_to_each_side_for_each():
    torch.manual_seed(0)
    bins, windows = touched(ConvStem(2, DIM, BINS, 2, [16, 16]), 22, 5)
    assert bins.tolist() == list(range(BINS))
    assert windows.tolist() == list(range(2 * 3, 2 * 8))


def test_convolution_tokens_are_normalised():
    tokens = ConvStem(2, 64, BINS, 2, [16, 16])(10 * torch.randn(2, 2, BINS, 12))
    torch.testing.assert_close(tokens.mean(1), torch.zeros(2, 1, 6), rtol=0, atol=1e-5)
    torch.testing.assert_close(tokens.var(1, correction=0), torch.ones(2, 1, 6), rtol=0, atol=1e-3)


def test_windows_and_neighbouring_bins_of_a_step_are_told_apart():
    torch.manual_seed(0)
    stem = ConvStem(1, DIM, BINS, 2, [16]).eval()
    outs = []
    for place in ((8, 6), (9, 6), (8, 7), (9, 7)):
        seen = torch.zeros(1, 1, BINS, 14)
        seen[0, 0, place[0], place[1]] = 5
        outs.append(stem(seen)[0, :, 0, 3])
    for one in range(4):
        for other in range(one):
            assert (outs[one] - outs[other]).abs().max() > 1e-3


def test_a_whole_number_of_steps_is_needed():
    with pytest.raises(RuntimeError):
        ConvStem(2, DIM, BINS, 2, [8])(torch.randn(1, 2, BINS, 7))
