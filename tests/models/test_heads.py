import pytest
import torch

from fakesound.models.heads import (
    POOLINGS,
    AttributionHead,
    ClipHead,
    FrameHead,
    InstanceHead,
    pool,
    pool_families,
)

from .scan.conftest import one_thread  # noqa: F401  # of every test here too

DIM = 8


def clip_head(frames=1, dropout=0.0):
    torch.manual_seed(0)
    head = ClipHead(DIM, frames, dropout)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    return head


@pytest.mark.parametrize("frames", [1, 2, 8])
def test_a_token_makes_the_logits_of_its_own_frames(frames):
    head, tokens = FrameHead(DIM, frames, 0.0), torch.randn(2, 5, DIM)
    logits = head(tokens)
    assert logits.shape == (2, 5 * frames)
    for step in range(5):
        own = tokens[:, step] @ head.proj.weight.T + head.proj.bias
        torch.testing.assert_close(logits[:, step * frames : (step + 1) * frames], own)


def test_frames_start_below_even_odds():
    scores = FrameHead(DIM, 2, 0.0)(torch.randn(50, 5, DIM)).sigmoid()
    assert 0.2 < scores.mean() < 0.35


@pytest.mark.parametrize("frames", [1, 3])
def test_evidence_and_attention_are_given_for_every_frame(frames):
    head = clip_head(frames)
    tokens, summary = torch.randn(2, 5, DIM), torch.randn(2, DIM)
    evidence, attention = head(tokens, summary, None)
    own = (tokens @ head.tokens.weight.T + head.tokens.bias).repeat_interleave(frames, 1)
    rest = summary @ head.summary.weight.T + head.summary.bias
    torch.testing.assert_close(evidence, own[..., 0] + rest)
    torch.testing.assert_close(attention, own[..., 1])


def test_frame_logits_are_evidence_and_draw_attention():
    head = clip_head(2)
    tokens, summary = torch.randn(2, 5, DIM), torch.randn(2, DIM)
    logits = torch.randn(2, 10)
    alone, together = head(tokens, summary, None), head(tokens, summary, logits)
    torch.testing.assert_close(together[0] - alone[0], logits)
    torch.testing.assert_close(together[1] - alone[1], head.sharpness * logits)


def test_initial_clip_scores_agree_with_frame_scores():
    torch.manual_seed(0)
    head, few = ClipHead(DIM, 1, 0.0), torch.full((1, 100), -4.0)
    few[0, 40:45] = 6
    tokens, summary, mask = torch.randn(1, 100, DIM), torch.randn(1, DIM), few > -99
    fake = pool(*head(tokens, summary, few), mask)
    genuine = pool(*head(tokens, summary, torch.full((1, 100), -4.0)), mask)
    assert fake > 4
    assert genuine < -3


@pytest.mark.parametrize("head", [FrameHead(DIM, 2, 0.5), ClipHead(DIM, 2, 0.5)])
def test_dropout_is_for_training_alone(head):
    tokens = torch.randn(2, 5, DIM)
    given = (tokens,) if isinstance(head, FrameHead) else (tokens, tokens[:, 0], None)
    assert not torch.equal(head(*given)[0], head(*given)[0])
    head.eval()
    assert torch.equal(head(*given)[0], head(*given)[0])


def test_pool_is_a_softmax_weighted_mean():
    evidence = torch.tensor([[1.0, 2.0, 4.0]])
    attention = torch.log(torch.tensor([[1.0, 2.0, 1.0]]))
    mask = torch.ones(1, 3, dtype=torch.bool)
    torch.testing.assert_close(pool(evidence, attention, mask), torch.tensor([9 / 4]))
    mask[0, 2] = False
    torch.testing.assert_close(pool(evidence, attention, mask), torch.tensor([5 / 3]))


def test_pool_stays_between_the_extremes_and_ignores_a_common_shift():
    evidence, attention = torch.randn(6, 20), 100 * torch.randn(6, 20)
    mask = torch.rand(6, 20) < 0.7
    pooled = pool(evidence, attention, mask)
    for row in range(6):
        own = evidence[row, mask[row]]
        assert own.min() - 1e-5 <= pooled[row] <= own.max() + 1e-5
    torch.testing.assert_close(pool(evidence, attention + 7, mask), pooled)


def odds(probability):
    return torch.log(probability / (1 - probability))


