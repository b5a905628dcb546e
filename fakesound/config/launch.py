"""Where and how runs are done at Amazon SageMaker; no part of what a run is."""

import re
from dataclasses import dataclass, field

from fakesound.config.checks import at_least
from fakesound.errors import InputError

# what no one can guess
NEEDED = ("role", "image", "bucket")
ROLE = r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"
BUCKET = r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]"
MOST_KEPT_ALIVE = 21_600


@dataclass
class SageMakerConfig:
    """A training job, apart from the run that it does."""

    role: str | None = None
    """ARN of the role that jobs run as; it reads the data and writes the bucket."""
    image: str | None = None
    """Address of the container image in ECR, with a tag of its own for each state of the code."""
    bucket: str | None = None
    """Bucket for checkpoints and results, without s3://."""
    prefix: str = "fakesound"
    """Folder in the bucket; runs are in PREFIX/NAME/IDENTITY."""
    region: str | None = None
    """AWS region; null: that of the AWS settings, as AWS_DEFAULT_REGION."""
    instance_type: str = "ml.g5.xlarge"
    """Machine of a run."""
    instances: int = 1
    """Machines of a run; with several, torchrun joins them."""
    volume_gb: int = 50
    """Disk of each machine."""
    spot: bool = True
    """Spare capacity, for less; a run that it is taken from goes on when there is some again."""
    max_run_seconds: int = 86_400
    """Longest training."""
    max_wait_seconds: int = 172_800
    """Longest training and waiting for spare capacity together."""
    keep_alive_seconds: int = 0
    """How long a machine waits for the next run of the same settings; not with spot."""
    subnets: list[str] = field(default_factory=list)
    """Of a VPC to run in; none: no VPC."""
    security_groups: list[str] = field(default_factory=list)
    """Of the VPC."""
    tags: dict[str, str] = field(default_factory=dict)
    """Of every job, as for accounting."""
    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables of the container; visible to all who may describe the job."""

    def __post_init__(self) -> None:
        for key in ("instances", "volume_gb", "max_run_seconds"):
            at_least(f"launch.{key}", getattr(self, key), 1)
        if not 0 <= self.keep_alive_seconds <= MOST_KEPT_ALIVE:
            raise InputError(
                f"launch.keep_alive_seconds={self.keep_alive_seconds}: must be from 0 to "
                f"{MOST_KEPT_ALIVE}"
            )
        if self.spot and self.keep_alive_seconds:
            raise InputError(
                "launch.keep_alive_seconds: SageMaker keeps no spot machines; launch.spot=false, "
                "or leave it at 0"
            )
        if self.spot and self.max_wait_seconds < self.max_run_seconds:
            raise InputError(
                f"launch.max_wait_seconds={self.max_wait_seconds}: must be at least "
                f"launch.max_run_seconds={self.max_run_seconds}, which it includes"
            )
        if bool(self.subnets) != bool(self.security_groups):
            raise InputError("launch.subnets and launch.security_groups: give both or neither")
        if self.role is not None and not re.fullmatch(ROLE, self.role):
            raise InputError(
                f"launch.role={self.role}: must be an ARN, arn:aws:iam::ACCOUNT:role/NAME"
            )
        if self.bucket is not None and not re.fullmatch(BUCKET, self.bucket):
            raise InputError(f"launch.bucket={self.bucket}: must be the bare name of a bucket")
        self.prefix = self.prefix.strip("/")
        if not self.prefix:
            raise InputError("launch.prefix: must name a folder in the bucket")

    def check_given(self, *keys: str) -> None:
        """Raise `InputError`, naming all that is missing, unless every one of ``keys`` is given."""
        missing = [key for key in keys if not getattr(self, key)]
        if missing:
            names = ", ".join(f"launch.{key}" for key in missing)
            variables = ", ".join(f"FAKESOUND_{key.upper()}" for key in missing)
            raise InputError(
                f"{names}: missing; give launch.{missing[0]}=..., set {variables}, or keep them in "
                "a file, --config FILE"
            )
