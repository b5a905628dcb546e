import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_expit, softmax
from sklearn.metrics import f1_score, log_loss

from fakesound.models.losses import (
    FRAME_LOSSES,
    WEIGHTINGS,
    LossWeighting,
    attribution_loss,
    clip_loss,
    edge_target,
    frame_loss,
    hypothesis_loss,
    twin_loss,
)


def frames(seed=0, batch=4, count=30):
    rng = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(batch, count, generator=rng)
    target = (torch.rand(batch, count, generator=rng) < 0.3).float()
    mask = torch.rand(batch, count, generator=rng) < 0.8
    return logits, target, mask


def test_clip_loss_is_the_log_loss_of_the_scores():
    logits, target = torch.randn(50), (torch.rand(50) < 0.4).float()
    expected = log_loss(target.numpy(), expit(logits.double().numpy()))
    assert clip_loss(logits, target).item() == pytest.approx(expected, rel=1e-5)


def test_frame_loss_is_the_log_loss_of_frames_in_the_mask_fakes_weighted():
    logits, target, mask = frames()
    score, truth = expit(logits[mask].double().numpy()), target[mask].numpy()
    assert frame_loss(logits, target, mask).item() == pytest.approx(
        log_loss(truth, score), rel=1e-5
    )
    weighted = -(3 * truth * np.log(score) + (1 - truth) * np.log(1 - score)).mean()
    loss = frame_loss(logits, target, mask, positive_weight=3.0)
    assert loss.item() == pytest.approx(weighted, rel=1e-5)


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_focal_loss_without_focus_is_the_cross_entropy(weight):
    given = frames()
    plain = frame_loss(*given, kind="bce", positive_weight=weight)
    focal = frame_loss(*given, kind="focal", positive_weight=weight, gamma=0.0)
    torch.testing.assert_close(focal, plain)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_loss_is_that_of_lin_et_al(gamma):
    logits, target, mask = frames()
    x, fake = logits[mask].double().numpy(), target[mask].numpy() > 0
    right = np.where(fake, expit(x), expit(-x))
    expected = (np.where(fake, 3, 1) * (1 - right) ** gamma * -np.log(right)).mean()
    loss = frame_loss(logits, target, mask, "focal", 3.0, gamma)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", FRAME_LOSSES)
@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 2.0])
def test_gradients_are_finite_however_sure_the_model_is(kind, gamma):
    logits = torch.tensor([[-1e4, -200, -50, -20, 0, 20, 50, 200, 1e4]] * 2, requires_grad=True)
    target = torch.tensor([[0.0] * 9, [1.0] * 9])
    loss = frame_loss(logits, target, target > -1, kind, 2.0, gamma)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_dice_is_one_less_the_f1_of_sure_frames():
    _, target, mask = frames(count=3000)
    called = (torch.rand(target.shape) < 0.5).float()
    loss = frame_loss(60 * called - 30, target, mask, "dice")
    expected = 1 - f1_score(target[mask].numpy(), called[mask].numpy())
    assert loss.item() == pytest.approx(expected, abs=1e-3)


def test_dice_of_the_truth_is_nothing_also_without_fakes():
    _, target, mask = frames()
    for truth in (target, torch.zeros_like(target)):
        assert frame_loss(60 * truth - 30, truth, mask, "dice").item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("kind", FRAME_LOSSES)
def test_frames_outside_the_mask_do_not_count(kind):
    logits, target, mask = frames()
    loss = frame_loss(logits, target, mask, kind, 2.0)
    junk = logits.masked_fill(~mask, torch.nan), target.masked_fill(~mask, torch.nan)
    assert torch.equal(frame_loss(*junk, mask, kind, 2.0), loss)


@pytest.mark.parametrize("kind", FRAME_LOSSES)
def test_less_loss_for_better_frames(kind):
    logits, target, mask = frames()
    towards = logits + 0.5 * (2 * target - 1)
    assert frame_loss(towards, target, mask, kind) < frame_loss(logits, target, mask, kind)


@pytest.mark.parametrize("kind", FRAME_LOSSES)
def test_half_precision_logits_give_a_full_precision_loss(kind):
    logits, target, mask = frames()
    loss = frame_loss(logits.bfloat16(), target, mask, kind)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, frame_loss(logits.bfloat16().float(), target, mask, kind))


def test_an_unknown_frame_loss_is_refused():
    with pytest.raises(ValueError, match="'hinge': must be one of bce, focal, dice"):
        frame_loss(*frames(), kind="hinge")


