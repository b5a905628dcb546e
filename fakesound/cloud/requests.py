"""What is asked of SageMaker: the bodies of CreateTrainingJob and CreateHyperParameterTuningJob."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fakesound.cloud.channels import WEIGHTS
from fakesound.cloud.jobs import Job
from fakesound.cloud.printed import OBJECTIVE, metric_definitions
from fakesound.config.launch import SageMakerConfig

# a job's name, of 63 characters at most: NAME-IDENTITY-TIME
LONGEST_NAME = 31
# a tuning job's has 32 at most
LONGEST_TUNING_NAME = 10
SHORT_IDENTITY = 8
CHECKPOINTS = "/opt/ml/checkpoints"


def place_of(settings: SageMakerConfig, name: str, identity: str | None = None) -> str:
    """Return the S3 address of all runs called ``name``, or of one that no other run shares."""
    folder = f"s3://{settings.bucket}/{settings.prefix}/{_slug(name, '_.')}"
    return folder if identity is None else f"{folder}/{identity}"


def stem_of(kind: str, job: Job) -> str:
    """Return how the names of all "training" or "tuning" jobs of this very run begin."""
    if kind == "tuning":
        return f"{_short(job.name, LONGEST_TUNING_NAME)}-{job.identity[:SHORT_IDENTITY]}-"
    return f"{_short(job.name, LONGEST_NAME)}-{job.identity}-"


def names_of(name: str) -> tuple[str, re.Pattern[str]]:
    """Return what the names of all jobs of a run, sweep or search contain, and how they look.

    A run called ``mt_vim`` is none of ``mt_vim_hour``; names that begin alike for as long as a
    job's name can tell are not told apart.
    """
    run = rf"{_short(name, LONGEST_NAME)}-[0-9a-f]{{16}}-\d{{12}}"
    # the trials of a search are training jobs named after it
    search = rf"{_short(name, LONGEST_TUNING_NAME)}-[0-9a-f]{{8}}-\d{{12}}(-.*)?"
    return _short(name, LONGEST_TUNING_NAME), re.compile(f"{run}|{search}")


def training_request(settings: SageMakerConfig, job: Job, now: datetime) -> dict[str, Any]:
    """Return the body of CreateTrainingJob for one run."""
    return {
        "TrainingJobName": f"{stem_of('training', job)}{_stamp(now)}",
        "HyperParameters": dict(job.hyperparameters),
        **_definition(settings, job),
        "Tags": _tags(settings, job),
    }


def tuning_request(settings: SageMakerConfig, job: Job, now: datetime) -> dict[str, Any]:
    """Return the body of CreateHyperParameterTuningJob for a search; best on validation wins."""
    assert job.ranges is not None
    return {
        "HyperParameterTuningJobName": f"{stem_of('tuning', job)}{_stamp(now)}",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": OBJECTIVE},
            "ResourceLimits": {
                "MaxNumberOfTrainingJobs": job.ranges.trials,
                "MaxParallelTrainingJobs": job.ranges.at_once,
            },
            "ParameterRanges": job.ranges.request(),
            "RandomSeed": job.ranges.seed,
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": dict(job.hyperparameters),
            **_definition(settings, job),
        },
        "Tags": _tags(settings, job),
    }


def _definition(settings: SageMakerConfig, job: Job) -> dict[str, Any]:
    """Return what one training and each trial of a search have in common."""
    place = place_of(settings, job.name, job.identity)
    resources: dict[str, Any] = {
        "InstanceType": settings.instance_type,
        "InstanceCount": settings.instances,
        "VolumeSizeInGB": settings.volume_gb,
    }
    if settings.keep_alive_seconds:
        resources["KeepAlivePeriodInSeconds"] = settings.keep_alive_seconds
    stopping = {"MaxRuntimeInSeconds": settings.max_run_seconds}
    if settings.spot:
        stopping["MaxWaitTimeInSeconds"] = settings.max_wait_seconds
    definition: dict[str, Any] = {
        "AlgorithmSpecification": {
            "TrainingImage": settings.image,
            "TrainingInputMode": "FastFile",
            "MetricDefinitions": metric_definitions(),
        },
        "RoleArn": settings.role,
        "OutputDataConfig": {"S3OutputPath": f"{place}/output"},
        "CheckpointConfig": {"S3Uri": f"{place}/checkpoints", "LocalPath": CHECKPOINTS},
        "ResourceConfig": resources,
        "StoppingCondition": stopping,
        "EnableManagedSpotTraining": settings.spot,
    }
    if job.channels:
        definition["InputDataConfig"] = [_channel(*item) for item in job.channels.items()]
    if settings.subnets:
        definition["VpcConfig"] = {
            "Subnets": list(settings.subnets),
            "SecurityGroupIds": list(settings.security_groups),
        }
    if settings.environment:
        definition["Environment"] = dict(settings.environment)
    return definition


def _channel(name: str, address: str) -> dict[str, Any]:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": address,
        "S3DataDistributionType": "FullyReplicated",
    }
    # weights are read whole at once, audio where it is needed
    mode = "File" if name == WEIGHTS else "FastFile"
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": mode}


def _tags(settings: SageMakerConfig, job: Job) -> list[dict[str, str]]:
    own: Mapping[str, str] = {
        "fakesound:name": _slug(job.name, "_."),
        "fakesound:identity": job.identity,
    }
    return [{"Key": key, "Value": value} for key, value in {**settings.tags, **own}.items()]


def _short(name: str, longest: int) -> str:
    return _slug(name)[:longest].strip("-")


def _slug(text: str, also: str = "") -> str:
    """Return ``text`` in letters, digits, hyphens and the signs in ``also``."""
    return re.sub(rf"[^a-zA-Z0-9{re.escape(also)}]+", "-", text).strip(f"-{also}") or "run"


def _stamp(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%y%m%d%H%M%S")
