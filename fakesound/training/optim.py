"""Parameter groups of AdamW, and the learning rate schedule."""

import math
from collections.abc import Iterator

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Return two groups for AdamW: matrices with weight decay, all other parameters without.

    Without decay are vectors (biases, norms), embeddings in a module's ``no_weight_decay()`` and
    parameters with ``_no_weight_decay`` (A, D and the bias of the step size in Mamba), where decay
    would pull the dynamics of the scan towards an arbitrary value.
    """
    exempt = set(_exempt_names(model))
    decayed: list[nn.Parameter] = []
    undecayed: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        matrix = parameter.ndim > 1 and not getattr(parameter, "_no_weight_decay", False)
        (decayed if matrix and name not in exempt else undecayed).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": undecayed, "weight_decay": 0.0},
    ]


def warmup_cosine(
    optimiser: AdamW, steps: int, warmup: float, final: float, cooldown: float = 0.0
) -> LambdaLR:
    """Return a schedule by step: linear warm-up, cosine decay, then constant.

    Args:
        optimiser: optimiser with the peak learning rate.
        steps: total number of steps.
        warmup: share of the steps until the peak.
        final: last learning rate as a share of the peak.
        cooldown: share of the steps at the end with the last learning rate.
    """
    rising = max(1, round(warmup * steps))
    falling = max(1, steps - rising - round(cooldown * steps))

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        progress = min(1.0, (step - rising) / falling)
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimiser, factor)


def _exempt_names(model: nn.Module) -> Iterator[str]:
    for prefix, module in model.named_modules():
        if hasattr(module, "no_weight_decay"):
            for name in module.no_weight_decay():
                yield f"{prefix}.{name}" if prefix else name
