"""A sweep that looks for good settings instead of trying all: Optuna asks, runs answer.

Hydra looks for plugins in this namespace alone. Hydra's own Optuna plugin asks for a release of
Optuna of 2022, whose store does not work with today's SQLAlchemy, so that a sweep cannot resume.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from fakesound.errors import InputError

if TYPE_CHECKING:  # optuna takes a while to import, and Hydra imports this file in every run
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

STORE = "trials.db"
DIGITS = 4
# what may change between two parts of one sweep
FREE = ("hydra", "logger", "name", "resume", "sweep", "tags")

log = logging.getLogger(__name__)


@dataclass
class OptunaSweeperConf:
    """Choice ``hydra/sweeper=fakesound_optuna``; the keys are those of `OptunaSweeper`."""

    _target_: str = "hydra_plugins.fakesound_optuna.OptunaSweeper"
    params: dict[str, str] = field(default_factory=dict)
    trials: int = 40
    at_once: int = 1
    seed: int = 0


ConfigStore.instance().store(
    group="hydra/sweeper", name="fakesound_optuna", node=OptunaSweeperConf, provider="fakesound"
)


class OptunaSweeper(Sweeper):
    """Maximises what a run returns, its figure on validation, by Optuna's TPE sampler.

    Every trial is kept in ``trials.db`` of the sweep's folder, failed ones too. Started again, the
    sweep first does the trials that were under way, then goes on to `trials` finished ones.

    Args:
        params: range of each key: ``interval(a, b)``, ``range(a, b)``, ``choice(a, b)`` or
            ``a,b``; ``tag(log, interval(a, b))`` for logarithmic steps, ``int(interval(a, b))``
            for whole numbers.
        trials: finished runs to end with.
        at_once: trials asked for, and handed to the launcher, at a time.
        seed: seed of the sampler.
    """

    def __init__(self, params: Mapping[str, str], trials: int, at_once: int, seed: int) -> None:
        if min(trials, at_once) < 1:
            raise InputError("hydra.sweeper.trials and at_once: must be at least 1")
        self.params, self.trials, self.at_once, self.seed = dict(params), trials, at_once, seed
        self.launched = 0

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra hands over; `sweep` comes next."""
        self.hydra_context, self.config = hydra_context, config
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Do trials until there are enough; ``arguments`` take precedence over `params`.

        Raises:
            InputError: if a key cannot be searched, or the folder holds another search.
        """
        assert self.hydra_context is not None
        assert self.config is not None
        texts = [f"{key}={text}" for key, text in self.params.items()]
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = {
            override.get_key_element(): override
            for override in parser.parse_overrides([*texts, *arguments])
        }
        space = {k: distribution(o) for k, o in overrides.items() if o.is_sweep_override()}
        fixed = [
            f"{key}={override.get_value_element_as_str()}"
            for key, override in overrides.items()
            if key not in space
        ]
        if not space:
            raise InputError("hydra.sweeper.params: gives no key several values to search")
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        study = open_study(folder, space, fixed, self.seed)
        for waiting in _batches(_under_way(study), self.at_once):
            self._launch(study, waiting, fixed)
        while (missing := self.trials - len(_finished(study))) > 0:
            asked = [study.ask(space).number for _ in range(min(missing, self.at_once))]
            self._launch(study, [study.trials[number] for number in asked], fixed)
        best = study.best_trial
        log.info("best on validation: trial %d, %s", best.number, ", ".join(_overrides(best)))

    def _launch(self, study: "Study", trials: Sequence["FrozenTrial"], fixed: list[str]) -> None:
        """Do ``trials`` and tell their outcome.

        Raises what the first of them raised if none of all trials so far has worked.
        """
        from optuna.trial import TrialState

        batch = [[*fixed, *_overrides(trial)] for trial in trials]
        self.validate_batch_is_legal(batch)
        returned: Sequence[JobReturn] = self.launcher.launch(batch, initial_job_idx=self.launched)
        self.launched += len(batch)
        for trial, job in zip(trials, returned, strict=True):
            value = job.return_value if job.status == JobStatus.COMPLETED else None
            if value is not None and math.isfinite(value):
                study.tell(trial.number, float(value))
            else:
                study.tell(trial.number, state=TrialState.FAIL)
                log.warning("trial %d failed: %s", trial.number, _reason(job))
        if not _finished(study):
            for job in returned:
                _ = job.return_value  # raises where the job did
            raise InputError("hydra.sweeper: no trial has given a figure on validation to go by")


def distribution(override: Override) -> "BaseDistribution":
    """Return the values that ``override`` lets a key take."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = override.value()
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        log_steps = "log" in value.tags
        if isinstance(value.start, int):
            return IntDistribution(value.start, int(value.end), log=log_steps)
        return FloatDistribution(value.start, value.end, log=log_steps)
    if isinstance(value, RangeSweep) and type(value.start) is type(value.step) is int:
        numbers = list(value.range())  # it ends before its stop
        return IntDistribution(int(numbers[0]), int(numbers[-1]), step=int(value.step))
    return CategoricalDistribution(list(override.sweep_string_iterator()))


def open_study(
    folder: Path, space: Mapping[str, "BaseDistribution"], fixed: Sequence[str], seed: int
) -> "Study":
    """Return the search kept in ``folder``, a new one where there is none.

    Raises:
        InputError: if it looks for something else than ``space``, or among other runs.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=f"sqlite:///{folder / STORE}",
        study_name="sweep",
        direction="maximize",
        load_if_exists=True,
    )
    # a sampler started anew with the same seed would ask the same again
    study.sampler = optuna.samplers.TPESampler(
        seed=seed + len(study.trials), multivariate=True, constant_liar=True
    )
    kept = [text for text in fixed if text.partition("=")[0].split(".")[0] not in FREE]
    what: dict[str, Any] = {
        "space": {key: repr(values) for key, values in space.items()},
        "fixed": sorted(kept),
    }
    before = study.user_attrs.get("what", what)
    if before != what:
        raise InputError(
            f"{folder / STORE}: holds the trials of another search; give this one a name of its "
            "own, name=NEW"
        )
    study.set_user_attr("what", what)
    return study


def _finished(study: "Study") -> list["FrozenTrial"]:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _under_way(study: "Study") -> list["FrozenTrial"]:
    """Return the trials that a killed sweep left unanswered."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def _overrides(trial: "FrozenTrial") -> list[str]:
    return [f"{key}={_text(value)}" for key, value in trial.params.items()]


def _text(value: object) -> str:
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)


def _batches(trials: Sequence["FrozenTrial"], size: int) -> list[Sequence["FrozenTrial"]]:
    return [trials[first : first + size] for first in range(0, len(trials), size)]


def _reason(job: JobReturn) -> str:
    try:
        value = job.return_value
    except BaseException as error:  # whatever a job may raise, its line is logged
        return f"{type(error).__name__}: {error}"
    return f"it returned {value}, no figure on validation"