def edges(text, held=None):
    """Return the edge target of frames ("#" is fake), ``held`` of which are in the recording."""
    target = torch.tensor([[float(mark == "#") for mark in text]])
    mask = torch.arange(len(text))[None] < (len(text) if held is None else held)
    result = edge_target(target, mask)[0]
    return "".join("x" if at else "." for at in result.tolist())


@pytest.mark.parametrize(
    ("fake", "expected"),
    [
        ("....######....", "...xxx..xxx..."),
        ("....#.........", "...xxx........"),
        ("....##........", "...xxxx......."),
        # a region that continues after the crop has no edge at its end
        ("#####.........", "...xxx........"),
        ("........######", ".......xxx...."),
        ("##############", ".............."),
        ("..............", ".............."),
        # an edge in the first and in the last frame but one
        (".####........#", "xxxxxx......xx"),
        ("..###...###...", ".xxxxx.xxxxx.."),
    ],
)
def test_edges_are_the_frames_around_on_and_offsets(fake, expected):
    assert edges(fake) == expected


def test_the_end_of_a_recording_is_no_edge():
    assert edges("....####......", held=8) == "...xxx........"
    assert edges("....####......", held=9) == "...xxxxxx....."
    assert edges("########......", held=8) == ".............."


@settings(deadline=None, max_examples=40)
@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_edges_mirror_with_time(fake):
    target = torch.tensor([fake], dtype=torch.float32)
    mask = torch.ones_like(target, dtype=torch.bool)
    assert torch.equal(edge_target(target.flip(1), mask).flip(1), edge_target(target, mask))


def test_attribution_loss_is_the_log_loss_of_fakes():
    logits, family = torch.randn(20, 4), torch.arange(20) % 5 - 1
    fakes = family >= 0
    expected = log_loss(family[fakes], softmax(logits[fakes].double().numpy(), axis=1))
    assert attribution_loss(logits, family).item() == pytest.approx(expected, rel=1e-5)


def test_attribution_loss_without_fakes_is_zero_with_a_gradient():
    logits = torch.randn(4, 3, requires_grad=True)
    loss = attribution_loss(logits, torch.full((4,), -1))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_twin_loss_by_hand():
    # margins of the fakes over their twins: 3 - 1 and 0 - 1
    logits, target = torch.tensor([3.0, 1.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 1.0, 0.0])
    expected = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(1))) / 2
    assert twin_loss(logits, target).item() == pytest.approx(expected)


def test_twin_loss_ignores_frames_that_only_one_of_a_pair_has():
    logits = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 9.0]])
    target = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert twin_loss(logits, target, mask) == twin_loss(logits[:, :2], target[:, :2])
    assert twin_loss(logits, target, mask) != twin_loss(logits, target)


def test_twin_loss_is_taken_where_the_fake_is_fake():
    logits = torch.tensor([[5.0, 1.0, 2.0], [7.0, 1.0, 4.0]])
    target = torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    expected = (math.log(2) + math.log(1 + math.exp(2))) / 2
    assert twin_loss(logits, target).item() == pytest.approx(expected)


def test_twin_loss_without_fakes_is_zero_with_a_gradient():
    logits = torch.randn(4, 6, requires_grad=True)
    loss = twin_loss(logits, torch.zeros(4, 6))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


@settings(deadline=None, max_examples=30)
@given(common=st.floats(-20, 20), margin=st.floats(-20, 20))
def test_twin_loss_cancels_what_both_have_in_common(common, margin):
    logits = torch.tensor([common + margin, common])
    loss = twin_loss(logits, torch.tensor([1.0, 0.0])).item()
    assert loss == pytest.approx(-log_expit(margin), rel=1e-3, abs=1e-4)


def weigh(weighting, **losses):
    return weighting({task: torch.tensor(float(loss)) for task, loss in losses.items()})


@pytest.mark.parametrize("kind", WEIGHTINGS)
def test_weights_are_as_given_at_the_start(kind):
    weighting = LossWeighting(kind, {"clip": 0.3, "frame": 0.7})
    assert weigh(weighting, clip=2, frame=10).item() == pytest.approx(0.6 + 7)
    torch.testing.assert_close(weighting.weights().detach(), torch.tensor([0.3, 0.7]))


@pytest.mark.parametrize("kind", WEIGHTINGS)
def test_a_task_of_weight_zero_is_left_out(kind):
    weighting = LossWeighting(kind, {"clip": 0.0, "frame": 0.5})
    assert weighting.tasks == ["frame"]
    assert len(weighting.weights()) == 1
    losses = {task: torch.tensor(4.0, requires_grad=True) for task in ("clip", "frame")}
    total = weighting(losses)
    total.backward()
    assert total.item() == pytest.approx(2)
    assert losses["clip"].grad is None
    assert losses["frame"].grad.item() == pytest.approx(0.5)


