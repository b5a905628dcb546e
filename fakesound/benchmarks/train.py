"""``bench train``: real training steps of an experiment, part by part, kernel beside kernel."""

from collections.abc import Sequence
from statistics import median
from typing import Any, cast

from fakesound.benchmarks.backends import choose, fastest, kernel_problem, with_kernel
from fakesound.benchmarks.measure import Method
from fakesound.benchmarks.memory import peak_bytes
from fakesound.benchmarks.records import Record
from fakesound.benchmarks.timing import in_turn
from fakesound.benchmarks.train_step import PARTS, STEP, Crops, SyntheticCrops, Trainee, loader
from fakesound.config import RunConfig
from fakesound.data.crops import CropDataset
from fakesound.forging import Corpus
from fakesound.models.vim import VisionMamba
from fakesound.progress import progress_bar
from fakesound.training.trainer import build_datamodule, build_module

SYNTHETIC, CROPS = "synthetic", "crops"


def bench_train(
    config: RunConfig, corpus: Corpus | None, method: Method, default: Sequence[str]
) -> list[Record]:
    """Return the records of whole steps and of their parts.

    Args:
        config: of the experiment.
        corpus: to load crops from; None to measure on noise alone.
        method: how to measure.
        default: kernels to take where the user names none.

    Raises:
        InputError: if a kernel that the user names cannot run, or the data is wrong.
    """
    device, dtype = method.device, method.dtype
    kernels = choose(method.backends, default, lambda name: kernel_problem(name, device, dtype))
    sources: dict[str, Crops] = {SYNTHETIC: SyntheticCrops(config)}
    if corpus is not None:
        sources[CROPS] = _real_crops(config, corpus)
    fitted_on = sources.get(CROPS, sources[SYNTHETIC])
    module = build_module(config, cast(CropDataset, fitted_on)).to(device).train()
    trainees = {
        (kernel, source): Trainee(
            with_kernel(module, kernel), loader(crops, config.data.batch_size), method
        )
        for source, crops in sources.items()
        for kernel in kernels
    }
    steps: dict[tuple[str, str], list[dict[str, float]]] = {key: [] for key in trainees}
    # one round more than asked for, since the first compiles
    rounds = method.rounds + 1
    with progress_bar("training") as progress:
        for done, (number, key) in enumerate(in_turn(list(trainees), rounds), start=1):
            steps[key].append(trainees[key].step(number))
            progress(done, len(trainees) * rounds)
    ours = fastest(kernels, device, dtype)
    medians = {
        key: {part: median(step[part] for step in taken[1:]) for part in (STEP, *PARTS)}
        for key, taken in steps.items()
    }
    records = []
    for (kernel, source), trainee in trainees.items():
        own = medians[kernel, source]
        records += _records(
            _common(config, trainee, kernel),
            source,
            own,
            own if ours is None else medians[ours, source],
            peak_bytes(lambda trainee=trainee: trainee.step(0), device),  # type: ignore[misc]
            steps[kernel, source][0][STEP],
            {
                "experiment": config.name,
                "data": source,
                "dtype": str(dtype).removeprefix("torch."),
                "rounds": method.rounds,
            },
        )
    return records


def _records(
    common: dict[str, Any],
    source: str,
    seconds: dict[str, float],
    against: dict[str, float],
    peak: int | None,
    first: float,
    extra: dict[str, Any],
) -> list[Record]:
    """Return the records of one kernel on one source: the step, then its parts."""
    share = {part: seconds[part] / seconds[STEP] for part in PARTS}
    records = [
        Record(
            what=f"train {STEP}",
            direction="forward+backward",
            seconds=seconds[STEP],
            peak_bytes=peak,
            first_call_seconds=first,
            extra={
                **extra,
                "ratio": seconds[STEP] / against[STEP],
                "loading_and_features_share": share["loading"] + share["features"],
            },
            **common,
        )
    ]
    for part in PARTS:
        # noise is not loaded
        if (part, source) != ("loading", SYNTHETIC):
            ratio = seconds[part] / against[part]
            records.append(
                Record(
                    what=f"train {part}",
                    direction="forward" if part in ("loading", "features") else "forward+backward",
                    seconds=seconds[part],
                    extra={**extra, "ratio": ratio, "share": share[part]},
                    **common,
                )
            )
    return records


def _common(config: RunConfig, trainee: Trainee, kernel: str) -> dict[str, Any]:
    backbone = cast(VisionMamba, trainee.module.detector.backbone)
    bands, steps = backbone.grid
    return {
        "backend": kernel,
        "B": config.data.batch_size,
        "L": bands * steps + (backbone.cls_token is not None),
        "E": config.backbone.expand * config.backbone.dim,
        "N": config.backbone.state,
    }


def _real_crops(config: RunConfig, corpus: Corpus) -> CropDataset:
    """Return the training crops of ``corpus``, forged first where they are not there yet."""
    datamodule = build_datamodule(config, corpus)
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule.train_crops
