"""Checkpoints to go on from: whole, checked, the last two of them, also within epochs."""

import zipfile
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from torch import Tensor, distributed

from fakesound.files import write_whole
from fakesound.progress import console
from fakesound.scoring.checkpoint import checkpoint_bytes

BEST, LAST, PREVIOUS = "best.ckpt", "last.ckpt", "previous.ckpt"
# of a checkpoint saved within an epoch: what the rest of the epoch depends on
WITHIN = "fakesound_within_epoch"


def is_sound(path: Path) -> bool:
    """Return whether the checkpoint at ``path`` is as it was written.

    PyTorch writes a zip archive, whose checksums it does not look at when it reads.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # bytes that are no archive fail in every way there is
        return False


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints whole or not at all, and keeps the last one before ``last.ckpt``."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any = None,  # noqa: ANN401  # lightning's
    ) -> None:
        """Write ``checkpoint`` to ``path``; the name of ``last.ckpt`` passes from one to the next.

        A kill between the two leaves the one before, under its new name.
        """
        path = Path(path)
        content = checkpoint_bytes(checkpoint)
        if path.name != LAST:
            write_whole(path, content)
            return
        coming = path.with_name(f".{LAST}.coming")
        try:
            write_whole(coming, content)
            if path.is_file():
                path.replace(path.with_name(PREVIOUS))
            coming.replace(path)
        finally:
            coming.unlink(missing_ok=True)


class BestCheckpoint(ModelCheckpoint):
    """Keeps the best epoch, also when the run's folder was moved between two starts."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what was best so far, wherever that lay then."""
        here = Path(self.dirpath or "")
        places = {
            key: str(here / Path(state_dict[key]).name) if state_dict.get(key) else ""
            for key in ("best_model_path", "last_model_path", "kth_best_model_path")
        }
        best_k = {
            str(here / Path(path).name): score
            for path, score in state_dict.get("best_k_models", {}).items()
        }
        moved = {"dirpath": self.dirpath, "best_k_models": best_k}
        super().load_state_dict(state_dict | places | moved)


class LastCheckpoint(Checkpoint):
    """Saves ``last.ckpt`` after every epoch, better or not, and within epochs.

    The rest of an epoch is then repeated bit for bit.

    Beside what lightning keeps, that takes the states of the random generators and the sums behind
    the epoch's means, of each process. What follows in the data is the sampler's part.
    """

    def __init__(self, path: Path, steps: int) -> None:
        self.path, self.steps = path, steps
        self.saved = -1
        self.within = False
        self.held: dict[str, Any] | None = None

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: object
    ) -> None:
        """Draw on as the generators stood."""
        if self.held is not None:
            torch.set_rng_state(self.held["random"].cpu())
            if "random_cuda" in self.held:
                torch.cuda.set_rng_state(self.held["random_cuda"].cpu(), pl_module.device)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: object
    ) -> None:
        """Save after every so many steps; not at the end of an epoch, which is saved anyway."""
        if self.held is not None:
            # lightning begins its sums with the first batch
            for key, (total, weight) in self.held["sums"].items():
                metric = _epoch_sums(trainer)[key]
                metric.value += total.to(metric.value.device)
                metric.cumulated_batch_size += weight.to(metric.cumulated_batch_size.device)
            self.held = None
        step = trainer.global_step
        if step % self.steps or step == self.saved or trainer.is_last_batch:
            return
        self.saved, self.within = step, True
        try:
            trainer.save_checkpoint(self.path)
        finally:
            self.within = False

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Save the epoch; the best one was saved before, and this one knows of it."""
        trainer.save_checkpoint(self.path)

    def on_save_checkpoint(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Add what the rest of the epoch depends on, of all processes."""
        if not self.within:
            return
        state: dict[str, Any] = {"random": torch.get_rng_state()}
        if pl_module.device.type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state(pl_module.device)
        state["sums"] = {
            key: (metric.value.cpu(), metric.cumulated_batch_size.cpu())
            for key, metric in _epoch_sums(trainer).items()
        }
        states = [state]
        if trainer.world_size > 1:
            states *= trainer.world_size
            distributed.all_gather_object(states, state)
        checkpoint[WITHIN] = states

    def on_load_checkpoint(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Keep what the rest of the epoch depends on until its first batch."""
        states = checkpoint.get(WITHIN)
        # more processes than there were: the others go on from states of their own
        if states is not None and trainer.global_rank < len(states):
            self.held = states[trainer.global_rank]
        self.saved = int(checkpoint["global_step"])


def _epoch_sums(trainer: lightning.Trainer) -> dict[str, Any]:
    """Return lightning's sums behind the means over an epoch of training, by their key."""
    return {
        key: metric
        for key, metric in trainer.fit_loop.epoch_loop._results.items()
        if key.startswith("training_step.") and metric.meta.is_mean_reduction
    }


def start_from(folder: Path) -> Path | None:
    """Return the checkpoint in ``folder`` that training goes on from; None: from the beginning.

    What is damaged is passed over, and said. Which one is later is told by its steps, and never by
    the time of a file, since clocks go wrong. If the best checkpoint is lost, training goes on from
    one that it can be made again from.
    """
    there = [path for name in (LAST, PREVIOUS) if (path := folder / name).is_file()]
    found = [(path, held) for path in there if (held := _read(path)) is not None]
    for path in there:
        if path not in [sound for sound, _ in found]:
            console.print(f"{path}: is damaged, and passed over", highlight=False)
    found.sort(key=lambda each: int(each[1]["global_step"]), reverse=True)
    best = folder / BEST
    best_is_sound = is_sound(best)
    if there and best.is_file() and not best_is_sound:
        console.print(f"{best}: is damaged, and is made again", highlight=False)
    for path, held in found:
        kept = _best_state(held)
        if kept is None or best_is_sound:
            return _said(path, held, there)
        if WITHIN not in held and torch.equal(_score(kept, "current"), _score(kept, "best_model")):
            # it is the best one itself
            write_whole(best, path.read_bytes())
            return _said(path, held, there)
    if there or best.is_file():
        console.print(f"{folder}: no checkpoint to go on from; training starts at the beginning")
    return None


def _said(path: Path, held: dict[str, Any], there: list[Path]) -> Path:
    console.print(f"training goes on from {path.name}, step {held['global_step']}", highlight=False)
    return path


def _read(path: Path) -> dict[str, Any] | None:
    """Return what ``path`` holds, tensors left on disk; None if it is damaged."""
    if not is_sound(path):
        return None
    try:
        held = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # whole, and no checkpoint of ours
        return None
    whole = isinstance(held, dict) and {"global_step", "loops", "callbacks"} <= set(held)
    return held if whole else None


def _best_state(held: dict[str, Any]) -> dict[str, Any] | None:
    """Return what is said of the best epoch so far; None before the first."""
    for key, state in held["callbacks"].items():
        if key.startswith(BestCheckpoint.__name__) and state["best_model_score"] is not None:
            return dict(state)
    return None


def _score(state: dict[str, Any], which: str) -> Tensor:
    return torch.as_tensor(state[f"{which}_score"])
