"""Settings of a SageMaker job, from a file and the command line, apart from those of the run."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from fakesound.config.checks import check_least
from fakesound.config.compose import keys_of, readable_errors
from fakesound.errors import InputError

ROLE = r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"
BUCKET = r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]"
MOST_KEPT_ALIVE = 21_600


def _from_environment(key: str) -> str | None:
    return field(default_factory=lambda: os.environ.get(f"FAKESOUND_{key}"))


@dataclass
class SageMakerConfig:
    """Settings of a training job, apart from those of the run."""

    role: str | None = _from_environment("ROLE")
    """ARN of the role of jobs, which must read the data and write to the bucket."""
    image: str | None = _from_environment("IMAGE")
    """Address of the container image in ECR, with a different tag for each version of the code."""
    bucket: str | None = _from_environment("BUCKET")
    """Bucket for checkpoints and results, without s3://."""
    prefix: str = "fakesound"
    """Folder in the bucket; runs are in PREFIX/NAME/IDENTITY."""
    region: str | None = None
    """AWS region; null: the region of the AWS settings, such as AWS_DEFAULT_REGION."""
    instance_type: str = "ml.g5.xlarge"
    """Instance type of a run."""
    volume_gb: int = 50
    """Disk of the instance in GB."""
    spot: bool = True
    """Use spot instances, which cost less; an interrupted run resumes when one is available."""
    max_run_seconds: int = 86_400
    """Longest time of training."""
    max_wait_seconds: int = 172_800
    """Longest time of training and waiting for spot instances together."""
    keep_alive_seconds: int = 0
    """Time that an instance is kept for the next run with the same settings; not with spot."""
    subnets: list[str] = field(default_factory=list)
    """Subnets of a VPC to run in; empty: no VPC."""
    security_groups: list[str] = field(default_factory=list)
    """Security groups of the VPC."""
    tags: dict[str, str] = field(default_factory=dict)
    """Tags of every job, such as for accounting."""
    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables of the container, visible to everyone who may describe the job."""

    def __post_init__(self) -> None:
        check_least("launch", self, volume_gb=1, max_run_seconds=1)
        if not 0 <= self.keep_alive_seconds <= MOST_KEPT_ALIVE:
            raise InputError(
                f"launch.keep_alive_seconds={self.keep_alive_seconds}: must be from 0 to "
                f"{MOST_KEPT_ALIVE}"
            )
        if self.spot and self.keep_alive_seconds:
            raise InputError(
                f"launch.keep_alive_seconds={self.keep_alive_seconds}: SageMaker keeps no spot "
                "instances; set launch.spot=false, or keep it at 0"
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
            raise InputError("launch.prefix=: must name a folder in the bucket")

    def require(self, *keys: str) -> None:
        """Raise `InputError`, naming all missing keys, unless all of ``keys`` are given."""
        missing = [key for key in keys if not getattr(self, key)]
        if missing:
            names = ", ".join(f"launch.{key}" for key in missing)
            variables = ", ".join(f"FAKESOUND_{key.upper()}" for key in missing)
            raise InputError(
                f"{names}: missing; give launch.{missing[0]}=..., set {variables}, or keep them in "
                "a file, --config FILE"
            )


def read_settings(words: Sequence[str], file: Path | None = None) -> SageMakerConfig:
    """Return the settings of the command line, a file and the environment, in this priority.

    Args:
        words: settings as ``launch.KEY=VALUE``.
        file: YAML file of keys without ``launch.``.

    Raises:
        InputError: in one line, for an invalid key or value.
    """
    with readable_errors():
        # one level deeper, so that errors name launch.KEY
        root = OmegaConf.create({"launch": SageMakerConfig})
        if file is not None:
            try:
                root.launch.merge_with(OmegaConf.load(file))
            except (YAMLError, OSError, ValueError, OmegaConfBaseException) as error:
                first = str(error).splitlines()[0]
                raise InputError(f"{file}: {first}; `launch --help` lists the keys") from error
        root.merge_with(OmegaConf.from_dotlist(list(words)))
        settings = OmegaConf.to_object(root.launch)
    assert isinstance(settings, SageMakerConfig)
    return settings


def keys_help() -> str:
    """Return every key with its default and meaning, as text."""
    lines = [
        f"  launch.{key}={default}\n      {meaning}"
        for key, default, meaning in keys_of(SageMakerConfig())
    ]
    variables = "role, image and bucket also come from FAKESOUND_ROLE, _IMAGE and _BUCKET"
    return "\n".join(["settings:", *lines, variables])
