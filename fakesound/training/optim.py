"""AdamW with the right parameters decayed, and a schedule by the step."""

import math
from collections.abc import Iterator

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Return two groups for AdamW: matrices with decay; everything else without.

    Vectors (biases, norms), embeddings named by a module's ``no_weight_decay()`` and parameters
    marked ``_no_weight_decay`` (A, D and the bias of the step size in Mamba) are not decayed: decay
    there pulls the dynamics of the scan towards a default that means nothing.
    """
    spared = set(_spared(model))
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        matrix = parameter.ndim > 1 and not getattr(parameter, "_no_weight_decay", False)
        (decayed if matrix and name not in spared else kept).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]


def warmup_cosine(
    optimiser: AdamW, steps: int, warmup: float, final: float, cooldown: float = 0.0
) -> LambdaLR:
    """Return a schedule by the step: linear warm-up, half a cosine down, then constant.

    Args:
        optimiser: whose learning rate is the peak.
        steps: number of steps in all.
        warmup: share of them until the peak.
        final: last learning rate as a share of the peak.
        cooldown: share of the steps, at the end, with the last learning rate.
    """
    rising = max(1, round(warmup * steps))
    falling = max(1, steps - rising - round(cooldown * steps))

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        progress = min(1.0, (step - rising) / falling)
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimiser, factor)


def _spared(model: nn.Module) -> Iterator[str]:
    for prefix, module in model.named_modules():
        if hasattr(module, "no_weight_decay"):
            for name in module.no_weight_decay():
                yield f"{prefix}.{name}" if prefix else name
