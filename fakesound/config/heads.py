"""Heads."""

from dataclasses import dataclass

from fakesound.config.checks import share
from fakesound.errors import InputError


@dataclass
class HeadsConfig:
    """What is predicted."""

    clip: bool = True
    """Whether the clip is fake."""
    frame: bool = True
    """Which frames are fake."""
    dropout: float = 0.0
    """On what the heads see."""

    def __post_init__(self) -> None:
        if not (self.clip or self.frame):
            raise InputError("heads.clip and heads.frame: one of them must be true")
        share("heads.dropout", self.dropout)
