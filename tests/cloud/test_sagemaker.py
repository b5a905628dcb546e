"""Jobs and requests, checked against the service model of AWS and an account of moto."""

import re
from datetime import UTC, datetime
from itertools import product

import pytest

from fakesound.cloud import sagemaker
from fakesound.cloud.jobs import Job, expand, quoted
from fakesound.cloud.sagemaker import training_request
from fakesound.cloud.settings import SageMakerConfig, read_settings
from fakesound.config.compose import compose_config, run_config
from fakesound.config.saved import identity
from fakesound.errors import InputError

moto = pytest.importorskip("moto")
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/fakesound:1"
NOW = datetime(2026, 1, 31, 12, 30, 45, tzinfo=UTC)
GIVEN = {
    "role": "arn:aws:iam::123456789012:role/train",
    "image": IMAGE,
    "bucket": "a-bucket",
    "region": "eu-west-1",
}
MORE = {
    "subnets": ["subnet-1"],
    "security_groups": ["sg-1"],
    "tags": {"team": "audio forensics"},
    "environment": {"WANDB_MODE": "offline"},
}
JOB = Job("tasks", "0123456789abcdef", ("sweep=tasks", "seed=1"))


def settings(**changed):
    return SageMakerConfig(**(GIVEN | changed))


def job_of(*words):
    (job,) = expand(["experiment=smoke", *words], multirun=False)
    return job


@pytest.fixture(scope="session")
def problems():
    """Return a function that lists the errors of a request by SageMaker's service model."""
    import botocore.session
    from botocore.validate import ParamValidator

    model = botocore.session.get_session().get_service_model("sagemaker")
    shape = model.operation_model("CreateTrainingJob").input_shape

    def check(request):
        report = ParamValidator().validate(request, shape)
        if report.has_errors():
            return [report.generate_report()]
        return list(limits(request, shape))

    return check


def limits(value, shape):
    """Yield violated patterns, lengths and choices, which botocore leaves to the server."""
    if shape.type_name == "structure":
        for key, inner in value.items():
            yield from limits(inner, shape.members[key])
        return
    bounds = shape.metadata
    if shape.type_name == "list":
        for inner in value:
            yield from limits(inner, shape.member)
    elif shape.type_name == "map":
        for key, inner in value.items():
            yield from limits(key, shape.key)
            yield from limits(inner, shape.value)
    elif shape.type_name == "string":
        # Java's character classes in Python
        pattern = bounds.get("pattern", ".*").replace(r"\p{L}\p{Z}\p{N}_", r"\w ")
        if not re.fullmatch(pattern, value):
            yield f"{shape.name}: {value!r} is not {pattern}"
        if "enum" in bounds and value not in bounds["enum"]:
            yield f"{shape.name}: {value!r}"
    size = value if isinstance(value, int | float) else len(value)
    if not bounds.get("min", size) <= size <= bounds.get("max", size):
        yield f"{shape.name}: {value!r} is too small or too large"


@pytest.mark.parametrize(
    "changed", [{}, {"spot": False}, {"spot": False, "keep_alive_seconds": 600}, MORE]
)
@pytest.mark.parametrize("words", [(), ("data.root=s3://b/audio",)])
def test_requests_are_valid(problems, changed, words):
    request = training_request(settings(**changed), job_of(*words), NOW)
    assert problems(request) == []
    waits = "MaxWaitTimeInSeconds" in request["StoppingCondition"]
    assert waits == request["EnableManagedSpotTraining"]


def test_invalid_requests_are_found(problems):
    request = training_request(settings(), job_of(), NOW)
    wrong_algorithm = request["AlgorithmSpecification"] | {"ContainerArguments": ["a" * 257]}
    for key, wrong in (
        ("TrainingJobName", "a" * 64),
        ("RoleArn", "train"),
        ("StoppingCondition", {"MaxRuntimeInSeconds": 0}),
        ("AlgorithmSpecification", wrong_algorithm),
        ("Nosuch", 1),
    ):
        assert problems(request | {key: wrong}), key


@pytest.mark.parametrize("name", ["a", "x" * 80, "'with blanks, and = signs'", "__", "'größe'"])
def test_any_name_makes_a_valid_job(problems, name):
    assert problems(training_request(settings(), job_of(f"name={name}"), NOW)) == []


