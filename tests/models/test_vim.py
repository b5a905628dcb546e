import pytest
import torch
from torch import nn

from fakesound.models.stem import ConvStem, PatchStem
from fakesound.models.vim import MambaNeck, VisionMamba

from .scan.conftest import one_thread  # noqa: F401  # of every test here too

DIM, BINS = 16, 16
EVERY = pytest.mark.parametrize("order", ["time", "frequency"])


class Given(nn.Module):
    """Stem that returns its input as the grid of tokens."""

    windows = 1

    def bands(self, bins):
        return bins

    def tokens_and_statistics(self, grid):
        return grid, None


def vim(bands=3, steps=5, stem=None, seed=0, **options):
    torch.manual_seed(seed)
    options = {"pos_embed": False, "depth": 2, "kernel": "chunked"} | options
    return VisionMamba(stem or Given(), bins=bands, steps=steps, dim=DIM, **options).eval()


def grid(bands=3, steps=5, batch=2):
    return torch.randn(batch, DIM, bands, steps)


def sequence(model, seen):
    """Return the outputs of all tokens, including the class token, in the order of the scan."""
    kept = []
    hook = model.norm_f.register_forward_hook(lambda module, given, output: kept.append(output))
    model.forward_features(seen)
    hook.remove()
    return kept[0]


def entering(model, seen):
    """Return the tokens that enter the first block."""
    kept = []
    hook = model.layers[0].register_forward_pre_hook(lambda module, given: kept.append(given[0]))
    model.forward_features(seen)
    hook.remove()
    return kept[0]


@EVERY
@pytest.mark.parametrize("class_token", [True, False])
@pytest.mark.parametrize(
    "stem",
    [
        lambda: ConvStem(2, DIM, BINS, 2, [4, 4]),
        lambda: PatchStem(2, DIM, (8, 4), (8, 4)),
        lambda: PatchStem(2, DIM, (8, 5), (4, 2)),
    ],
    ids=["conv", "patch", "overlap"],
)
def test_every_stem_goes_with_every_order(stem, order, class_token):
    model = vim(BINS, 9, stem(), order=order, class_token=class_token, pos_embed=True)
    for steps in (9, 11):
        seen = torch.randn(2, 2, BINS, steps * model.windows)
        assert model.forward_features(seen).tokens.shape == (2, steps, DIM)


@pytest.mark.parametrize("bands", [1, 2, 3])
@pytest.mark.parametrize("class_token", [True, False])
def test_one_order_is_the_other_on_the_grid_turned_over(bands, class_token):
    time = vim(bands, 5, order="time", class_token=class_token, pos_embed=True)
    frequency = vim(5, bands, order="frequency", class_token=class_token, pos_embed=True)
    frequency.load_state_dict(time.state_dict())
    seen = grid(bands, 5)
    turned = seen.transpose(2, 3)
    torch.testing.assert_close(sequence(time, seen), sequence(frequency, turned))
    by_time, by_frequency = time.forward_features(seen), frequency.forward_features(turned)
    torch.testing.assert_close(by_time.summary, by_frequency.summary)
    torch.testing.assert_close(by_time.tokens.mean(1), by_frequency.tokens.mean(1))


@EVERY
def test_tokens_enter_in_their_order(order):
    seen = grid(3, 5)
    along = seen.transpose(2, 3) if order == "time" else seen
    expected = along.reshape(2, DIM, 15).transpose(1, 2)
    torch.testing.assert_close(entering(vim(order=order, class_token=False), seen), expected)


@EVERY
def test_the_orders_agree_on_a_single_band(order):
    model, other = vim(1, order="time"), vim(1, order=order)
    seen = grid(1, 7)
    torch.testing.assert_close(model.forward_features(seen), other.forward_features(seen))


@EVERY
def test_tokens_of_a_step_are_averaged_over_its_bands(order):
    model, seen = vim(order=order, class_token=False), grid()
    output = sequence(model, seen)
    if order == "time":
        expected = output.view(2, 5, 3, DIM).mean(2)
    else:
        expected = output.view(2, 3, 5, DIM).mean(1)
    torch.testing.assert_close(model.forward_features(seen).tokens, expected)


@EVERY
@pytest.mark.parametrize(("bands", "steps"), [(1, 6), (1, 7), (3, 5)])
def test_the_class_token_is_in_the_middle_and_is_the_summary(order, bands, steps):
    model, seen = vim(bands, steps, order=order), grid(bands, steps)
    nn.init.constant_(model.cls_token, 99.0)
    middle = bands * steps // 2
    at = torch.nonzero((entering(model, seen) == 99).all(2))
    assert at.tolist() == [[0, middle], [1, middle]]
    output = sequence(model, seen)
    tokens, summary = model.forward_features(seen)[:2]
    torch.testing.assert_close(summary, output[:, middle])
    rest = torch.cat((output[:, :middle], output[:, middle + 1 :]), 1)
    torch.testing.assert_close(tokens.mean(1), rest.mean(1))


