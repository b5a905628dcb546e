"""Runs as SageMaker training jobs: expand a command line, submit, list and fetch.

A job runs ``python -m fakesound.cloud.container`` with the overrides of the run as container
arguments. The run is in /opt/ml/checkpoints/IDENTITY, which SageMaker copies to S3 and restores
after an interruption.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.types import RunMode
from omegaconf import DictConfig

from fakesound.cloud.settings import SageMakerConfig
from fakesound.config import RunConfig
from fakesound.config.compose import compose_config, readable_errors, run_config
from fakesound.config.data import PARTS
from fakesound.config.saved import identity
from fakesound.errors import InputError

CHECKPOINTS = "/opt/ml/checkpoints"
ENTRYPOINT = ("python", "-m", "fakesound.cloud.container")
# limits of SageMaker's ContainerArguments
MOST_ARGUMENTS, LONGEST_ARGUMENT = 100, 256
# a job's name has at most 63 characters: NAME-IDENTITY-TIME
LONGEST_NAME = 31
# keys that the container sets
RESERVED = ("resume", "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra/launcher")
UNDER_WAY = ("InProgress", "Stopping")
DONE, SUPERSEDED = "metrics.json", ".superseded"
# the last checkpoint is only for resuming and is not downloaded
LAST_CHECKPOINTS = ("checkpoints/last.ckpt", "checkpoints/previous.ckpt")


@dataclass(frozen=True)
class Job:
    """A run, or a search of many runs, to submit.

    Attributes:
        name: name of the run or sweep, and of its folder in the bucket.
        identity: digest of everything that determines its results.
        arguments: arguments of ``fakesound run``.
    """

    name: str
    identity: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class State:
    """A training job in the account."""

    name: str
    status: str
    created: datetime
    ended: datetime | None


def expand(words: Sequence[str], multirun: bool) -> list[Job]:
    """Return the jobs of a command line: one for each run of a grid, one for a whole search.

    Args:
        words: overrides of ``fakesound run``.
        multirun: whether several values of a key mean several runs, as with ``-m``; a sweep file
            can set this too.

    Raises:
        InputError: if an override, or a run of the grid, is invalid.
    """
    overrides, sweeper = _overrides(words, multirun)
    swept = {key for key, override in overrides.items() if override.is_sweep_override()}
    fixed = [_text(override) for key, override in overrides.items() if key not in swept]
    if sweeper is None:
        return [_job(fixed)]
    if "BasicSweeper" not in str(sweeper.get("_target_")):
        # one job for a search, since each run depends on the previous ones
        base = _job(fixed)
        what = "\n".join([base.identity, *sorted(words)])
        own = hashlib.sha256(what.encode()).hexdigest()[:16]
        place = [f"hydra.sweep.dir={CHECKPOINTS}/{own}", "resume=auto"]
        return [Job(base.name, own, _checked(["-m", *words, *place]))]
    for key in swept:
        if isinstance(overrides[key].value(), IntervalSweep):
            raise InputError(f"{key}: is a range to search; add sweep=optuna, or give its values")
    (batch,) = BasicSweeper.split_arguments(list(overrides.values()), None)
    jobs = [_job(texts, [t for t in texts if t.partition("=")[0] in swept]) for texts in batch]
    return list({job.identity: job for job in jobs}.values())


def _overrides(
    words: Sequence[str], multirun: bool
) -> tuple[dict[str, Override], DictConfig | None]:
    """Return all overrides by key, and Hydra's sweeper if they mean several runs."""
    parser = OverridesParser.create()
    with readable_errors():
        given = parser.parse_overrides(list(words))
    for override in given:
        if (override.key_or_group or "") in RESERVED:
            raise InputError(f"{override.key_or_group}: is set by the launcher; remove it")
    plain = [word for word, o in zip(words, given, strict=True) if not o.is_sweep_override()]
    hydra = compose_config(plain, with_hydra=True).hydra
    sweeper = hydra.sweeper if multirun or hydra.mode == RunMode.MULTIRUN else None
    params = (sweeper.get("params") or {}) if sweeper is not None else {}
    with readable_errors():
        swept = parser.parse_overrides([f"{key}={values}" for key, values in params.items()])
    # the command line comes last, since it overrides the sweep file
    overrides = {
        override.get_key_element(): override
        for override in [*swept, *given]
        if not str(override.key_or_group).startswith("hydra")
    }
    if sweeper is None:
        for key, override in overrides.items():
            if override.is_sweep_override():
                raise InputError(f"{key}: has several values; add -m to run each")
    return overrides, sweeper


