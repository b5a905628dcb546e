"""Time `fakesound evaluate` on generated scores of many clips, and on recordings under conditions.

Each measurement runs a separate command; its time and peak memory include the start of Python and
the report. "s CPU" is the processor time of all its threads and processes, which other programs
disturb less. Generated clips have frames of 20 ms, and two of them share a source; a fake has one
region.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from benchmarks.common import (
    Record,
    at_least,
    command_record,
    make_parser,
    measure_command,
    method_of,
    progress,
    report,
)
from fakesound.command_line import guarded
from fakesound.data.manifest import write_manifest
from fakesound.forging import embedded_clips
from fakesound.metrics import ClipScore, write_scores
from fakesound.metrics.scores import logit
from fakesound.timeline import GRID, Region


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this script."""
    parser = make_parser(__doc__ or "", 1)
    parser.add_argument(
        "--clips",
        type=at_least(40),
        default=5_000,
        help="clips of an evaluation with intervals (5,000)",
    )
    parser.add_argument(
        "--reported",
        type=at_least(40),
        default=10_000,
        help="clips of an evaluation without (10,000)",
    )
    parser.add_argument("--frames", type=at_least(20), default=500, help="frames per clip (500)")
    parser.add_argument("--attacks", type=at_least(1), default=20, help="number of attacks (20)")
    parser.add_argument("--draws", type=at_least(0), default=1_000, help="bootstrap draws (1,000)")
    parser.add_argument(
        "--recordings", type=at_least(1), default=40, help="recordings scored under conditions (40)"
    )
    parser.add_argument(
        "--conditions", nargs="+", default=["*"], help="conditions, by name or glob (all)"
    )
    return parser


def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_args()
    rounds = method_of(options).rounds
    records = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        scores = folder / "scores.jsonl"
        draws = ("--draws", str(options.draws))
        for what, clips in (("evaluation", options.clips), ("report", options.reported)):
            write_scores(scores, generated_scores(clips, options.frames, options.attacks))
            # with draws, the intervals would take most of the time of a report
            extra = draws if what == "evaluation" else ("--draws", "0")
            command = ("--scores", str(scores), *extra)
            records.append(_record(what, clips, options.frames, command, folder, rounds))
        manifest = folder / "manifest.jsonl"
        write_recordings(manifest, options.recordings)
        scored = ("--checkpoint", "default", "--manifest", str(manifest), "--draws", "0")
        for what, extra in (("clean", ()), ("robustness", ("--robustness", *options.conditions))):
            arguments = (*scored, *extra)
            records.append(_record(what, options.recordings, 0, arguments, folder, rounds))
    columns = {
        "what": "what",
        "clips": "B",
        "frames": "L",
        "ms": "seconds",
        "s CPU": "processor_seconds",
        "MiB": "peak_bytes",
        "page, MB": "page_megabytes",
    }
    report(options, records, columns)


def generated_scores(clips: int, frames: int, attacks: int) -> list[ClipScore]:
    """Return scores of ``clips`` clips, half of them fake, for which all metrics are defined."""
    rng = np.random.default_rng(0)
    duration = frames * GRID.step
    scores = []
    for number in range(clips):
        fake = number % 2 == 1
        score = float(np.clip(rng.beta(2 + 2 * fake, 4 - 2 * fake), 1e-6, 1 - 1e-6))
        shape = 2 + 2.0 * fake
        framed = rng.beta(2.0, 6.0, frames)
        first = int(rng.integers(0, frames // 2))
        after = first + int(rng.integers(10, frames // 2))
        framed[first:after] += fake * rng.beta(shape, 4.0, after - first)
        attack = number // 2 % attacks
        scores.append(
            ClipScore(
                clip_id=f"{number:06}",
                score=score,
                logit=logit(score),
                label="fake" if fake else "genuine",
                attack=f"family{attack % 5}/attack{attack}" if fake else None,
                corpus="generated",
                domain="generated",
                source_id=f"{number // 2:06}",
                regions=(Region(first * GRID.step, after * GRID.step),) if fake else (),
                duration=duration,
                frame_step=GRID.step,
                frame_scores=np.clip(framed, 0, 1).astype(np.float32),
                fold=("seen", "unseen")[attack % 2] if fake else None,
            )
        )
    return scores


def write_recordings(manifest: Path, count: int) -> None:
    """Write a manifest of ``count`` embedded recordings, half of them with the label of fakes."""
    clips = []
    for number, clip in enumerate(embedded_clips()[:count]):
        # renamed, because the bundled detector was trained on some of these sources
        clip = replace(clip, source_id=f"source{number}", split=None, donor_ids=(), extra={})
        if number % 2:
            regions = (Region(0.0, clip.duration),)
            clip = replace(clip, label="fake", attack="generated/label", regions=regions)
        clips.append(clip)
    write_manifest(manifest, clips)


def _record(
    what: str, clips: int, frames: int, arguments: Sequence[str], folder: Path, rounds: int
) -> Record:
    out = folder / f"out-{what}"
    command = ("evaluate", *arguments, "--out", str(out))
    costs = [measure_command(*command) for _ in progress(range(rounds))]
    record = command_record(what, "evaluate", clips, frames, costs)
    return record | {"page_megabytes": (out / "report.html").stat().st_size / 1e6}


if __name__ == "__main__":
    guarded(main)
