"""Losses of the tasks and their weighting.

If several processes share a batch, each gets the loss of the whole batch.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from fakesound.config.tasks import FRAME_LOSSES, WEIGHTINGS
from fakesound.models.collectives import process_count, shared_sum


def clip_loss(logit: Float[Tensor, " batch"], target: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
    """Return the mean binary cross-entropy of clips."""
    entropy = functional.binary_cross_entropy_with_logits(logit.float(), target)
    return _overall(entropy, len(target))


def hypothesis_loss(
    logit: Float[Tensor, " batch"],
    target: Float[Tensor, " batch"],
    counts: Bool[Tensor, " batch"],
    twin: float = 0.0,
) -> Float[Tensor, ""]:
    """Return the loss of one hypothesis on fakes of its kind and all genuine clips; 0 without any.

    Args:
        logit: logit of the hypothesis.
        target: 1 for fakes.
        counts: True for both examples of pairs of its kind.
        twin: weight of `twin_loss` on these pairs, added to the cross-entropy.
    """
    logit = logit.float()
    weight = (counts | (target <= 0)).float()
    entropy = functional.binary_cross_entropy_with_logits(logit, target, reduction="none")
    loss = shared_mean((entropy * weight).sum(), weight.sum())
    return loss + twin * twin_loss(logit, target * counts)


def frame_loss(
    logits: Float[Tensor, "batch frame"],
    target: Float[Tensor, "batch frame"],
    mask: Bool[Tensor, "batch frame"],
    kind: str = "bce",
    positive_weight: float = 1.0,
    gamma: float = 2.0,
) -> Float[Tensor, ""]:
    """Return the loss of the frames in ``mask``.

    Args:
        logits: logits of the frames.
        target: 1 for fake frames.
        mask: frames that are not padding.
        kind: "bce": cross-entropy; "focal": focal loss of Lin et al. (ICCV 2017); "dice": 1 minus
            the soft F1 over the batch (Milletari, Navab and Ahmadi, 3DV 2016).
        positive_weight: weight of a fake frame relative to a genuine one, in "bce" and "focal".
        gamma: focusing parameter of the focal loss.
    """
    logits, target = logits.float()[mask], target[mask]
    if kind == "dice":
        score = logits.sigmoid()
        common = shared_sum((score * target).sum())
        return 1 - (2 * common + 1) / (shared_sum(score.sum() + target.sum()) + 1)
    weight = torch.as_tensor(positive_weight, device=logits.device)
    if kind == "bce":
        entropy = functional.binary_cross_entropy_with_logits(logits, target, pos_weight=weight)
        return _overall(entropy, len(target))
    if kind != "focal":
        raise ValueError(f"frame loss {kind!r}: must be one of {', '.join(FRAME_LOSSES)}")
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    # clamped, since a power below 1 has no gradient at 0
    wrong = (-torch.expm1(-entropy)).clamp_min(1e-12)
    focal = ((1 + (weight - 1) * target) * wrong**gamma * entropy).mean()
    return _overall(focal, len(target))


def edge_target(
    target: Float[Tensor, "batch frame"], mask: Bool[Tensor, "batch frame"]
) -> Float[Tensor, "batch frame"]:
    """Return 1 for frames at an edge of a fake region, and for their neighbours.

    Edges are the first and the last fake frame of a region, if they are next to genuine audio. A
    region that begins or ends with the recording, or with the crop, has no edge there.

    Args:
        target: 1 for fake frames.
        mask: frames that are not padding.
    """
    fake, genuine = (target > 0) & mask, (target <= 0) & mask
    beside = torch.zeros_like(genuine)
    beside[:, 1:] |= genuine[:, :-1]
    beside[:, :-1] |= genuine[:, 1:]
    edge = (fake & beside).to(target.dtype)
    near = functional.max_pool1d(edge[:, None], 3, stride=1, padding=1)[:, 0]
    return near * mask


def attribution_loss(
    logits: Float[Tensor, "batch family"], family: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy of the families of fakes; 0 without fakes.

    Args:
        logits: logits of the families.
        family: index of the family of each clip; -1 for clips to ignore.
    """
    entropy = functional.cross_entropy(logits.float(), family, ignore_index=-1, reduction="sum")
    return shared_mean(entropy, (family >= 0).sum())