def composed(job):
    assert job.arguments[0] != "-m"
    return compose_config(list(job.arguments), with_hydra=True)


def test_a_run_is_one_job_in_a_folder_of_its_own():
    job = job_of("seed=3")
    own = identity(run_config(compose_config(["experiment=smoke", "seed=3"])))
    assert (job.name, job.identity) == ("smoke", own)
    config = composed(job)
    assert config.hydra.run.dir == f"/opt/ml/checkpoints/{own}"
    assert (config.seed, config.resume) == (3, "auto")
    request = training_request(settings(), job, NOW)
    assert (
        request["CheckpointConfig"]["S3Uri"] == f"s3://a-bucket/fakesound/smoke/{own}/checkpoints"
    )
    faster = training_request(settings(instance_type="ml.p4d.24xlarge"), job, NOW)
    assert faster["CheckpointConfig"] == request["CheckpointConfig"]


def test_a_grid_is_a_job_for_each_run():
    jobs = expand(["experiment=smoke", "seed=range(0,2)", "steps=1,2,1"], multirun=True)
    configs = [composed(job) for job in jobs]
    assert [str(config.hydra.mode) for config in configs] == ["RunMode.RUN"] * 4
    runs = [run_config(config) for config in configs]
    assert [identity(run) for run in runs] == [job.identity for job in jobs]
    assert {(run.seed, run.steps) for run in runs} == set(product((0, 1), (1, 2)))
    assert {run.logger.group for run in runs} == {"smoke"}
    assert len({run.name for run in runs}) == 4


def test_a_sweep_file_is_a_job_for_each_run():
    jobs = expand(["sweep=tasks", "seed=7"], multirun=False)
    assert len({job.identity for job in jobs}) == len(jobs) > 1
    config = run_config(composed(jobs[-1]))
    assert (identity(config), config.seed) == (jobs[-1].identity, 7)


def test_a_search_is_one_job(problems):
    (job,) = expand(["sweep=optuna", "hydra.sweeper.trials=9"], multirun=False)
    assert job.arguments[:3] == ("-m", "sweep=optuna", "hydra.sweeper.trials=9")
    assert f"hydra.sweep.dir=/opt/ml/checkpoints/{job.identity}" in job.arguments
    (other,) = expand(["sweep=optuna", "hydra.sweeper.trials=8"], multirun=False)
    assert other.identity != job.identity
    assert problems(training_request(settings(), job, NOW)) == []


@pytest.mark.parametrize(
    ("words", "multirun", "key"),
    [
        (["seed=0,1"], False, "seed"),
        (["optim.lr=interval(1e-4,1e-2)"], True, "optim.lr"),
        (["resume=never"], False, "resume"),
        (["hydra.run.dir=x"], False, "hydra.run.dir"),
        (["data.root=/recordings"], False, "data.root=/recordings"),
        (
            ["data.manifest=here/m.jsonl", "split=official", "split.held_out=null"],
            False,
            "data.manifest=here/m.jsonl",
        ),
        (["backbone.dpeth=3"], False, "backbone.dpeth"),
        ([f"name={'x' * 300}"], False, "name="),
    ],
)
def test_wrong_overrides_are_refused_before_anything_is_sent(words, multirun, key):
    with pytest.raises(InputError) as caught:
        expand(["experiment=smoke", *words], multirun)
    assert str(caught.value).startswith(key)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a,b=c", "it's", r"back\slash", "a\\", r"\'", "[x]", ""])
def test_quoted_values_are_parsed_unchanged(text):
    assert compose_config([f"name={quoted(text)}"]).name == text


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("launch.spt=true", "launch.spt"),
        ("launch.role=train", "launch.role=train"),
        ("launch.bucket=s3://b", "launch.bucket=s3://b"),
        ("launch.volume_gb=0", "launch.volume_gb=0"),
        ("launch.keep_alive_seconds=60", "launch.keep_alive_seconds=60"),
        ("launch.max_wait_seconds=5", "launch.max_wait_seconds=5"),
        ("launch.subnets=[a]", "launch.subnets"),
        ("launch.spot=maybe", "launch.spot"),
    ],
)
def test_wrong_settings_are_refused(word, key):
    with pytest.raises(InputError) as caught:
        read_settings([word])
    assert str(caught.value).startswith(key)


