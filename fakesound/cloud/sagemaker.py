"""Submit, list and fetch runs as SageMaker training jobs."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from fakesound.cloud.jobs import CHECKPOINTS, Job
from fakesound.cloud.settings import SageMakerConfig
from fakesound.errors import InputError

ENTRYPOINT = ("python", "-m", "fakesound.cloud.container")
# a job's name has at most 63 characters: NAME-IDENTITY-TIME
LONGEST_NAME = 31
UNDER_WAY = ("InProgress", "Stopping")
DONE, SUPERSEDED = "metrics.json", ".superseded"
# the last checkpoint is only for resuming and is not downloaded
LAST_CHECKPOINTS = ("checkpoints/last.ckpt", "checkpoints/previous.ckpt")


@dataclass(frozen=True)
class State:
    """A training job in the account."""

    name: str
    status: str
    created: datetime
    ended: datetime | None


def address_of(settings: SageMakerConfig, name: str) -> str:
    """Return the S3 address of all runs called ``name``."""
    return f"s3://{settings.bucket}/{settings.prefix}/{_slug(name, '_.')}"


def stem_of(job: Job) -> str:
    """Return the prefix of the names of all training jobs of this run."""
    return f"{_short(job.name)}-{job.identity}-"


def training_request(settings: SageMakerConfig, job: Job, now: datetime) -> dict[str, Any]:
    """Return the body of CreateTrainingJob."""
    address = f"{address_of(settings, job.name)}/{job.identity}"
    tags = {"fakesound:name": _slug(job.name, "_."), "fakesound:identity": job.identity}
    request: dict[str, Any] = {
        "TrainingJobName": f"{stem_of(job)}{now.astimezone(UTC):%y%m%d%H%M%S}",
        "AlgorithmSpecification": {
            "TrainingImage": settings.image,
            "TrainingInputMode": "FastFile",
            "ContainerEntrypoint": list(ENTRYPOINT),
            "ContainerArguments": list(job.arguments),
        },
        "RoleArn": settings.role,
        "OutputDataConfig": {"S3OutputPath": f"{address}/output"},
        "CheckpointConfig": {"S3Uri": f"{address}/checkpoints", "LocalPath": CHECKPOINTS},
        "ResourceConfig": {
            "InstanceType": settings.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": settings.volume_gb,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": settings.max_run_seconds},
        "EnableManagedSpotTraining": settings.spot,
        "Tags": [{"Key": k, "Value": v} for k, v in {**settings.tags, **tags}.items()],
    }
    if settings.keep_alive_seconds:
        request["ResourceConfig"]["KeepAlivePeriodInSeconds"] = settings.keep_alive_seconds
    if settings.spot:
        request["StoppingCondition"]["MaxWaitTimeInSeconds"] = settings.max_wait_seconds
    if settings.subnets:
        vpc = {"Subnets": settings.subnets, "SecurityGroupIds": settings.security_groups}
        request["VpcConfig"] = {key: list(value) for key, value in vpc.items()}
    if settings.environment:
        request["Environment"] = dict(settings.environment)
    return request


def _short(name: str) -> str:
    return _slug(name)[:LONGEST_NAME].strip("-")


def _slug(text: str, also: str = "") -> str:
    """Return ``text`` in letters, digits, hyphens and the characters in ``also``."""
    return re.sub(rf"[^a-zA-Z0-9{re.escape(also)}]+", "-", text).strip(f"-{also}") or "run"


def client(service: str, region: str | None) -> Any:  # noqa: ANN401  # boto3 makes its classes
    """Return a client of an AWS service, configured like the AWS command line.

    Raises:
        InputError: if boto3 is missing, or no region is set.
    """
    if find_spec("boto3") is None:
        raise InputError("boto3: is not installed; pip install 'fakesound[aws]'")
    import boto3

    with readable_answers():
        return boto3.client(service, region_name=region)


@contextmanager
def readable_answers() -> Iterator[None]:
    """Turn an error of AWS or missing credentials into an `InputError` of one line.

    If AWS cannot be reached, exit with code 1 and one line.
    """
    from botocore import exceptions

    try:
        yield
    except exceptions.NoRegionError:
        raise InputError("launch.region=null: give a region, or set AWS_DEFAULT_REGION") from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
        raise InputError(f"AWS: {error}; log in with `aws configure` or `aws sso login`") from None
    except exceptions.ClientError as error:
        answer = error.response.get("Error", {})
        message = " ".join(str(answer.get("Message", "")).split())
        raise InputError(
            f"AWS: {error.operation_name} was refused, {answer.get('Code')}: {message}"
        ) from error
    except exceptions.ParamValidationError as error:
        raise InputError(f"AWS: {' '.join(str(error).split())}") from error
    except exceptions.BotoCoreError as error:
        raise SystemExit(f"AWS: {' '.join(str(error).split())}") from error


def submit(sagemaker: Any, settings: SageMakerConfig, job: Job) -> str:  # noqa: ANN401
    """Submit a run unless it is running or finished; return a message.

    Raises:
        InputError: if it would resume a run of another image, with other code.
    """
    before = list_jobs(sagemaker, stem_of(job))
    for state in before:
        if state.status in UNDER_WAY:
            return f"{state.name} is under way, not submitted again"
    for state in before:
        if state.status == "Completed":
            return f"{state.name} is finished, not submitted again; fetch it, or give name=NEW"
    if before:
        began = describe(sagemaker, before[0].name)["AlgorithmSpecification"]["TrainingImage"]
        if began != settings.image:
            raise InputError(
                f"launch.image={settings.image}: {before[0].name} started this run with {began}; "
                "give that image, or name=NEW to start again"
            )
    request = training_request(settings, job, datetime.now(UTC))
    with readable_answers():
        sagemaker.create_training_job(**request)
    return f"submitted {request['TrainingJobName']}"


def list_jobs(sagemaker: Any, stem: str) -> list[State]:  # noqa: ANN401
    """Return the training jobs whose names begin with ``stem``, newest first."""
    with readable_answers():
        states = [
            State(
                row["TrainingJobName"],
                row["TrainingJobStatus"],
                row["CreationTime"],
                row.get("TrainingEndTime"),
            )
            for page in sagemaker.get_paginator("list_training_jobs").paginate(NameContains=stem)
            for row in page["TrainingJobSummaries"]
            if row["TrainingJobName"].startswith(stem)
        ]
    return sorted(states, key=lambda state: state.created, reverse=True)


def jobs_called(sagemaker: Any, name: str) -> list[State]:  # noqa: ANN401
    """Return the training jobs of a run or sweep; ``mt_vim`` does not match ``mt_vim_hour``."""
    pattern = re.compile(rf"{_short(name)}-[0-9a-f]{{16}}-\d{{12}}")
    return [s for s in list_jobs(sagemaker, _short(name)) if pattern.fullmatch(s.name)]


def describe(sagemaker: Any, job: str) -> dict[str, Any]:  # noqa: ANN401
    """Return SageMaker's description of a training job."""
    with readable_answers():
        return dict(sagemaker.describe_training_job(TrainingJobName=job))


