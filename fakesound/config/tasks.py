"""Configuration of tasks: their heads, losses and weights."""

from dataclasses import dataclass

from fakesound.config.checks import check_choices, check_least, check_shares
from fakesound.errors import InputError

# each task has a key in HeadsConfig and a weight in LossConfig
TASKS = ("clip", "frame", "boundary", "attribution")
POOLINGS = ("attention", "two_way", "linear_softmax", "max", "mean", "summary")
WEIGHTINGS = ("fixed", "uncertainty", "dwa")
FRAME_LOSSES = ("bce", "focal", "dice")


@dataclass
class HeadsConfig:
    """Heads of the detector."""

    clip: bool = True
    """Head: is the clip fake?"""
    frame: bool = True
    """Head: which frames are fake?"""
    boundary: bool = False
    """Head: where do fake regions begin and end?"""
    attribution: bool = False
    """Head: which family of attacks generated the fake, a known or an unknown one?"""
    pooling: str = "attention"
    """Pooling of frame logits to the clip logit: "attention", "linear_softmax", "max" or "mean";
    "two_way": two hypotheses, a part is fake (attention) or all of it is fake (mean);
    "summary": only the summary of the backbone, such as the class token, as in the 2024 project."""
    neck: str = "none"
    """"mamba": Mamba blocks on the frame grid before the frame and boundary heads; or "none"."""
    neck_depth: int = 2
    """Number of blocks of the neck."""
    dropout: float = 0.0
    """Dropout on the input of the heads."""

    def __post_init__(self) -> None:
        if not (self.clip or self.frame):
            raise InputError("heads.clip and heads.frame: one of them must be true")
        check_choices("heads", self, pooling=POOLINGS, neck=("none", "mamba"))
        check_least("heads", self, neck_depth=1)
        check_shares("heads", self, "dropout")
        if self.pooling != "attention" and not self.clip:
            raise InputError(
                f"heads.pooling={self.pooling}: needs the clip head; set heads.clip=true"
            )
        if self.neck != "none" and not (self.frame or self.boundary):
            raise InputError(
                f"heads.neck={self.neck}: needs the frame or boundary head; set one of them true"
            )


@dataclass
class LossConfig:
    """Losses of the tasks and their weights."""

    weighting: str = "fixed"
    """"fixed", "uncertainty" (Kendall et al. 2018) or "dwa" (dynamic weight averaging)."""
    frame_share: float = 0.7
    """Weight of the frame loss; the clip loss gets the rest. A loss of weight 0 is only logged."""
    boundary: float = 0.3
    """Weight of the boundary loss, if that head is on."""
    attribution: float = 0.1
    """Weight of the attribution loss, if that head is on."""
    frame_loss: str = "bce"
    """"bce" with a weight for fake frames, "focal" or "dice"."""
    positive_weight: float | None = None
    """Weight of a fake frame relative to a genuine one, in "bce" and "focal"; null: the square root
    of the ratio of genuine to fake frames in training."""
    twin: float = 0.7
    """Weight of the loss that ranks a fake above its twin, in all tasks but attribution."""
    focal_gamma: float = 2.0
    """Focusing parameter of the focal loss."""
    temperature: float = 2.0
    """Temperature of dynamic weight averaging; weights are more even with a larger one."""

    def __post_init__(self) -> None:
        check_choices("loss", self, weighting=WEIGHTINGS, frame_loss=FRAME_LOSSES)
        check_shares("loss", self, "frame_share")
        check_least("loss", self, boundary=0, attribution=0, twin=0, focal_gamma=0)
        if self.positive_weight is not None and not self.positive_weight > 0:
            raise InputError(
                f"loss.positive_weight={self.positive_weight}: must be positive, or null"
            )
        if not self.temperature > 0:
            raise InputError(f"loss.temperature={self.temperature}: must be positive")

    def weight(self, task: str) -> float:
        """Return the weight of the loss of ``task``."""
        balance = {"clip": 1 - self.frame_share, "frame": self.frame_share}
        return balance[task] if task in balance else float(getattr(self, task))