def _job(texts: Sequence[str], varied: Sequence[str] = ()) -> Job:
    """Return the job of one run, named at W&B by the keys that vary in its sweep."""
    config = run_config(compose_config(texts))
    _check_remote(config)
    own = identity(config)
    arguments = [*texts, f"hydra.run.dir={CHECKPOINTS}/{own}", "hydra.mode=RUN", "resume=auto"]
    if varied:
        group = config.logger.group or config.name
        arguments += [f"name={quoted(','.join(varied))}", f"logger.group={quoted(group)}"]
    return Job(config.name, own, _checked(arguments))


def _text(override: Override) -> str:
    if override.is_delete() and override.value() is None:
        return override.get_key_element()
    return f"{override.get_key_element()}={override.get_value_element_as_str()}"


def quoted(text: str) -> str:
    """Return ``text`` quoted as one value of Hydra's grammar."""

    # backslashes are literal, except before a quote and at the end
    def escaped(match: re.Match[str]) -> str:
        return match[1] * 2 + (r"\'" if match[2] else "")

    return "'" + re.sub(r"(\\*)('|$)", escaped, text) + "'"


def _checked(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return ``arguments``, which must be within the limits of SageMaker."""
    for argument in arguments:
        if len(argument) > LONGEST_ARGUMENT:
            raise InputError(
                f"{argument[:60]}...: has {len(argument)} characters, SageMaker allows "
                f"{LONGEST_ARGUMENT}; put it into a file under conf/ and rebuild the image"
            )
    if len(arguments) > MOST_ARGUMENTS:
        raise InputError(
            f"{len(arguments)} arguments: SageMaker allows {MOST_ARGUMENTS}; put some into a file "
            "under conf/ and rebuild the image"
        )
    return tuple(arguments)


def _check_remote(config: RunConfig) -> None:
    """Raise `InputError` for local data, with the command that copies it to S3."""
    given = {f"data.{key}": getattr(config.data, key) for key in ("root", "manifest", "extra")}
    given |= {f"data.{part}": getattr(config.data, part) for part in PARTS}
    given["init.path"] = config.init.path
    for key, value in given.items():
        for place in [value] if isinstance(value, str) else value or []:
            if "://" not in place:
                # the audio of a manifest is usually in its folder
                folder = key in ("data.root", "data.extra", "init.path")
                path = Path(place) if folder else Path(place).parent
                raise InputError(
                    f"{key}={place}: is on this machine; copy it with `aws s3 cp --recursive "
                    f"{path} s3://BUCKET/{path.name}` and give its s3:// address"
                )


def place_of(settings: SageMakerConfig, name: str) -> str:
    """Return the S3 address of all runs called ``name``."""
    return f"s3://{settings.bucket}/{settings.prefix}/{_slug(name, '_.')}"


def stem_of(job: Job) -> str:
    """Return the prefix of the names of all training jobs of this run."""
    return f"{_short(job.name)}-{job.identity}-"


def training_request(settings: SageMakerConfig, job: Job, now: datetime) -> dict[str, Any]:
    """Return the body of CreateTrainingJob."""
    place = f"{place_of(settings, job.name)}/{job.identity}"
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
        "OutputDataConfig": {"S3OutputPath": f"{place}/output"},
        "CheckpointConfig": {"S3Uri": f"{place}/checkpoints", "LocalPath": CHECKPOINTS},
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


def finished_runs(s3: Any, place: str) -> dict[str, dict[str, int]]:  # noqa: ANN401
    """Return the files of each finished run under the S3 address ``place``, with their sizes."""
    bucket, _, folder = place.removeprefix("s3://").partition("/")
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
