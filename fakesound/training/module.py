"""The Lightning module, which trains one detector on several tasks."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import lightning
import numpy as np
import torch
from jaxtyping import Float
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import AdamW

from fakesound.config import RunConfig
from fakesound.data.dataset import Batch, WindowDataset
from fakesound.data.splits import Split
from fakesound.metrics import ClipScore, metrics_block
from fakesound.metrics.torchmetrics import ScoreAccumulator
from fakesound.models.detector import Detector
from fakesound.models.heads import Outputs
from fakesound.models.losses import LossWeighting
from fakesound.models.tasks import TASKS, Balance, LossInput
from fakesound.scoring.clip_score import (
    FURTHER_HEADS,
    HeadCalibration,
    head_thresholds,
    score_clip,
    with_head_thresholds,
)
from fakesound.scoring.metadata import HEADS_KEY
from fakesound.scoring.thresholds import select_thresholds
from fakesound.scoring.windows import OverlapAdd
from fakesound.training.optim import parameter_groups, warmup_cosine


class MultiTaskModule(lightning.LightningModule):
    """Train a detector on all tasks at once, and score whole clips.

    Args:
        detector: features, backbone and heads.
        weighting: weighting of the losses of the tasks.
        config: configuration of the run, which checkpoints contain.
        balance: class balance of the training crops.

    Attributes:
        scores: scores of the clips of the last validation or test; validation scores have
            thresholds chosen on them.
        head_thresholds: thresholds of the further heads, chosen in the last validation.
        step_losses: losses of the last training step.
    """

    def __init__(
        self, detector: Detector, weighting: LossWeighting, config: RunConfig, balance: Balance
    ) -> None:
        super().__init__()
        # needed to read a checkpoint
        self.save_hyperparameters(asdict(config))
        self.detector, self.weighting = detector, weighting
        self.config, self.balance = config, balance
        # outputs of windows by name; modules, so that Lightning moves them to the device
        self.window_outputs: dict[str, ScoreAccumulator] = {}
        self.accumulators = nn.ModuleList()
        self.scores: list[ClipScore] = []
        self.head_thresholds: dict[str, float] = {}
        self.step_losses: dict[str, Tensor] = {}

    def forward(self, waveform: Float[Tensor, "batch sample"]) -> Outputs:
        """Return the outputs of the heads for ``waveform``, by name."""
        outputs: Outputs = self.detector(waveform)
        return outputs

    def on_train_epoch_start(self) -> None:
        """Seed the random numbers of the model by the epoch, so that a resumed run repeats them."""
        state = np.random.SeedSequence(
            [self.config.seed, self.current_epoch, self.global_rank]
        ).generate_state(1)
        torch.manual_seed(int(state[0]))

    def training_step(self, batch: Batch, _: int) -> Float[Tensor, ""]:
        """Return the weighted loss of a batch of crops."""
        outputs, pooling = self(batch.waveform), self.detector.pooling
        inputs = LossInput(outputs, batch, pooling, self.config.loss, self.balance)
        losses = {name: TASKS[name].loss(inputs) for name in self.detector.tasks}
        total = self.weighting(losses)
        self.step_losses = {f"{task}_loss": loss.detach() for task, loss in losses.items()}
        self.step_losses["loss"] = total.detach()
        self.log_dict(
            {f"train/{task}_loss": loss for task, loss in losses.items()} | {"train/loss": total},
            on_step=False,
            on_epoch=True,
            batch_size=len(batch.waveform),
        )
        return total

    def on_train_epoch_end(self) -> None:
        """Update the weights of the losses, and log them."""
        self.weighting.end_epoch()
        weights = self.weighting.weights()
        for task, weight in zip(self.weighting.tasks, weights, strict=True):
            self.log(f"train/{task}_weight", weight.detach())

    def validation_step(self, batch: Batch, _: int) -> None:
        """Accumulate the outputs of a batch of windows."""
        self._accumulate(batch)

    def on_validation_epoch_end(self) -> None:
        """Score the validation clips, choose thresholds on them and log all figures."""
        windows: WindowDataset = self._data.validation_windows
        scores = self._gather(windows)
        self.head_thresholds = head_thresholds(scores)
        scores = with_head_thresholds(scores, self.head_thresholds)
        self.scores = select_thresholds(scores).apply(scores)
        block = metrics_block(self.scores)
        figures = {f"validation/{k}": float(v) for k, v in block.items() if v is not None}
        ranks = [block[key] for key in ("clip/auc", "frame/auc") if block[key] is not None]
        if "clip" not in self.detector.tasks:
            ranks = [block["frame/auc"]]
        figures["validation/selection"] = float(np.mean([0.5 if r is None else r for r in ranks]))
        for name, head in FURTHER_HEADS.items():
            figures |= _numbers(f"validation/{name}", head.block(self.scores))
        self.log_dict(figures, sync_dist=False)

    def test_step(self, batch: Batch, _: int) -> None:
        """Accumulate the outputs of a batch of windows."""
        self._accumulate(batch)

    def on_test_epoch_end(self) -> None:
        """Score the test clips, without thresholds."""
        self.scores = self._gather(self._data.test_windows)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the families and the last thresholds of the further heads."""
        heads = HeadCalibration(self.detector.families, self.head_thresholds).to_plain()
        if heads:
            checkpoint[HEADS_KEY] = heads

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return AdamW, with weight decay of matrices only, and its schedule by step."""
        optim, steps = self.config.optim, self.config.epochs * self.config.steps
        optimiser = AdamW(parameter_groups(self, optim.weight_decay), lr=optim.lr)
        schedule = warmup_cosine(
            optimiser, steps, optim.warmup, optim.final_lr_factor, optim.cooldown
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @property
    def _data(self) -> Any:  # noqa: ANN401  # the data module of the trainer
        return self.trainer.datamodule  # type: ignore[attr-defined]

    def _accumulate(self, batch: Batch) -> None:
        # always in full precision, like scores of the checkpoint by other commands
        with torch.autocast(batch.waveform.device.type, enabled=False):
            outputs = self(batch.waveform)
        count = batch.frame_mask.sum(1)
        for name, values in outputs.items():
            if name not in self.window_outputs:
                self.window_outputs[name] = ScoreAccumulator().to(self.device)
                self.accumulators.append(self.window_outputs[name])
            # attribution has several values for each frame
            each = values[0, 0].numel()
            self.window_outputs[name].update(
                batch.number, frame_logits=values.flatten(1), frame_count=count * each
            )

    def _gather(self, windows: WindowDataset) -> list[ClipScore]:
        """Return the scores of all clips from the outputs of their windows."""
        outputs: dict[str, list[np.ndarray]] = {}
        families = self.detector.families
        for name, accumulator in self.window_outputs.items():
            values = accumulator.compute().frame_logit or []
            accumulator.reset()
            if name == "family_logits":
                values = [frames.reshape(-1, len(families)) for frames in values]
            outputs[name] = values
        overlaps = [OverlapAdd() for _ in windows.clips]
        for number, (clip, first) in enumerate(windows.windows):
            overlaps[clip].add(first, {name: values[number] for name, values in outputs.items()})
        split: Split = self._data.split
        return [
            score_clip(
                clip,
                overlap.average(windows.grid.count(clip.duration)),
                self.detector.pooling,
                families,
                split.fold(clip),
            )
            for clip, overlap in zip(windows.clips, overlaps, strict=True)
        ]


def _numbers(prefix: str, block: Mapping[str, Any] | None) -> dict[str, float]:
    return {
        f"{prefix}/{key}": float(value)
        for key, value in (block or {}).items()
        if isinstance(value, int | float)
    }
