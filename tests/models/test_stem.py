import pytest
import torch

from fakesound.models.stem import ConvStem, PatchStem

from .scan.conftest import one_thread  # noqa: F401  # of every test here too

BINS, DIM = 32, 12


def touched(stem, windows, step):
    """Return the bins and windows of the spectrogram that the tokens of ``step`` depend on."""
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


def test_windows_and_neighbouring_bins_of_a_step_are_distinguished():
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


def two_paths(**options):
    torch.manual_seed(0)
    return ConvStem(3, DIM, BINS, 2, (4, 6, 8), phase=3, phase_width=5, **options)


def test_power_and_phase_both_reach_the_tokens():
    stem, seen = two_paths().eval(), torch.randn(2, 6, BINS, 20)
    tokens = stem(seen)
    assert tokens.shape == (2, DIM, 1, 10)
    for hidden in (slice(0, 3), slice(3, 6)):
        changed = seen.clone()
        changed[:, hidden] = 0
        assert not torch.allclose(stem(changed), tokens, atol=1e-3)


@pytest.mark.parametrize(("drop", "hidden"), [("drop_power", 0), ("drop_phase", 3)])
def test_a_dropped_path_has_no_effect_in_training_alone(drop, hidden):
    stem, seen = two_paths(**{drop: 1.0}), torch.randn(4, 6, BINS, 20)
    changed = seen.clone()
    changed[:, hidden : hidden + 3] = torch.randn(4, 3, BINS, 20)
    assert torch.allclose(stem(seen), stem(changed), atol=1e-5)
    stem.eval()
    assert not torch.allclose(stem(seen), stem(changed), atol=1e-3)


def test_paths_are_dropped_of_both_of_a_pair_and_never_together():
    stem = two_paths(drop_power=0.4, drop_phase=0.4)
    power, phase = stem._path_masks(torch.zeros(2000, 1))
    assert torch.equal(power[0::2], power[1::2])
    assert torch.equal(phase[0::2], phase[1::2])
    assert ((power + phase) >= 1).all()
    assert 0.3 < 1 - power.mean() < 0.5
    assert 0.3 < 1 - phase.mean() < 0.5


def test_statistics_are_of_what_sounds_and_part_of_every_token():
    stem, plain = two_paths(statistics=True).eval(), two_paths().eval()
    plain.load_state_dict(stem.state_dict(), strict=False)
    seen = torch.randn(2, 6, BINS, 40)
    seen[..., 20:] = 0
    tokens, statistics = stem.tokens_and_statistics(seen)
    torch.testing.assert_close(tokens, plain(seen) + statistics[:, :, None, None])
    # more of digital silence changes nothing
    longer = torch.nn.functional.pad(seen, (0, 40))
    torch.testing.assert_close(stem.tokens_and_statistics(longer)[1], statistics)
