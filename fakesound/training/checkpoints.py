"""Checkpoints of a run: write the best and the last atomically, and find one to resume from."""

import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from torch import distributed

from fakesound.files import write_whole
from fakesound.progress import console, print_line
from fakesound.scoring.checkpoint import checkpoint_bytes

BEST, LAST, PREVIOUS = "best.ckpt", "last.ckpt", "previous.ckpt"
# key of a checkpoint for the random states within an epoch
RANDOM_KEY = "fakesound_random_states"


def is_undamaged(path: Path) -> bool:
    """Return whether the checkpoint at ``path`` is undamaged.

    PyTorch writes a zip archive but does not verify its checksums when reading.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # damaged archives raise many kinds of errors
        return False


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write checkpoints atomically, and keep the one before ``last.ckpt``."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any = None,  # noqa: ANN401
    ) -> None:
        """Write ``checkpoint`` to ``path``; the former ``last.ckpt`` becomes ``previous.ckpt``."""
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
    """Keep the best epoch, also if the folder of the run is moved before it is resumed."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best epoch so far, with paths in the current folder."""
        folder = Path(self.dirpath or "")
        paths = {
            key: str(folder / Path(state_dict[key]).name) if state_dict.get(key) else ""
            for key in ("best_model_path", "last_model_path", "kth_best_model_path")
        }
        best_k = {
            str(folder / Path(path).name): score
            for path, score in state_dict.get("best_k_models", {}).items()
        }
        moved = {"dirpath": self.dirpath, "best_k_models": best_k}
        super().load_state_dict(state_dict | paths | moved)


class LastCheckpoint(Checkpoint):
    """Save ``last.ckpt`` after every epoch and every ``steps`` steps within an epoch.

    A checkpoint within an epoch also holds the random states of all processes, so that a resumed
    run has bit-identical weights. The logged training loss of a resumed epoch covers only the
    steps after the resume.
    """

    def __init__(self, path: Path, steps: int) -> None:
        self.path, self.steps = path, steps
        self.saved_step = -1
        self.within_epoch = False
        self.random_state: dict[str, torch.Tensor] | None = None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, *_: object
    ) -> None:
        """Restore the random state before the first resumed step."""
        if self.random_state is not None:
            torch.set_rng_state(self.random_state["cpu"].cpu())
            if "cuda" in self.random_state:
                torch.cuda.set_rng_state(self.random_state["cuda"].cpu(), pl_module.device)
            self.random_state = None

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Save after every ``steps`` steps; the end of an epoch is saved anyway."""
        step = trainer.global_step
        if step % self.steps or step == self.saved_step or trainer.is_last_batch:
            return
        self.saved_step, self.within_epoch = step, True
        try:
            trainer.save_checkpoint(self.path)
        finally:
            self.within_epoch = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save last.ckpt. Runs after BestCheckpoint, so that its state is included."""
        trainer.save_checkpoint(self.path)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the random states of all processes to a checkpoint within an epoch."""
        if not self.within_epoch:
            return
        state = {"cpu": torch.get_rng_state()}
        if pl_module.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(pl_module.device)
        states = [state] * trainer.world_size
        if trainer.world_size > 1:
            distributed.all_gather_object(states, state)
        checkpoint[RANDOM_KEY] = states

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the random state of this process until the first step."""
        states = checkpoint.get(RANDOM_KEY)
        # with more processes than before, the new ones keep their own state
        if states is not None and trainer.global_rank < len(states):
            self.random_state = states[trainer.global_rank]
        self.saved_step = int(checkpoint["global_step"])


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint in ``folder`` to resume from; None to train from the beginning.

    Damaged checkpoints are skipped with a message. The latest is found by its step, not by file
    time, since the clocks of hosts may differ. If the best checkpoint is lost, training resumes
    from a checkpoint that can replace it.
    """
    present = [path for name in (LAST, PREVIOUS) if (path := folder / name).is_file()]
    states = {path: state for path in present if (state := _read(path)) is not None}
    for path in present:
        if path not in states:
            print_line(f"{path}: damaged, skipped")
    best = folder / BEST
    best_exists = is_undamaged(best)
    if present and best.is_file() and not best_exists:
        print_line(f"{best}: damaged, replaced")
    for path, state in sorted(states.items(), key=lambda each: -int(each[1]["global_step"])):
        best_state = _best_state(state)
        replaces = best_state is not None and not best_exists and _is_best(state, best_state)
        if replaces:
            write_whole(best, path.read_bytes())
        if best_state is None or best_exists or replaces:
            step = state["global_step"]
            print_line(f"training resumes from {path.name}, step {step}")
            return path
    if present or best.is_file():
        console.print(f"{folder}: no checkpoint to resume from; training starts at the beginning")
    return None


def _read(path: Path) -> dict[str, Any] | None:
    """Return the content of ``path`` with tensors on disk; None if it is damaged."""
    if not is_undamaged(path):
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # undamaged, but not a checkpoint
        return None
    complete = isinstance(state, dict) and {"global_step", "loops", "callbacks"} <= set(state)
    return state if complete else None


def _best_state(state: dict[str, Any]) -> dict[str, Any] | None:
    """Return the state of BestCheckpoint; None before the first epoch ended."""
    for key, value in state["callbacks"].items():
        if key.startswith(BestCheckpoint.__name__) and value["best_model_score"] is not None:
            return dict(value)
    return None


def _is_best(state: dict[str, Any], best_state: dict[str, Any]) -> bool:
    """Return whether a checkpoint was saved at the end of the best epoch."""
    scores = (torch.as_tensor(best_state[key]) for key in ("current_score", "best_model_score"))
    return RANDOM_KEY not in state and torch.equal(*scores)
