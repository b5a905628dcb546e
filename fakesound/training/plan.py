"""Announce the plan and the stages of a run."""

from pathlib import Path

import torch

from fakesound.config import RunConfig
from fakesound.progress import print_line

STAGES = {
    "prepare": "preparing data",
    "train": "training",
    "evaluate": "scoring validation and test clips",
    "report": "writing the report",
}


def announce_plan(config: RunConfig, folder: Path) -> None:
    """Print what a run trains, what it holds out and where its results go."""
    steps, logger = config.epochs * config.steps, config.logger.mode
    print_line(f"{config.name}: {config.backbone.name}, {steps:,} steps, seed {config.seed}")
    held_out = config.split.held_out
    if held_out:
        names = held_out if isinstance(held_out, str) else ", ".join(held_out)
        control = " (control: they are in training)" if config.split.control else ""
        print_line(f"held out: {names}{control}")
    gpu = torch.cuda.is_available() and config.trainer.get("accelerator") != "cpu"
    threads = torch.get_num_threads()
    device = "GPU" if gpu else f"CPU, {threads} thread{'s' if threads > 1 else ''}"
    tracked = f"W&B {logger}" if logger in ("offline", "online") else f"logger {logger}"
    print_line(f"device: {device}; {tracked}")
    print_line(f"folder: {folder}")


def announce_stage(name: str) -> None:
    """Print the number and the title of a stage."""
    number = list(STAGES).index(name) + 1
    print_line(f"[{number}/{len(STAGES)}] {STAGES[name]}")
