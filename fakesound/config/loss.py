"""How tasks are weighed and what their losses are."""

from dataclasses import dataclass

from fakesound.config.checks import at_least, one_of
from fakesound.config.heads import TASKS
from fakesound.errors import InputError


@dataclass
class LossConfig:
    """How tasks are weighed."""

    weighting: str = "fixed"
    """"fixed", "uncertainty" (Kendall et al. 2018) or "dwa" (dynamic weight averaging)."""
    clip: float = 0.3
    """Weight of the clip loss; 0 logs it only."""
    frame: float = 0.7
    """Weight of the frame loss; 0 logs it only."""
    boundary: float = 0.3
    """Weight of the boundary loss, where that head is on; 0 logs it only."""
    attribution: float = 0.1
    """Weight of the attribution loss, where that head is on; 0 logs it only."""
    frame_loss: str = "bce"
    """"bce" with a weight for fake frames from the data, "focal" or "dice"."""
    twin: float = 0.7
    """Weight, in all tasks but attribution, of the loss that ranks a fake above its twin."""
    focal_gamma: float = 2.0
    """Focusing of the focal loss."""
    temperature: float = 2.0
    """Softness of dynamic weight averaging."""

    def __post_init__(self) -> None:
        one_of("loss.weighting", self.weighting, ("fixed", "uncertainty", "dwa"))
        one_of("loss.frame_loss", self.frame_loss, ("bce", "focal", "dice"))
        for key in (*TASKS, "twin", "focal_gamma"):
            at_least(f"loss.{key}", getattr(self, key), 0)
        if self.temperature <= 0:
            raise InputError(f"loss.temperature={self.temperature}: must be positive")