def test_poolings_by_hand():
    """Of frames with P(fake) 0.8 and 0.2: their mean 0.5, and (0.64 + 0.04) / 1 weighed."""
    evidence, mask = odds(torch.tensor([[0.8, 0.2]])), torch.ones(1, 2, dtype=torch.bool)
    for pooling, expected in (("mean", 0.5), ("linear_softmax", 0.68), ("max", 0.8)):
        result = pool(evidence, None, mask, pooling).sigmoid()
        torch.testing.assert_close(result, torch.tensor([expected]))


@pytest.mark.parametrize("pooling", ["linear_softmax", "max", "mean"])
def test_poolings_are_those_of_the_literature(pooling):
    evidence, mask = 3 * torch.randn(8, 40, dtype=torch.float64), torch.rand(8, 40) < 0.7
    result = pool(evidence, None, mask, pooling).sigmoid()
    for row in range(8):
        p = evidence[row, mask[row]].sigmoid()
        expected = {
            "linear_softmax": (p * p).sum() / p.sum(), "max": p.max(), "mean": p.mean()
        }  # fmt: skip
        torch.testing.assert_close(result[row], expected[pooling])


@pytest.mark.parametrize("pooling", ["linear_softmax", "max", "mean", "summary"])
@pytest.mark.parametrize("sure", [-1e3, 1e3])
def test_poolings_are_finite_for_any_logits(pooling, sure):
    evidence = torch.full((1, 9), sure, requires_grad=True)
    result = pool(evidence, None, torch.ones(1, 9, dtype=torch.bool), pooling)
    result.sum().backward()
    torch.testing.assert_close(result.detach(), torch.tensor([sure]))
    assert evidence.grad.isfinite().all()


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("junk", [1e4, float("inf"), float("nan")])
def test_masked_frames_do_not_matter_to_any_pooling(pooling, junk):
    evidence, attention, mask = *torch.randn(2, 1, 12), torch.arange(12)[None] < 9
    expected = pool(evidence[:, :9], attention[:, :9], mask[:, :9], pooling)
    for given in (evidence, attention):
        given[0, 9:] = junk
        given.requires_grad_()
    pooled = pool(evidence, attention, mask, pooling)
    pooled.sum().backward()
    torch.testing.assert_close(pooled, expected)
    for given in (evidence, attention) if pooling in ("attention", "two_way") else (evidence,):
        assert given.grad.isfinite().all()
        assert (given.grad[0, 9:] == 0).all()


def test_an_unknown_pooling_is_refused():
    mask = torch.ones(1, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match=f"'median': must be one of {', '.join(POOLINGS)}"):
        pool(torch.zeros(1, 3), None, mask, "median")


@pytest.mark.parametrize("frames", [1, 3])
def test_instances_are_the_frames_or_of_a_head_of_their_own(frames):
    tokens, logits = torch.randn(2, 5, DIM), torch.randn(2, 5 * frames)
    evidence, attention = InstanceHead(DIM, frames, 0.0)(tokens, tokens[:, 0], logits)
    assert evidence is logits
    assert attention is None
    alone = InstanceHead(DIM, frames, 0.0, frame_head=False)
    assert alone(tokens, tokens[:, 0], None)[0].shape == (2, 5 * frames)
    assert sum(p.numel() for p in InstanceHead(DIM, frames, 0.0).parameters()) == 0


def test_families_are_looked_for_where_frames_are_fake():
    head = AttributionHead(DIM, 2, 0.0, families=3)
    tokens, logits = torch.randn(2, 5, DIM), torch.randn(2, 10, requires_grad=True)
    families, attention = head(tokens, logits)
    own = (tokens @ head.proj.weight.T + head.proj.bias).repeat_interleave(2, 1)
    torch.testing.assert_close(families, own[..., :3])
    torch.testing.assert_close(attention, own[..., 3] + head.sharpness * logits)
    # a family is learned of fakes alone: it does not teach what is fake
    attention.sum().backward()
    assert logits.grad is None
    torch.testing.assert_close(head(tokens, None)[1], own[..., 3])


def test_family_logits_are_averaged_as_evidence_is():
    logits, attention = torch.randn(4, 12, 3), torch.randn(4, 12)
    mask = torch.rand(4, 12) < 0.7
    result = pool_families(logits, attention, mask)
    for family in range(3):
        torch.testing.assert_close(result[:, family], pool(logits[..., family], attention, mask))
