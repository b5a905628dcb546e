"""Heads."""

from dataclasses import dataclass

from fakesound.config.checks import at_least, one_of, share
from fakesound.errors import InputError

# what a detector can learn: each has a key here, and a weight of the same name among the losses
TASKS = ("clip", "frame", "boundary", "attribution")
POOLINGS = ("attention", "two_way", "linear_softmax", "max", "mean")


@dataclass
class HeadsConfig:
    """What is predicted."""

    clip: bool = True
    """Whether the clip is fake."""
    frame: bool = True
    """Which frames are fake."""
    boundary: bool = False
    """Where fake regions begin and end."""
    attribution: bool = False
    """Which family of attacks a fake is of, or an unknown one."""
    pooling: str = "attention"
    """Clip logit from its frames': "attention", "linear_softmax", "max" or "mean"; "two_way":
    from two hypotheses, that a part is fake (attention) and that all of it is (mean)."""
    neck: str = "none"
    """"mamba": Mamba blocks on the frame grid before the frame and boundary heads; or "none"."""
    neck_depth: int = 2
    """Blocks of the neck."""
    dropout: float = 0.0
    """On what the heads see."""

    def __post_init__(self) -> None:
        if not (self.clip or self.frame):
            raise InputError("heads.clip and heads.frame: one of them must be true")
        one_of("heads.pooling", self.pooling, POOLINGS)
        one_of("heads.neck", self.neck, ("none", "mamba"))
        at_least("heads.neck_depth", self.neck_depth, 1)
        share("heads.dropout", self.dropout)
        if self.pooling != "attention" and not self.clip:
            raise InputError(
                f"heads.pooling={self.pooling}: is of the clip head; set heads.clip=true"
            )
        if self.neck != "none" and not (self.frame or self.boundary):
            raise InputError(
                f"heads.neck={self.neck}: is of the frame and boundary heads; set one of them true"
            )