def twin_loss(
    logits: Float[Tensor, "batch ..."],
    target: Float[Tensor, "batch ..."],
    mask: Bool[Tensor, "batch ..."] | None = None,
) -> Float[Tensor, ""]:
    """Rank fakes above their genuine twins: logistic ranking loss (Burges et al., ICML 2005).

    Examples at even positions are fakes, each followed by its twin: the same recording without the
    attack. The loss is over fake clips or frames; the effect of the common recording cancels out.
    It is 0 if nothing is fake.

    Args:
        logits: logits of clips or frames.
        target: 1 for fake clips or frames.
        mask: frames that are not padding; None for no padding.
    """
    margin = (logits[0::2] - logits[1::2]).float()
    fake = target[0::2] > 0
    if mask is not None:
        # a partner may be shorter than its fake
        fake = fake & mask[0::2] & mask[1::2]
    return shared_mean(functional.softplus(-margin[fake]).sum(), fake.sum())


def _overall(mean: Float[Tensor, ""], count: int) -> Float[Tensor, ""]:
    """Return the mean over the whole batch from the ``mean`` over ``count`` values here."""
    return mean if process_count() == 1 else shared_mean(mean * count, torch.tensor(count))


def shared_mean(total: Float[Tensor, ""], count: Int[Tensor, ""]) -> Float[Tensor, ""]:
    """Return the mean over the whole batch from the ``total`` here; 0 without values."""
    total, number = shared_sum(torch.stack((total, count.to(total))))
    return total / number.clamp_min(1)


class LossWeighting(nn.Module):
    """Weighted sum of the losses of several tasks.

    "fixed" uses constant weights. "uncertainty" learns the weight of each task as the inverse of
    its homoscedastic variance, starting from ``weights`` (Kendall, Gal and Cipolla, CVPR
    2018). "dwa" multiplies ``weights`` by a softmax of the ratio of each loss in the last two
    epochs (dynamic weight averaging; Liu, Johns and Davison, CVPR 2019). Tasks of weight 0 are
    ignored.

    Args:
        kind: "fixed", "uncertainty" or "dwa".
        weights: weights of the tasks, by name.
        temperature: temperature of the softmax in "dwa"; larger is more even.
    """

    def __init__(self, kind: str, weights: dict[str, float], temperature: float = 2.0) -> None:
        super().__init__()
        if kind not in WEIGHTINGS:
            raise ValueError(f"weighting {kind!r}: must be one of {', '.join(WEIGHTINGS)}")
        self.kind, self.temperature = kind, temperature
        self.tasks = [task for task, weight in weights.items() if weight > 0]
        self.base = {task: weights[task] for task in self.tasks}
        count = len(self.tasks)
        self.log_variance = nn.Parameter(torch.zeros(count)) if kind == "uncertainty" else None
        # mean losses of the last two epochs; not buffers, which weight averaging would average
        self.history: list[list[float]] = []
        self.running: list[list[float]] = []

    def forward(self, losses: dict[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """Return the weighted sum of ``losses``."""
        chosen = torch.stack([losses[task] for task in self.tasks])
        if self.training and self.kind == "dwa":
            self.running.append(chosen.detach().tolist())
        total = (self.weights(chosen.device) * chosen).sum()
        if self.log_variance is not None:
            # penalty of a large variance; log sigma for a Bernoulli likelihood
            total = total + 0.5 * self.log_variance.sum()
        return total

    def weights(self, device: torch.device | None = None) -> Float[Tensor, " task"]:
        """Return the current weights of the tasks."""
        base = torch.tensor([self.base[task] for task in self.tasks], device=device)
        if self.log_variance is not None:
            return base * torch.exp(-self.log_variance)
        if len(self.history) == 2:
            before, last = (torch.tensor(losses, device=device) for losses in self.history)
            fall = last / before.clamp_min(1e-8)
            return base * len(base) * torch.softmax(fall / self.temperature, dim=0)
        return base

    def end_epoch(self) -> None:
        """Store the mean losses of the epoch."""
        if self.running:
            mean = torch.tensor(self.running).mean(0).tolist()
            self.history = [*self.history, mean][-2:]
        self.running = []

    def get_extra_state(self) -> dict[str, list[list[float]]]:
        """Return the losses of the last epochs and of the current one, for the checkpoint."""
        return {"history": self.history, "running": self.running}

    def set_extra_state(self, state: dict[str, list[list[float]]]) -> None:
        """Restore the losses from a checkpoint."""
        self.history, self.running = state["history"], state.get("running", [])
