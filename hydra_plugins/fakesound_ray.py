"""A sweep on a Ray cluster, or on this machine by Ray: one task for each run.

Hydra's own Ray plugin (hydra-ray-launcher 1.2.2) asks for boto3, Ray's dashboard and a cloudpickle
older than 3, which knows no Python after 3.11, and gives up all runs with the first worker that
dies.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.singleton import Singleton
from hydra.core.utils import (
    JobReturn,
    JobStatus,
    configure_log,
    filter_overrides,
    run_job,
    setup_globals,
)
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

log = logging.getLogger(__name__)


@dataclass
class RayLauncherConf:
    """Choice ``hydra/launcher=fakesound_ray``; the keys are those of `RayLauncher`."""

    _target_: str = "hydra_plugins.fakesound_ray.RayLauncher"
    address: str | None = None
    cpus: float = 1
    gpus: float = 0
    init: dict[str, Any] = field(default_factory=dict)


ConfigStore.instance().store(
    group="hydra/launcher", name="fakesound_ray", node=RayLauncherConf, provider="fakesound"
)


class RayLauncher(Launcher):
    """Does each run of a sweep as a task of Ray, as many at once as there are cores or GPUs.

    All hosts of the cluster need the package and the folders of the runs at the same paths.

    Args:
        address: address of the cluster; None: the one that ``RAY_ADDRESS`` names, or this machine.
        cpus: cores of a run.
        gpus: GPUs of each run.
        init: more arguments of ``ray.init``.
    """

    def __init__(
        self, address: str | None, cpus: float, gpus: float, init: Mapping[str, Any]
    ) -> None:
        self.address, self.cpus, self.gpus, self.init = address, cpus, gpus, dict(init)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra hands over; `launch` comes next."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Do the runs and return the outcome of each, in their order."""
        import ray

        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        Path(self.config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
        started = not ray.is_initialized()
        if started:
            quiet = {"include_dashboard": False, "log_to_driver": True}
            ray.init(address=self.address, **(quiet if self.address is None else {}), **self.init)
        # the next attempt is the user's: the same command, with resume=auto
        remote = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=0)(do)
        state = Singleton.get_state()
        waiting, configs = [], []
        for number, overrides in enumerate(job_overrides, start=initial_job_idx):
            log.info("\t#%d : %s", number, " ".join(filter_overrides(overrides)))
            config = self.hydra_context.config_loader.load_sweep_config(
                self.config, list(overrides)
            )
            with open_dict(config):
                config.hydra.job.id, config.hydra.job.num = f"ray_{number}", number
            configs.append((overrides, config))
            waiting.append(remote.remote(self.hydra_context, self.task_function, config, state))
        returned = []
        for (overrides, config), reference in zip(configs, waiting, strict=True):
            try:
                returned.append(ray.get(reference))
            except ray.exceptions.RayError as error:
                # the worker died, which is no reason to give up the others
                lost = JobReturn(overrides=list(overrides), cfg=config, status=JobStatus.FAILED)
                lost.return_value = RuntimeError(str(error).splitlines()[0])
                returned.append(lost)
        if started:
            ray.shutdown()
        return returned


def do(
    hydra_context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
    state: dict[Any, Any],
) -> JobReturn:
    """Do one run, on the worker."""
    setup_globals()
    Singleton.set_state(state)
    return run_job(
        hydra_context=hydra_context,
        task_function=task_function,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