def test_the_command_line_wins_over_a_file_and_that_over_the_environment(tmp_path, monkeypatch):
    for key in ("ROLE", "IMAGE", "BUCKET"):
        monkeypatch.setenv(f"FAKESOUND_{key}", GIVEN["role"] if key == "ROLE" else "environment")
    file = tmp_path / "aws.yaml"
    file.write_text("bucket: from-file\nimage: from-file\ntags: {a: b}\n")
    result = read_settings(["launch.image=word", "launch.spot=false"], file)
    assert (result.role, result.bucket, result.image) == (GIVEN["role"], "from-file", "word")
    assert (result.spot, result.tags) == (False, {"a": "b"})


@pytest.fixture
def account(monkeypatch):
    """Return a client of an account of moto."""
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with moto.mock_aws():
        yield sagemaker.client("sagemaker", "eu-west-1")


def becomes(name, status):
    """Set the status of a job; jobs of moto complete at once."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.sagemaker.models import sagemaker_backends

    backend = sagemaker_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"]
    backend.training_jobs[name].training_job_status = status


def test_a_run_is_submitted_once_and_resumed_after_a_failure(account):
    first = sagemaker.submit(account, settings(), JOB).removeprefix("submitted ")
    kept = account.describe_training_job(TrainingJobName=first)
    assert kept["CheckpointConfig"]["LocalPath"] == "/opt/ml/checkpoints"
    for status in ("InProgress", "Stopping", "Completed"):
        becomes(first, status)
        assert sagemaker.submit(account, settings(), JOB).startswith(f"{first} is ")
    for status in ("Failed", "Stopped"):
        becomes(first, status)
        with pytest.raises(InputError, match=r"launch\.image=other"):
            sagemaker.submit(account, settings(image="other"), JOB)
    assert [state.name for state in sagemaker.jobs_called(account, "tasks")] == [first]
    assert sagemaker.jobs_called(account, "task") == []


def test_finished_runs_are_fetched_and_others_not(account, tmp_path):
    s3 = sagemaker.client("s3", "us-east-1")
    s3.create_bucket(Bucket="a-bucket")
    kept = ("metrics.json", "scores.jsonl", "checkpoints/best.ckpt", "wandb/run/a.wandb")
    others = ("checkpoints/last.ckpt", ".superseded/t/metrics.json", "../../up")
    keys = [f"id/checkpoints/1/{name}" for name in (*kept, *others)]
    for key in (*keys, "going/checkpoints/2/epochs.jsonl"):
        s3.put_object(Bucket="a-bucket", Key=f"fakesound/tasks/{key}", Body=key.encode())
    s3.put_object(Bucket="a-bucket", Key="fakesound/tasks_too/x/3/metrics.json", Body=b"")
    runs = sagemaker.finished_runs(s3, sagemaker.address_of(settings(), "tasks"))
    ((run, sizes),) = runs.items()
    assert run == "fakesound/tasks/id/checkpoints/1"
    assert sagemaker.fetch_run(s3, "a-bucket", run, sizes, tmp_path / "1") == 4
    result = {str(p.relative_to(tmp_path / "1")) for p in tmp_path.rglob("*") if p.is_file()}
    assert result == set(kept)
    assert sagemaker.fetch_run(s3, "a-bucket", run, sizes, tmp_path / "1") == 0


def test_a_broken_fetch_does_not_look_finished(account, tmp_path, monkeypatch):
    s3, order = sagemaker.client("s3", "us-east-1"), []
    monkeypatch.setattr(s3, "download_file", lambda bucket, key, target: order.append(key))
    sizes = dict.fromkeys(("r/metrics.json", "r/a", "r/z"), 1)
    sagemaker.fetch_run(s3, "a-bucket", "r", sizes, tmp_path)
    assert order == ["r/a", "r/z", "r/metrics.json"]


def test_refusals_of_aws_are_one_line(account, monkeypatch, tmp_path):
    s3 = sagemaker.client("s3", "us-east-1")
    with pytest.raises(InputError, match="NoSuchBucket") as caught:
        sagemaker.finished_runs(s3, "s3://not-there/runs")
    assert "\n" not in str(caught.value)
    for key in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"launch\.region"):
        sagemaker.client("sagemaker", None)
    monkeypatch.setattr(sagemaker, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="boto3"):
        sagemaker.client("sagemaker", "eu-west-1")
