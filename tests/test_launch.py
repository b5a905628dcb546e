"""The verb: ``fakesound launch``."""

import json
import os
import subprocess
import sys

import pytest

from fakesound import launch
from tests.conftest import command, succeed
from tests.run_factory import make_run

pytest.importorskip("boto3")
moto = pytest.importorskip("moto")
SETTINGS = """\
role: arn:aws:iam::123456789012:role/train
image: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/fakesound:1
bucket: a-bucket
region: us-east-1
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "aws.yaml"
    path.write_text(SETTINGS)
    for key in ("ROLE", "IMAGE", "BUCKET"):
        monkeypatch.delenv(f"FAKESOUND_{key}", raising=False)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    return path


@pytest.fixture
def typed(file, monkeypatch, capsys):
    """Return a function that runs the verb: exit code, stdout and stderr."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["launch", *words])
        with pytest.raises(SystemExit) as caught:
            launch.main()
        return caught.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def aws(monkeypatch):
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    with moto.mock_aws():
        yield


def test_a_dry_run_needs_no_account_and_no_boto3(file, tmp_path):
    """Make boto3 and all hosts unavailable."""
    (tmp_path / "boto3.py").write_text("raise RuntimeError('imported')")
    words = ["sagemaker", "-m", "experiment=smoke", "seed=0,1", "--config", str(file), "--dry-run"]
    done = subprocess.run(
        command("launch", *words),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )
    assert done.returncode == 0, done.stderr
    requests = json.loads(done.stdout)
    arguments = [request["AlgorithmSpecification"]["ContainerArguments"] for request in requests]
    assert [words[1] for words in arguments] == ["seed=0", "seed=1"]


def test_missing_settings_are_one_line_before_any_request(typed):
    code, out, err = typed("sagemaker", "experiment=smoke")
    assert (code, out) == (2, "")
    assert err.startswith("error: launch.role, launch.image, launch.bucket: missing; ")
    assert err.count("\n") == 1


def test_options_may_stand_anywhere(typed, file):
    words = ("--dry-run", "launch.bucket=other", "seed=1", "-m", "steps=1,2")
    code, out, _ = typed("sagemaker", "experiment=smoke", "--config", str(file), *words)
    assert code == 0
    requests = json.loads(out)
    assert len(requests) == 2
    assert all("s3://other/" in request["CheckpointConfig"]["S3Uri"] for request in requests)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sagemaker", "--config", "none.yaml"), "--config=none.yaml: no such file"),
        (("status", "a", "-m"), "--multirun: is only for `launch sagemaker`"),
        (("fetch", "a", "--dry-run"), "--dry-run: is only for"),
        (("fetch",), "fetch: needs the name of one run"),
        (("status", "a", "b"), "status: needs the name of one run"),
        (("status", "seed=1"), "status: needs the name of one run"),
        (("fetch", "a"), "launch.bucket: missing"),
        (("sagemaker", "experiment=smoke", "launch.spt=true"), "did you mean spot?"),
        (("sagemaker", "backbone.dpeth=3"), "did you mean depth?"),
    ],
)
def test_errors_are_one_line(typed, words, message):
    code, out, err = typed(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("aws")
def test_a_sweep_is_submitted_once(typed, file):
    words = ("sagemaker", "-m", "experiment=smoke", "seed=0,1", "--config", str(file))
    code, out, _ = typed(*words)
    assert code == 0
    assert out.count("submitted smoke-") == 2
    code, out, _ = typed(*words[:-3], "seed=0,1,2", *words[-2:])
    assert code == 0
    assert out.count("not submitted again") == 2
    assert out.count("submitted smoke-") == 1
    code, out, _ = typed("status", "smoke", "--config", str(file))
    assert code == 0
    assert out.count("smoke-") == 3
    assert "Completed" in out


@pytest.mark.usefixtures("aws")
def test_empty_results_are_reported(typed, file):
    import boto3

    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="a-bucket")
    code, _, err = typed("status", "smoke", "--config", str(file))
    assert code == 2
    assert err.startswith("error: smoke: no job with this name")
    code, _, err = typed("fetch", "smoke", "--config", str(file))
    assert code == 2
    assert err.startswith("error: smoke: no finished run under s3://a-bucket/fakesound/smoke")


def test_help_explains_the_options(typed):
    code, out, _ = typed("--help")
    assert code == 0
    for word in ("sagemaker", "status", "fetch", "--dry-run", "launch.spot=true"):
        assert word in out


@pytest.mark.usefixtures("aws")
def test_a_fetched_sweep_is_compared_as_one_made_here(typed, file, tmp_path):
    import boto3

    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="a-bucket")
    for number, (lr, finished) in enumerate([(0.001, True), (0.003, True), (0.01, False)]):
        run = tmp_path / "there" / str(number)
        changes = {"optim.lr": lr, "logger": {"group": "sweep"}}
        make_run(run, finished=finished, changes=changes, sources=4)
        for path in run.rglob("*"):
            if path.is_file():
                inside = path.relative_to(run)
                key = f"fakesound/sweep/{number:016x}/checkpoints/id{number}/{inside}"
                s3.upload_file(str(path), "a-bucket", key)
    out = tmp_path / "outputs"
    code, text, err = typed("fetch", "sweep", "--config", str(file), "--out", str(out))
    assert code == 0, err
    assert text.splitlines()[-1] == f"next: fakesound compare {out / 'sweep'}"
    assert sorted(path.name for path in (out / "sweep").iterdir()) == ["id0", "id1"]
    done = succeed("compare", str(out / "sweep"), "--draws=0", folder=tmp_path)
    assert "optim.lr=0.001" in done.stderr
    assert (out / "sweep" / "comparison.html").is_file()