def test_without_a_class_token_the_mean_is_the_summary():
    tokens, summary = vim(class_token=False).forward_features(grid())[:2]
    torch.testing.assert_close(summary, tokens.mean(1))


def test_a_forward_only_token_does_not_depend_on_later_ones():
    model = vim(2, 8, variant="none", depth=3)
    seen = grid(2, 8)
    changed = seen.clone()
    changed[..., 5:] = torch.randn(2, DIM, 2, 3)
    before, after = (model.forward_features(each).tokens for each in (seen, changed))
    torch.testing.assert_close(before[:, :5], after[:, :5], rtol=0, atol=1e-6)
    assert ((before - after)[:, 5:].abs().amax(2) > 1e-4).all()


@EVERY
@pytest.mark.parametrize("class_token", [True, False])
def test_positions_of_the_trained_size_are_as_learned(order, class_token):
    model, seen = vim(order=order, class_token=class_token, pos_embed=True), grid()
    plain = vim(order=order, class_token=class_token)
    shift = entering(model, seen) - entering(plain, seen)
    if class_token:
        # drawn apart, and the same for both otherwise
        shift[:, 7] += plain.cls_token[0, 0] - model.cls_token[0, 0]
    torch.testing.assert_close(shift, model.pos_embed.expand_as(shift), rtol=0, atol=1e-5)


@EVERY
@pytest.mark.parametrize("class_token", [True, False])
@pytest.mark.parametrize("steps", [3, 5, 9, 10])
def test_positions_stretch_in_time_alone(order, class_token, steps):
    """Embeddings stay linear in the step and in the band."""
    model = vim(3, 5, order=order, class_token=class_token, pos_embed=True)
    table = torch.zeros(DIM, 3, 5)
    table[0] = (torch.arange(5.0) + 0.5) / 5
    table[1] = torch.arange(3.0)[:, None]
    along = (table.transpose(1, 2) if order == "time" else table).flatten(1).T
    if class_token:
        along = torch.cat((along[:7], torch.full((1, DIM), 7.0), along[7:]))
        nn.init.zeros_(model.cls_token)
    model.pos_embed.data = along[None]

    shift = entering(model, torch.zeros(1, DIM, 3, steps))[0]
    middle = 3 * steps // 2
    if class_token:
        assert (shift[middle] == 7).all()
        shift = torch.cat((shift[:middle], shift[middle + 1 :]))
    shift = shift.T.unflatten(1, (steps, 3) if order == "time" else (3, steps))
    shift = shift.transpose(1, 2) if order == "time" else shift
    torch.testing.assert_close(shift[1], torch.arange(3.0)[:, None].expand(3, steps))
    # beyond the middles of the first and last trained step nothing is known
    expected = ((torch.arange(steps) + 0.5) / steps).clamp(0.1, 0.9).expand(3, steps)
    torch.testing.assert_close(shift[0], expected)


def test_embeddings_are_spared_by_name():
    model = vim(pos_embed=True)
    names = dict(model.named_parameters())
    assert model.no_weight_decay() <= set(names)
    assert {name for name in names if name.count(".") == 0} == model.no_weight_decay()


def neck(frames=4, depth=2, seed=0):
    torch.manual_seed(seed)
    return MambaNeck(DIM, frames, depth, kernel="chunked").eval()


@pytest.mark.parametrize("frames", [1, 4])
@pytest.mark.parametrize("steps", [1, 7])
def test_a_token_for_every_frame(frames, steps):
    assert neck(frames)(torch.randn(2, steps, DIM)).shape == (2, steps * frames, DIM)


def test_without_blocks_a_frame_depends_on_its_own_token_alone():
    """Frames are in the order of time: token by token, and frame by frame in each."""
    output = neck(depth=0)
    tokens = torch.randn(1, 5, DIM)
    changed = tokens.clone()
    changed[0, 2] += 1
    differ = (output(tokens) != output(changed)).any(-1)[0]
    assert differ.nonzero().flatten().tolist() == [8, 9, 10, 11]
    weight, bias = output.upsample.weight.view(4, DIM, DIM), output.upsample.bias.view(4, DIM)
    expected = output.norm_f(tokens[0, 2] + weight[3] @ tokens[0, 2] + bias[3])
    torch.testing.assert_close(output(tokens)[0, 11], expected)


def test_blocks_mix_frames_in_both_directions():
    output, tokens = neck(), torch.randn(1, 5, DIM)
    changed = tokens.clone()
    changed[0, 2] += 1
    assert (output(tokens) != output(changed)).any(-1).all()


def test_training_reaches_every_parameter():
    output = neck().train()
    output(torch.randn(2, 5, DIM)).square().mul(torch.randn(DIM)).sum().backward()
    for name, parameter in output.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
