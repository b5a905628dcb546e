"""One evaluation from start to end: read or score, judge, compare, write."""

import json
import time
from collections.abc import Sequence
from typing import Any

from fakesound import provenance
from fakesound.augmentation.conditions import match_conditions
from fakesound.data.manifest import write_manifest
from fakesound.evaluation.comparison import compare
from fakesound.evaluation.material import Material, Request, of_files
from fakesound.evaluation.results import Judged, audit, figures, judge
from fakesound.evaluation.robustness import robustness
from fakesound.files import staged, write_whole
from fakesound.metrics import Prior, subsets, write_scores
from fakesound.progress import console, progress_bar
from fakesound.report import (
    RunResults,
    paired_table,
    results_table,
    robustness_table,
    summary,
    write_report,
    write_tables,
)


def assess(request: Request, command: str) -> None:
    """Do what is asked for and write it to ``request.out``; ``metrics.json`` comes last.

    Raises:
        InputError: naming the file, row and field, or the option, that is wrong.
    """
    start = time.perf_counter()
    if request.checkpoint is None:
        material = of_files(request)
    else:
        from fakesound.evaluation.hearing import of_checkpoint

        material = of_checkpoint(request)
    origin = "the checkpoint" if material.thresholds else "the score file, 0.5 where it has none"
    judged = [
        judge(system.test, system.validation, material.calibration, material.thresholds, origin)
        for system in material.systems
    ]
    results = _measured(request, material, judged)
    results["provenance"] = {
        "command": command,
        **material.origin,
        "git": provenance.git_state(),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "seconds": round(time.perf_counter() - start, 1),
    }
    _publish(request, material, judged[0], results, command)


def _measured(request: Request, material: Material, judged: Sequence[Judged]) -> dict[str, Any]:
    first, draws, seed = judged[0], request.draws, request.seed
    prior = Prior.of(first.validation or first.test)
    with progress_bar("measuring") as progress:
        results = figures(first, prior, draws, seed, request.confidence, progress)
    results["paired"] = None
    if len(judged) == 2:
        names = (material.systems[0].name, material.systems[1].name)
        with progress_bar("comparing") as progress:
            progress(0, 1)
            results["paired"] = compare(first.test, judged[1].test, names, draws, seed)
            progress(1, 1)
    results["audit"] = results["robustness"] = None
    if material.hear is not None:
        clips = [material.clips[score.clip_id] for score in first.test]
        unseen = {score.clip_id for score in subsets(first.test).unseen}
        with progress_bar("shortcut audit") as progress:
            progress(0, 1)
            results["audit"] = audit(clips, unseen)
            progress(1, 1)
    if material.hear is not None and request.robustness is not None:
        conditions = match_conditions(request.robustness or ["*"])
        found = list(robustness(conditions, first, material.hear, draws, seed))
        results["robustness"] = {"conditions": found}
    results["remarks"] = list(material.remarks)
    return results


def _publish(
    request: Request, material: Material, judged: Judged, results: dict[str, Any], command: str
) -> None:
    """Write everything and say the outcome."""
    out = request.out
    run = RunResults(
        folder=out,
        config={},
        metrics=results,
        test_scores=judged.test,
        validation_scores=judged.validation,
        clips=material.clips,
        title=out.resolve().name,
        command=command,
    )
    with staged(out, last="metrics.json") as new:
        write_scores(new / "scores.jsonl", judged.test)
        if judged.validation:
            write_scores(new / "validation_scores.jsonl", judged.validation)
        if material.clips:
            write_manifest(new / "manifest.jsonl", material.clips.values())
        write_tables(results, new)
        with progress_bar("report") as progress:
            progress(0, 1)
            write_report(run, new / "report.html", request.examples)
            progress(1, 1)
        text = json.dumps(results, indent=1, allow_nan=False) + "\n"
        write_whole(new / "metrics.json", text)
    console.print(results_table(run))
    for name, table in (("paired", paired_table), ("robustness", robustness_table)):
        if results[name]:
            console.print(table(results[name]))
    console.print(summary(run))
    for remark in results["remarks"][:20]:
        console.print(f"note: {remark}", highlight=False)
    console.print(f"report: {out / 'report.html'}", highlight=False)
