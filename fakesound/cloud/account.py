"""What is done in an AWS account: submit without doubling, list, and fetch."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from fakesound.errors import InputError


@dataclass(frozen=True)
class Kind:
    """How SageMaker's operations and answers speak of a kind of job."""

    operation: str
    word: str
    end: str


KINDS = {
    "training": Kind("training_job", "TrainingJob", "TrainingEndTime"),
    "tuning": Kind(
        "hyper_parameter_tuning_job", "HyperParameterTuningJob", "HyperParameterTuningEndTime"
    ),
}
UNDER_WAY = ("InProgress", "Stopping")
DONE = "metrics.json"
# what another run of the same folder left
SUPERSEDED = ".superseded"
# checkpoints that serve only to go on with a run stay where they are
CHECKPOINTS, WANTED = "checkpoints", "best.ckpt"


@dataclass(frozen=True)
class State:
    """A job in the account.

    Attributes:
        kind: "training" or "tuning".
        name: of the job.
        status: InProgress, Stopping, Stopped, Failed or Completed.
        created: when it was submitted.
        ended: when it was over; None while it is not.
    """

    kind: str
    name: str
    status: str
    created: datetime
    ended: datetime | None


def check_installed() -> None:
    """Raise `InputError` where boto3 is missing."""
    if find_spec("boto3") is None:
        raise InputError("boto3: is not installed; pip install 'fakesound[aws]'")


def client(service: str, region: str | None) -> Any:  # noqa: ANN401  # boto3 makes its classes
    """Return a client of an AWS service, by the settings that AWS's own tools use.

    Raises:
        InputError: if boto3 is missing, or no region is known.
    """
    check_installed()
    import boto3

    with readable_answers():
        return boto3.client(service, region_name=region)


@contextmanager
def readable_answers() -> Iterator[None]:
    """Turn what AWS refuses, and what it has to be told first, into an `InputError` of one line.

    Where AWS cannot be reached, leave with exit code 1 and one line.
    """
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        NoRegionError,
        ParamValidationError,
        PartialCredentialsError,
    )

    try:
        yield
    except NoRegionError:
        raise InputError("launch.region: missing; give it, or set AWS_DEFAULT_REGION") from None
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise InputError(f"AWS: {error}; log in with `aws configure` or `aws sso login`") from None
    except ClientError as error:
        told = error.response.get("Error", {})
        message = " ".join(str(told.get("Message", "")).split())
        raise InputError(
            f"AWS: {error.operation_name} is refused, {told.get('Code')}: {message}"
        ) from error
    except ParamValidationError as error:
        raise InputError(f"AWS: {' '.join(str(error).split())}") from error
    except BotoCoreError as error:
        raise SystemExit(f"AWS: {' '.join(str(error).split())}") from error


def submit(sagemaker: Any, kind: str, request: Mapping[str, Any]) -> str:  # noqa: ANN401
    """Send ``request`` of a "training" or "tuning" job and return the name of the job."""
    operation, word = KINDS[kind].operation, KINDS[kind].word
    with readable_answers():
        getattr(sagemaker, f"create_{operation}")(**request)
    return str(request[f"{word}Name"])


def list_jobs(sagemaker: Any, kind: str, part: str) -> list[State]:  # noqa: ANN401
    """Return the "training" or "tuning" jobs whose names contain ``part``, newest first."""
    operation, word, end = KINDS[kind].operation, KINDS[kind].word, KINDS[kind].end
    with readable_answers():
        found = [
            State(
                kind,
                row[f"{word}Name"],
                row[f"{word}Status"],
                row["CreationTime"],
                row.get(end),
            )
            for page in sagemaker.get_paginator(f"list_{operation}s").paginate(NameContains=part)
            for row in page[f"{word}Summaries"]
        ]
    return sorted(found, key=lambda state: state.created, reverse=True)


def described(sagemaker: Any, job: str) -> dict[str, Any]:  # noqa: ANN401
    """Return all that SageMaker tells of a training job."""
    with readable_answers():
        found: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=job)
    return found


def why_not(sagemaker: Any, kind: str, stem: str, image: str | None) -> str | None:  # noqa: ANN401
    """Return why a run is not to be submitted; None where it is, newly or to go on.

    Raises:
        InputError: if it would go on with what another image, other code, has begun.
    """
    before = [s for s in list_jobs(sagemaker, kind, stem) if s.name.startswith(stem)]
    for state in before:
        if state.status in UNDER_WAY:
            return f"{state.name} is under way, not submitted again"
    for state in before:
        if state.status == "Completed":
            return f"{state.name} has finished, not submitted again; fetch it, or name=NEW"
    if kind == "training" and before:
        begun_by = described(sagemaker, before[0].name)["AlgorithmSpecification"]["TrainingImage"]
        if begun_by != image:
            raise InputError(
                f"launch.image={image}: {before[0].name} began this run with {begun_by}, and other "
                "code may not go on with it; give that image, or name=NEW to begin anew"
            )
    return None


def finished_runs(s3: Any, bucket: str, folder: str) -> dict[str, dict[str, int]]:  # noqa: ANN401
    """Return, of each finished run under ``folder``, the files to fetch and their sizes."""
    pages = s3.get_paginator("list_objects_v2")
    with readable_answers():
        sizes = {
            row["Key"]: int(row["Size"])
            for page in pages.paginate(Bucket=bucket, Prefix=f"{folder}/")
            for row in page.get("Contents", [])
        }
    runs = [key.removesuffix(f"/{DONE}") for key in sizes if key.endswith(f"/{DONE}")]
    return {
        run: {key: size for key, size in sizes.items() if key.startswith(f"{run}/") and _kept(key)}
        for run in runs
        if SUPERSEDED not in PurePosixPath(run).parts
    }


def fetch_run(s3: Any, bucket: str, run: str, sizes: Mapping[str, int], out: Path) -> int:  # noqa: ANN401
    """Download the files of ``run`` into ``out`` and return how many were not there before.

    ``metrics.json`` comes last: a folder that holds it is whole.
    """
    fetched = 0
    for key in sorted(sizes, key=lambda key: (key == f"{run}/{DONE}", key)):
        target = out / key.removeprefix(f"{run}/")
        if target.is_file() and target.stat().st_size == sizes[key]:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with readable_answers():
            s3.download_file(bucket, key, str(target))
        fetched += 1
    return fetched


def _kept(key: str) -> bool:
    path = PurePosixPath(key)
    if key.endswith("/") or ".." in path.parts or SUPERSEDED in path.parts:
        return False
    return path.parent.name != CHECKPOINTS or path.name == WANTED