def test_uncertainty_converges_to_the_analytic_optimum():
    """d/ds (w exp(-s) L + s / 2) = 0 makes the weight w exp(-s) = 1 / (2 L) for any w."""
    weighting = LossWeighting("uncertainty", {"clip": 0.3, "frame": 2.0})
    optimiser = torch.optim.Adam(weighting.parameters(), 0.05)
    for _ in range(400):
        optimiser.zero_grad()
        weigh(weighting, clip=0.2, frame=4).backward()
        optimiser.step()
    torch.testing.assert_close(
        weighting.weights().detach(), torch.tensor([1 / 0.4, 1 / 8]), rtol=1e-3, atol=0
    )


@pytest.mark.parametrize("kind", WEIGHTINGS)
def test_only_uncertainty_learns(kind):
    assert len(list(LossWeighting(kind, {"clip": 1.0}).parameters())) == (kind == "uncertainty")


def epoch(weighting, *steps):
    for clip, frame in steps:
        weigh(weighting, clip=clip, frame=frame)
    weighting.end_epoch()


def test_dwa_by_hand():
    weighting = LossWeighting("dwa", {"clip": 0.5, "frame": 2.0}, temperature=2.0).train()
    epoch(weighting, (4, 1), (2, 3))
    torch.testing.assert_close(weighting.weights(), torch.tensor([0.5, 2.0]))
    epoch(weighting, (1.5, 1.8))
    # mean losses 3 and 2, then 1.5 and 1.8: they fell to 0.5 and 0.9 of themselves
    odds = np.exp([0.5 / 2, 0.9 / 2])
    expected = torch.tensor(2 * odds / odds.sum() * [0.5, 2.0], dtype=torch.float32)
    torch.testing.assert_close(weighting.weights(), expected)
    assert weigh(weighting, clip=1, frame=1).item() == pytest.approx(expected.sum().item())


def test_dwa_looks_at_the_last_two_epochs():
    weighting = LossWeighting("dwa", {"clip": 1.0, "frame": 1.0}).train()
    epoch(weighting, (100, 1))
    for _ in range(2):
        epoch(weighting, (1, 1))
    torch.testing.assert_close(weighting.weights(), torch.ones(2))


@pytest.mark.parametrize("temperature", [0.1, 2.0, 1000.0])
def test_dwa_favours_what_fell_least_the_more_the_colder(temperature):
    weighting = LossWeighting("dwa", {"clip": 1.0, "frame": 1.0}, temperature).train()
    epoch(weighting, (1, 1))
    epoch(weighting, (0.5, 1))
    clip, frame = weighting.weights().tolist()
    assert clip + frame == pytest.approx(2)
    assert frame / clip == pytest.approx(math.exp(0.5 / temperature), rel=1e-3)


def test_validation_does_not_move_dwa():
    weighting = LossWeighting("dwa", {"clip": 1.0, "frame": 1.0})
    epoch(weighting.train(), (1, 1))
    epoch(weighting.eval(), (9, 1))
    assert weighting.history == [[1, 1]]


def test_dwa_continues_from_a_checkpoint(tmp_path):
    first, second = (LossWeighting("dwa", {"clip": 1.0, "frame": 1.0}).train() for _ in range(2))
    epoch(first, (3, 2))
    epoch(first, (1, 2))
    torch.save(first.state_dict(), tmp_path / "weights.pt")
    second.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(second.weights(), first.weights())
    for weighting in (first, second):
        epoch(weighting, (0.5, 1.9))
    assert torch.equal(second.weights(), first.weights())


def test_an_unknown_weighting_is_an_error():
    with pytest.raises(ValueError, match="'gradnorm': must be one of fixed, uncertainty, dwa"):
        LossWeighting("gradnorm", {"clip": 1.0})


def test_a_hypothesis_learns_of_fakes_of_its_kind_and_all_genuine_clips():
    logit = torch.tensor([2.0, -1.0, 5.0, 0.5], requires_grad=True)
    target, counts = torch.tensor([1.0, 0, 1, 0]), torch.tensor([True, True, False, False])
    loss = hypothesis_loss(logit, target, counts, twin=0.5)
    softplus = torch.nn.functional.softplus
    entropy = softplus(torch.tensor([-2.0, -1.0, 0.5])).mean()
    expected = entropy + 0.5 * softplus(torch.tensor(-3.0))
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert logit.grad[2] == 0
    assert logit.grad[3] > 0
