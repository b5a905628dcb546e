"""What is asked of SageMaker, held against AWS's own model of it."""

from datetime import UTC, datetime

import pytest

from fakesound.cloud.jobs import expand, tuning
from fakesound.cloud.requests import (
    names_of,
    place_of,
    stem_of,
    training_request,
    tuning_request,
)

NOW = datetime(2026, 1, 31, 12, 30, 45, tzinfo=UTC)
MORE = {
    "subnets": ["subnet-1"],
    "security_groups": ["sg-1"],
    "tags": {"team": "audio forensics"},
    "environment": {"WANDB_MODE": "offline"},
}


def job_of(*words):
    (job,) = expand(["experiment=smoke", *words], multirun=False)
    return job


@pytest.mark.parametrize(
    "changed",
    [{}, {"spot": False}, {"spot": False, "keep_alive_seconds": 600}, {"instances": 4}, MORE],
)
@pytest.mark.parametrize("words", [(), ("data.root=s3://b/audio", "data.extra=[s3://b/x]")])
def test_a_run_is_asked_for_as_sagemaker_wants_it(asked, settings, changed, words):
    request = training_request(settings(**changed), job_of(*words), NOW)
    assert asked("CreateTrainingJob", request) == []
    assert ("InputDataConfig" in request) == bool(words)


@pytest.mark.parametrize("changed", [{}, {"spot": False, "keep_alive_seconds": 600}, MORE])
def test_a_search_is_asked_for_as_sagemaker_wants_it(asked, settings, changed):
    words = ["sweep=optuna", "data.root=s3://b/audio", "heads=multi_task,clip"]
    request = tuning_request(settings(**changed), tuning(words), NOW)
    assert asked("CreateHyperParameterTuningJob", request) == []


def test_the_oracle_of_these_tests_finds_mistakes(asked, settings):
    request = training_request(settings(), job_of(), NOW)
    for key, wrong in (
        ("TrainingJobName", "a_b"),
        ("TrainingJobName", "a" * 64),
        ("RoleArn", "train"),
        ("StoppingCondition", {"MaxRuntimeInSeconds": 0}),
        ("HyperParameters", {"seed": 1}),
        ("Nosuch", 1),
    ):
        assert asked("CreateTrainingJob", request | {key: wrong}), key


@pytest.mark.parametrize(
    "name", ["a", "mt_vim", "x" * 80, "'with blanks, and = signs'", "__", "-a-", "'größe'"]
)
def test_any_name_makes_a_valid_job(asked, settings, name):
    training = training_request(settings(), job_of(f"name={name}"), NOW)
    assert asked("CreateTrainingJob", training) == []
    job = tuning([f"name={name}", "seed=0,1"])
    search = tuning_request(settings(), job, NOW)
    assert asked("CreateHyperParameterTuningJob", search) == []
    names = training["TrainingJobName"], search["HyperParameterTuningJobName"]
    for made in names:
        part, pattern = names_of(job.name)
        assert part in made
        assert pattern.fullmatch(made)


def test_jobs_of_a_longer_name_are_not_taken_for_ones_own(settings):
    hour = training_request(settings(), job_of("name=mt_vim_hour"), NOW)["TrainingJobName"]
    _, pattern = names_of("mt_vim")
    assert not pattern.fullmatch(hour)
    trial = "mt-vim-01234567-260131123045-007-0a1b2c3d"
    assert pattern.fullmatch(trial)


def test_every_run_has_a_place_of_its_own(settings):
    jobs = expand(["sweep=tasks"], multirun=False)
    requests = [training_request(settings(), job, NOW) for job in jobs]
    for key, inner in (("CheckpointConfig", "S3Uri"), ("OutputDataConfig", "S3OutputPath")):
        places = {request[key][inner] for request in requests}
        assert len(places) == len(jobs)
        for place, job in zip(sorted(places), sorted(jobs, key=lambda j: j.identity), strict=True):
            assert place.startswith(f"s3://a-bucket/fakesound/tasks/{job.identity}/")
    assert len({request["TrainingJobName"] for request in requests}) == len(jobs)
    assert place_of(settings(), "tasks") == "s3://a-bucket/fakesound/tasks"


def test_the_same_run_has_the_same_place_whatever_it_is_done_on(settings):
    small = training_request(settings(), job_of(), NOW)
    large = training_request(
        settings(instance_type="ml.p4d.24xlarge"), job_of("logger=online"), NOW
    )
    assert small["CheckpointConfig"] == large["CheckpointConfig"]
    assert small["TrainingJobName"].startswith(stem_of("training", job_of()))


def test_spot_has_a_time_to_wait(settings):
    spot = training_request(settings(), job_of(), NOW)
    assert spot["EnableManagedSpotTraining"]
    assert spot["StoppingCondition"] == {
        "MaxRuntimeInSeconds": 86_400,
        "MaxWaitTimeInSeconds": 172_800,
    }
    bought = training_request(settings(spot=False), job_of(), NOW)
    assert bought["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400}


def test_a_search_goes_by_a_figure_that_is_defined(settings):
    request = tuning_request(settings(), tuning(["sweep=optuna"]), NOW)
    objective = request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    definition = request["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]
    assert objective["Type"] == "Maximize"
    assert objective["MetricName"] in {metric["Name"] for metric in definition}
