"""Run an evaluation: read or compute scores, calibrate, compare, write the results."""

import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fakesound import provenance
from fakesound.augmentation.conditions import match_conditions
from fakesound.command_line import print_results
from fakesound.data.manifest import write_manifest
from fakesound.errors import InputError
from fakesound.evaluation.inputs import EvaluationInputs, inputs_from_scores
from fakesound.evaluation.results import CalibratedScores, apply_calibration, audit, compute_metrics
from fakesound.evaluation.robustness import robustness
from fakesound.files import json_text, staged, write_whole
from fakesound.metrics import ClipScore, Prior, paired_differences, subsets, write_scores
from fakesound.progress import console, print_line, progress_bar
from fakesound.report import (
    RunResults,
    paired_table,
    results_table,
    robustness_table,
    summary,
    write_report,
    write_tables,
)


def evaluate(options: Namespace, command: str) -> None:
    """Evaluate one or two detectors and write the results to ``options.out``.

    ``metrics.json`` is written last.

    Args:
        options: options of ``fakesound evaluate``.
        command: command line, recorded in the results.

    Raises:
        InputError: naming the invalid option, or the file, row and field.
    """
    start = time.perf_counter()
    if options.checkpoint is None:
        inputs = inputs_from_scores(options)
    else:
        from fakesound.evaluation.from_checkpoint import inputs_from_checkpoint

        inputs = inputs_from_checkpoint(options)
    origin = "the score file, 0.5 where it has none"
    if options.checkpoint is not None:
        origin = "the checkpoint" if inputs.thresholds else "a default of 0.5"
    calibrated = [
        apply_calibration(
            system.test, system.validation, inputs.calibration, inputs.thresholds, origin
        )
        for system in inputs.systems
    ]
    results = compute_results(options, inputs, calibrated)
    results["provenance"] = {
        "command": command,
        **inputs.origin,
        "git": provenance.git_state(),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "seconds": round(time.perf_counter() - start, 1),
    }
    write_results(options, inputs, calibrated[0], results, command)


def compute_results(
    options: Namespace, inputs: EvaluationInputs, calibrated: Sequence[CalibratedScores]
) -> dict[str, Any]:
    """Return the content of ``metrics.json``, without provenance."""
    first, draws, seed = calibrated[0], options.draws, options.seed
    prior = Prior.of(first.validation or first.test)
    with progress_bar("measuring") as progress:
        results = compute_metrics(first, prior, draws, seed, options.confidence, progress)
    results["paired"] = results["audit"] = results["robustness"] = None
    if len(calibrated) == 2:
        names = (inputs.systems[0].name, inputs.systems[1].name)
        with console.status("comparing"):
            results["paired"] = compare(first.test, calibrated[1].test, names, draws, seed)
    if inputs.rescore is not None:
        clips = [inputs.clips[score.clip_id] for score in first.test]
        unseen = {score.clip_id for score in subsets(first.test).unseen}
        with console.status("shortcut audit"):
            results["audit"] = audit(clips, unseen)
        if options.robustness is not None:
            conditions = match_conditions(options.robustness or ["*"])
            blocks = list(robustness(conditions, first, inputs.rescore, draws, seed))
            results["robustness"] = {"conditions": blocks}
    results["remarks"] = [*inputs.warnings, *(c.constant for c in calibrated if c.constant)]
    return results


def compare(
    scores_a: Sequence[ClipScore],
    scores_b: Sequence[ClipScore],
    names: tuple[str, str],
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Return the difference of systems a and b in each metric, for the whole test and its folds.

    The folds are those of system a.

    Raises:
        InputError: naming a clip that only one system scored, or whose labels differ.
    """
    by_id = {clip.clip_id: clip for clip in scores_b}
    lone = {clip.clip_id for clip in scores_a} ^ by_id.keys()
    if lone:
        raise InputError(
            f"clip_id: {min(lone)!r} is scored by only one of {names[0]} and {names[1]} "
            f"({len(lone)} such); give both the same clips, or add --allow-missing"
        )
    parts = {}
    for name, part in subsets(scores_a).parts.items():
        others = [by_id[clip.clip_id] for clip in part]
        differences = paired_differences(part, others, draws, seed)
        parts[name] = {key: asdict(difference) for key, difference in differences.items()}
    return {"names": list(names), "parts": parts}


def write_results(
    options: Namespace,
    inputs: EvaluationInputs,
    calibrated: CalibratedScores,
    results: dict[str, Any],
    command: str,
) -> None:
    """Write scores, tables, report and ``metrics.json``, and print a summary."""
    out = options.out
    run = RunResults(
        folder=out,
        config={},
        metrics=results,
        test_scores=calibrated.test,
        validation_scores=calibrated.validation,
        clips=inputs.clips,
        title=out.resolve().name,
        command=command,
    )
    with staged(out, last="metrics.json") as new:
        write_scores(new / "scores.jsonl", calibrated.test)
        if calibrated.validation:
            write_scores(new / "validation_scores.jsonl", calibrated.validation)
        if inputs.clips:
            write_manifest(new / "manifest.jsonl", inputs.clips.values())
        write_tables(results, new)
        with console.status("report"):
            write_report(run, new / "report.html", options.examples)
        write_whole(new / "metrics.json", json_text(results, indent=1))
    print_results(results_table(run))
    for name, table in (("paired", paired_table), ("robustness", robustness_table)):
        if results[name]:
            print_results(table(results[name]))
    console.print(summary(run))
    for warning in results["remarks"][:20]:
        print_line(f"note: {warning}")
    print_line(f"report: {out / 'report.html'}")
