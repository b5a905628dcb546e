"""Submitting, listing and fetching, in an AWS that moto makes up."""

from datetime import UTC, datetime

import pytest

from fakesound.cloud import account
from fakesound.cloud.account import (
    client,
    fetch_run,
    finished_runs,
    list_jobs,
    submit,
    why_not,
)
from fakesound.cloud.jobs import Job
from fakesound.cloud.ranges import Ranges
from fakesound.cloud.requests import stem_of, training_request, tuning_request
from fakesound.errors import InputError
from tests.cloud.conftest import IMAGE

moto = pytest.importorskip("moto")
JOB = Job("tasks", "0123456789abcdef", {"sweep": "tasks", "seed": "1"})
OTHER = Job("tasks", "fedcba9876543210", {"sweep": "tasks", "seed": "2"})
SEARCH = Job("find", "0123456789abcdef", {}, {}, Ranges({}, {"a.b": (0.1, 1.0, True)}, {}, 4, 1, 0))


@pytest.fixture(autouse=True)
def made_up(monkeypatch):
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with moto.mock_aws():
        yield


@pytest.fixture
def sagemaker():
    return client("sagemaker", "eu-west-1")


def at(second):
    return datetime(2026, 1, 31, 12, 0, second, tzinfo=UTC)


def becomes(job, status):
    """Make a job of moto's, which are finished at once, stand where it is to stand."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.sagemaker.models import sagemaker_backends

    backend = sagemaker_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"]
    backend.training_jobs[job].training_job_status = status


def sent(sagemaker, settings, job=JOB, second=0, **changed):
    return submit(sagemaker, "training", training_request(settings(**changed), job, at(second)))


def reason(sagemaker, job=JOB, image=IMAGE):
    return why_not(sagemaker, "training", stem_of("training", job), image)


def test_what_is_sent_arrives(sagemaker, settings):
    name = sent(sagemaker, settings, tags={"team": "audio"})
    kept = sagemaker.describe_training_job(TrainingJobName=name)
    asked = training_request(settings(), JOB, at(0))
    for key in ("HyperParameters", "CheckpointConfig", "StoppingCondition", "ResourceConfig"):
        assert kept[key] == asked[key]
    tags = sagemaker.list_tags(ResourceArn=kept["TrainingJobArn"])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {
        "team": "audio",
        "fakesound:name": "tasks",
        "fakesound:identity": JOB.identity,
    }


def test_a_run_is_not_doubled(sagemaker, settings):
    assert reason(sagemaker) is None
    name = sent(sagemaker, settings)
    for status in ("InProgress", "Stopping"):
        becomes(name, status)
        assert reason(sagemaker) == f"{name} is under way, not submitted again"
    becomes(name, "Completed")
    assert str(reason(sagemaker)).startswith(f"{name} has finished")
    # nor is another run taken for it
    assert reason(sagemaker, OTHER) is None


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_run_that_broke_off_goes_on_in_its_own_place(sagemaker, settings, status):
    first = sent(sagemaker, settings)
    becomes(first, status)
    assert reason(sagemaker) is None
    again = sent(sagemaker, settings, second=1)
    assert again != first
    one, other = (
        sagemaker.describe_training_job(TrainingJobName=name)["CheckpointConfig"]
        for name in (first, again)
    )
    assert one == other
    # what is under way counts, whatever came before
    becomes(again, "InProgress")
    assert again in str(reason(sagemaker))


def test_other_code_does_not_go_on_with_it(sagemaker, settings):
    becomes(sent(sagemaker, settings), "Failed")
    with pytest.raises(InputError, match="other code may not go on with it") as caught:
        reason(sagemaker, image="newer")
    assert IMAGE in str(caught.value)


def test_jobs_are_listed_newest_first_over_all_pages(sagemaker, settings):
    names = [sent(sagemaker, settings, second=second) for second in range(12)]
    sent(sagemaker, settings, OTHER)
    pages = sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains=JOB.identity, PaginationConfig={"PageSize": 5}
    )
    assert len(list(pages)) > 1
    found = list_jobs(sagemaker, "training", JOB.identity)
    assert {state.name for state in found} == set(names)
    assert [state.created for state in found] == sorted(
        (state.created for state in found), reverse=True
    )


def test_a_search_is_sent_and_not_doubled(sagemaker, settings):
    stem = stem_of("tuning", SEARCH)
    assert why_not(sagemaker, "tuning", stem, IMAGE) is None
    name = submit(sagemaker, "tuning", tuning_request(settings(), SEARCH, at(0)))
    (state,) = list_jobs(sagemaker, "tuning", stem)
    assert (state.kind, state.name) == ("tuning", name)
    assert why_not(sagemaker, "tuning", stem, IMAGE) is not None


def test_finished_runs_are_fetched_and_others_not(tmp_path):
    s3 = client("s3", "us-east-1")
    s3.create_bucket(Bucket="a-bucket")
    for key in (
        "done/checkpoints/1/metrics.json", "done/checkpoints/1/scores.jsonl",
        "done/checkpoints/1/checkpoints/best.ckpt", "done/checkpoints/1/checkpoints/last.ckpt",
        "done/checkpoints/1/wandb/run/a.wandb", "done/checkpoints/1/.superseded/t/metrics.json",
        "done/output/job/output/model.tar.gz",
        "going/checkpoints/2/epochs.jsonl", "going/checkpoints/2/checkpoints/last.ckpt",
    ):  # fmt: skip
        s3.put_object(Bucket="a-bucket", Key=f"runs/tasks/{key}", Body=key.encode())
    s3.put_object(Bucket="a-bucket", Key="runs/tasks_too/x/checkpoints/3/metrics.json", Body=b"")
    s3.put_object(Bucket="a-bucket", Key="runs/tasks/done/checkpoints/1/../../up", Body=b"")
    runs = finished_runs(s3, "a-bucket", "runs/tasks")
    (run,) = runs
    assert run == "runs/tasks/done/checkpoints/1"
    assert fetch_run(s3, "a-bucket", run, runs[run], tmp_path / "1") == 4
    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert found == {
        "1/metrics.json", "1/scores.jsonl", "1/checkpoints/best.ckpt", "1/wandb/run/a.wandb",
    }  # fmt: skip
    assert (tmp_path / "1/metrics.json").read_text() == "done/checkpoints/1/metrics.json"
    assert fetch_run(s3, "a-bucket", run, runs[run], tmp_path / "1") == 0


def test_a_fetch_that_breaks_off_does_not_look_finished(tmp_path, monkeypatch):
    s3 = client("s3", "us-east-1")
    order = []
    monkeypatch.setattr(s3, "download_file", lambda bucket, key, target: order.append(key))
    sizes = dict.fromkeys(("r/metrics.json", "r/a", "r/z"), 1)
    fetch_run(s3, "a-bucket", "r", sizes, tmp_path)
    assert order == ["r/a", "r/z", "r/metrics.json"]


def test_what_aws_refuses_is_one_line():
    s3 = client("s3", "us-east-1")
    with pytest.raises(InputError, match=r"AWS: ListObjectsV2 is refused, NoSuchBucket") as caught:
        finished_runs(s3, "not-there", "runs")
    assert "\n" not in str(caught.value)


def test_no_region_is_one_line(monkeypatch, tmp_path):
    for key in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"launch\.region: missing"):
        client("sagemaker", None)


def test_no_boto3_is_one_line(monkeypatch):
    monkeypatch.setattr(account, "find_spec", lambda _: None)
    with pytest.raises(
        InputError, match=r"boto3: is not installed; pip install 'fakesound\[aws\]'"
    ):
        client("sagemaker", "eu-west-1")
