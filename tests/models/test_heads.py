import pytest
import torch

from fakesound.models.heads import ClipHead, FrameHead, pool

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


def test_at_the_start_a_clip_is_as_fake_as_its_frames_say():
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


@pytest.mark.parametrize("junk", [1e4, float("inf"), float("nan")])
def test_masked_frames_do_not_matter(junk):
    evidence, attention = torch.randn(2, 12), torch.randn(2, 12)
    mask = torch.arange(12).expand(2, 12) < torch.tensor([[9], [12]])
    expected = pool(evidence[:1, :9], attention[:1, :9], mask[:1, :9])
    evidence[0, 9:], attention[0, 9:] = junk, junk
    evidence.requires_grad_(), attention.requires_grad_()
    pooled = pool(evidence, attention, mask)
    torch.testing.assert_close(pooled[:1], expected)
    pooled.sum().backward()
    for given in (evidence, attention):
        assert given.grad.isfinite().all()
        assert (given.grad[0, 9:] == 0).all()
        assert (given.grad[0, :9] != 0).all()
