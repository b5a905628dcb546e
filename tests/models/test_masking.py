import pytest
import torch

from fakesound.models.masking import BANDS, WIDEST, BandMask

SHAPE = (40, 3, 64, 7)


def hidden(mask, spectrogram):
    """Return a mask of the bins that are zero in the whole example."""
    masked = mask(spectrogram)
    zero = (masked == 0).all(3).all(1)
    assert torch.equal(masked, spectrogram.masked_fill(zero[:, None, :, None], 0))
    return zero


def test_nothing_is_hidden_but_in_training():
    spectrogram = torch.randn(SHAPE)
    assert torch.equal(BandMask(1.0).eval()(spectrogram), spectrogram)
    assert torch.equal(BandMask(0.0).train()(spectrogram), spectrogram)


def test_a_fake_and_its_twin_lose_the_same_bands_over_all_time():
    torch.manual_seed(0)
    mask = BandMask(1.0).train()
    result = torch.stack([hidden(mask, torch.rand(SHAPE) + 1) for _ in range(20)])
    assert torch.equal(result[:, 0::2], result[:, 1::2])
    share = result.float().mean(2)
    assert share.max() <= WIDEST * BANDS + 2 * BANDS / SHAPE[2]
    assert (share > 0).float().mean() > 0.9
    # every bin, and not always the same
    assert result.flatten(0, 1).any(0).all()
    assert not result.flatten(0, 1).all(0).any()


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_a_share_of_pairs_is_masked(share):
    torch.manual_seed(1)
    mask = BandMask(share).train()
    masked = torch.cat([hidden(mask, torch.rand(SHAPE) + 1).any(1) for _ in range(20)])
    assert masked.float().mean() == pytest.approx(share, abs=0.1)


def test_an_odd_number_of_examples_is_masked_as_well():
    torch.manual_seed(2)
    assert BandMask(1.0).train()(torch.rand(5, 1, 32, 4) + 1).shape == (5, 1, 32, 4)