def finished_runs(s3: Any, address: str) -> dict[str, dict[str, int]]:  # noqa: ANN401
    """Return the files of each finished run under the S3 ``address``, with their sizes."""
    bucket, _, folder = address.removeprefix("s3://").partition("/")
    with readable_answers():
        sizes = {
            row["Key"]: int(row["Size"])
            for page in s3.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=f"{folder}/"
            )
            for row in page.get("Contents", [])
            if not {SUPERSEDED, ".."} & set(PurePosixPath(row["Key"]).parts)
            and not row["Key"].endswith(("/", *LAST_CHECKPOINTS))
        }
    runs = [key.removesuffix(f"/{DONE}") for key in sizes if key.endswith(f"/{DONE}")]
    return {
        run: {key: size for key, size in sizes.items() if key.startswith(f"{run}/")} for run in runs
    }


def fetch_run(s3: Any, bucket: str, run: str, sizes: Mapping[str, int], out: Path) -> int:  # noqa: ANN401
    """Download the files of ``run`` into ``out`` and return the number of new ones.

    ``metrics.json`` comes last, so that a folder with this file is complete.
    """
    new = 0
    for key in sorted(sizes, key=lambda key: (key == f"{run}/{DONE}", key)):
        target = out / key.removeprefix(f"{run}/")
        if target.is_file() and target.stat().st_size == sizes[key]:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with readable_answers():
            s3.download_file(bucket, key, str(target))
        new += 1
    return new
