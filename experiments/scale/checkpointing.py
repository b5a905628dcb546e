"""Measure a training step of a large backbone on long inputs, with and without recomputation."""

import argparse
import json
import time
from pathlib import Path
from statistics import median

import torch

from fakesound.config.compose import compose_config, run_config
from fakesound.models.build import build_detector


def measure(
    backbone: str, seconds: float, batch: int, device: str, checkpointing: bool
) -> dict[str, object]:
    """Return time and peak memory of a step; seconds are null if memory is insufficient."""
    overrides = (f"backbone={backbone}", f"backbone.checkpointing={str(checkpointing).lower()}")
    config = run_config(compose_config(overrides))
    torch.manual_seed(0)
    detector = build_detector(config).to(device).train()
    audio = torch.randn(batch, round(seconds * config.data.sample_rate), device=device)
    record = {"backbone": backbone, "seconds_of_audio": seconds, "batch": batch, "device": device}
    record |= {"checkpointing": checkpointing, "seconds": None, "peak_bytes": None}
    durations = []
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        for _ in range(4):
            start = time.perf_counter()
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                output = detector(audio)
                loss = output["frame_logits"].float().square().mean()
            loss.backward()
            detector.zero_grad(set_to_none=True)
            if device == "cuda":
                torch.cuda.synchronize()
            durations.append(time.perf_counter() - start)
    except torch.OutOfMemoryError:
        return record
    record["seconds"] = median(durations[1:])
    if device == "cuda":
        record["peak_bytes"] = torch.cuda.max_memory_allocated()
    return record


def main() -> None:
    """Print a line for each size and write the records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="vim_base")
    parser.add_argument("--seconds", default="10,30,60")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    records = []
    for seconds in map(float, options.seconds.split(",")):
        for checkpointing in (False, True):
            record = measure(
                options.backbone, seconds, options.batch, options.device, checkpointing
            )
            records.append(record)
            print(record, flush=True)
    if options.json:
        gpu = torch.cuda.get_device_name() if options.device == "cuda" else None
        machine = {"gpu": gpu, "torch": torch.__version__}
        options.json.write_text(json.dumps({"machine": machine, "records": records}, indent=1))


if __name__ == "__main__":
    main()
