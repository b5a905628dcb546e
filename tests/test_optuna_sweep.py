"""The Optuna sweeper with jobs of no cost."""

from types import SimpleNamespace

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf

from fakesound.config.compose import compose_config
from fakesound.errors import InputError

optuna = pytest.importorskip("optuna")
from hydra_plugins.fakesound_optuna import OptunaSweeper, distribution, open_study  # noqa: E402

PARAMS = {"x": "interval(0.0, 1.0)", "kind": "a,b"}


class Launcher:
    """Launcher that calls ``job`` with the values of each batch."""

    def __init__(self, job):
        self.job, self.seen = job, []

    def launch(self, batch, initial_job_idx):
        assert initial_job_idx == len(self.seen)
        return [self.do(overrides) for overrides in batch]

    def do(self, overrides):
        values = dict(text.split("=") for text in overrides)
        self.seen.append(values)
        job = JobReturn()
        try:
            job.return_value, job.status = self.job(values), JobStatus.COMPLETED
        except ValueError as error:
            job.return_value, job.status = error, JobStatus.FAILED
        return job


def sweep(folder, job, trials, arguments=(), params=PARAMS, at_once=1):
    sweeper = OptunaSweeper(params, trials, at_once, seed=0)
    sweeper.hydra_context = SimpleNamespace(config_loader=None)
    sweeper.config = OmegaConf.create({"hydra": {"sweep": {"dir": str(folder)}}})
    sweeper.launcher = launcher = Launcher(job)
    sweeper.validate_batch_is_legal = lambda batch: None
    sweeper.sweep(list(arguments))
    return launcher.seen


def study_of(folder):
    return optuna.load_study(study_name="sweep", storage=f"sqlite:///{folder / 'trials.db'}")


def value(values):
    return 1 - (float(values["x"]) - 0.3) ** 2 - (values["kind"] == "b")


def of(text):
    (override,) = OverridesParser.create().parse_overrides([f"key={text}"])
    return distribution(override)


def test_hydra_finds_it():
    # it reads the file once more, so that the class is another
    result = {(each.__module__, each.__name__) for each in Plugins.instance().discover(Sweeper)}
    assert ("hydra_plugins.fakesound_optuna", "OptunaSweeper") in result
    settings = compose_config(["sweep=optuna"], with_hydra=True).hydra.sweeper
    assert settings["_target_"] == "hydra_plugins.fakesound_optuna.OptunaSweeper"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("interval(0, 1)", optuna.distributions.FloatDistribution(0.0, 1.0)),
        (
            "tag(log, interval(1e-4, 1))",
            optuna.distributions.FloatDistribution(1e-4, 1.0, log=True),
        ),
        ("int(interval(2, 6))", optuna.distributions.IntDistribution(2, 6)),
        ("range(2, 8, 2)", optuna.distributions.IntDistribution(2, 6, step=2)),
        ("choice(a, b)", optuna.distributions.CategoricalDistribution(["a", "b"])),
        ("1,2", optuna.distributions.CategoricalDistribution(["1", "2"])),
        ("[1,2],[3,4]", optuna.distributions.CategoricalDistribution(["[1,2]", "[3,4]"])),
    ],
)
def test_values_are_written_as_in_any_sweep_of_hydra(text, expected):
    assert of(text) == expected


def test_the_search_finds_the_optimum(tmp_path):
    seen = sweep(tmp_path, value, 25, at_once=2)
    assert len(seen) == 25
    best = study_of(tmp_path).best_trial
    assert best.params["kind"] == "a"
    assert abs(best.params["x"] - 0.3) < 0.1


def test_a_restarted_search_resumes_with_new_values(tmp_path):
    first = sweep(tmp_path, value, 3)
    assert sweep(tmp_path, value, 3) == []
    more = sweep(tmp_path, value, 5)
    assert len(more) == 2
    assert not {values["x"] for values in first} & {values["x"] for values in more}


def test_a_trial_under_way_when_it_was_killed_is_done_first(tmp_path):
    def killed(values):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(values)
        return value(values)

    done = []
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, killed, 4)
    waiting = study_of(tmp_path).trials[2]
    seen = sweep(tmp_path, value, 4)
    assert len(seen) == 2
    assert float(seen[0]["x"]) == pytest.approx(waiting.params["x"], rel=1e-3)
    states = [trial.state.name for trial in study_of(tmp_path).trials]
    assert states == ["COMPLETE"] * 4


def test_a_failed_trial_is_recorded_and_the_others_continue(tmp_path, caplog):
    def job(values):
        calls.append(values)
        if len(calls) == 2:
            raise ValueError("out of memory")
        return None if len(calls) == 3 else value(values)

    calls = []
    sweep(tmp_path, job, 3)
    states = [trial.state.name for trial in study_of(tmp_path).trials]
    assert states == ["COMPLETE", "FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    assert "out of memory" in caplog.text


def test_a_search_whose_trials_all_fail_ends_with_the_first_error(tmp_path):
    def job(values):
        raise ValueError("backbone.dim: no such key")

    with pytest.raises(ValueError, match="no such key"):
        sweep(tmp_path, job, 10)
    assert len(study_of(tmp_path).trials) == 1


def test_a_value_that_is_given_is_not_searched(tmp_path):
    seen = sweep(tmp_path, value, 2, ["kind=a", "epochs=5"])
    assert [(values["kind"], values["epochs"]) for values in seen] == [("a", "5")] * 2


def test_another_search_has_its_own_study(tmp_path):
    sweep(tmp_path, value, 1, ["epochs=5", "logger=disabled"])
    assert sweep(tmp_path, value, 1, ["epochs=5", "logger=offline"]) == []
    for arguments, params in ((["epochs=6"], PARAMS), (["epochs=5"], PARAMS | {"x": "0,1"})):
        with pytest.raises(InputError, match=r"trials\.db: holds the trials of another search"):
            sweep(tmp_path, value, 1, arguments, params)


def test_an_empty_search_is_refused(tmp_path):
    with pytest.raises(InputError, match="gives no key several values"):
        sweep(tmp_path, value, 1, ["x=1", "kind=a"])
    with pytest.raises(InputError, match="at least 1"):
        OptunaSweeper(PARAMS, 0, 1, 0)


def test_a_new_study_maximises(tmp_path):
    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    assert open_study(tmp_path, space, [], 0).direction.name == "MAXIMIZE"
