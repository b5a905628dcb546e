"""Write the report of a run or an evaluation as one HTML file with embedded media."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from matplotlib.figure import Figure

from fakesound.config.saved import flatten
from fakesound.files import write_whole
from fakesound.metrics import MIN_SOURCES, ClipScore
from fakesound.report import figures, formatting, sections
from fakesound.report.clip_view import LONGEST, figure_uri
from fakesound.report.control import control_table, is_control
from fakesound.report.examples import example_view, pick_examples
from fakesound.report.glossary import (
    ALL_METRICS,
    CLIP_METRICS,
    FRAME_METRICS,
    FRAME_RECALL,
    defined,
)
from fakesound.report.headline import details, headline
from fakesound.report.run_results import (
    Part,
    RunResults,
    attack_groups,
    interval,
    partition_groups,
    shown_parts,
    validation_part,
)
from fakesound.report.sections import Table, TableRow
from fakesound.report.style import render

MOST_REMARKS, MOST_EXAMPLES, MOST_ROWS = 8, 1, 8  # visible at first
ABSTENTION = {
    "answered": "Clips answered",
    "answered_fake": "of the fakes",
    "answered_genuine": "of the genuine clips",
    "accuracy": "Accuracy of the answers",
    "balanced_accuracy": "Balanced accuracy of the answers",
    "accuracy_of_all": "Accuracy if all were answered",
}


def write_report(results: RunResults, path: Path, examples: int) -> None:
    """Write the report of a run or an evaluation to ``path`` atomically.

    Sections without metrics are omitted.

    Args:
        results: results of the run.
        path: HTML file to write.
        examples: number of clips to show.
    """
    tests, validation = shown_parts(results), validation_part(results)
    parts = tests if validation is None else [*tests, validation]
    metrics = results.metrics
    scores = {part.name: part.scores for part in tests}
    attacks = attack_groups(results)
    families = partition_groups(results, "family")
    breakdowns = [
        (title, groups)
        for kind, title in sections.BREAKDOWNS.items()
        if len(groups := partition_groups(results, kind)) > 1
    ]
    paired = sections.paired_parts(metrics["paired"]) if metrics.get("paired") else []
    conditions = sections.conditions(metrics["robustness"]) if metrics.get("robustness") else []
    columns = (*CLIP_METRICS, *FRAME_METRICS, FRAME_RECALL)
    provenance = dict(metrics.get("provenance") or {})
    drawn = _figures(results, scores) | {
        "families": sections.groups_figure(families) if len(families) > 1 else None,
        "attacks": sections.groups_figure(attacks, by_family=True),
        "paired": sections.paired_figure(paired),
        "robustness": sections.conditions_figure(conditions),
    }
    context = {
        "name": results.name,
        "trained": results.trained,
        "official": results.config.get("split", {}).get("name") == "official",
        "headline": headline(results),
        "details": details(results),
        "facts": _facts(provenance),
        "remarks": metrics.get("remarks") or [],
        "most_remarks": MOST_REMARKS,
        "few_sources": [part.title for part in tests if not part.enough_sources],
        "min_sources": MIN_SOURCES,
        "parts": parts,
        "selection_attacks": [
            a.name for a in attacks if a.fold is None and scores.keys() != {"all"}
        ],
        "thresholds": metrics.get("thresholds"),
        "tables": _main_tables(parts),
        "control": control_table(results),
        "is_control": is_control(results.config),
        "all_metrics": Table(
            "metric",
            defined(ALL_METRICS, [part.block for part in parts]),
            [TableRow(part.title, part.block) for part in parts],
        ),
        "paired": paired,
        "attack_table": sections.group_table(attacks, "attack", columns),
        "family_table": sections.group_table(families, "family", columns),
        "breakdowns": [
            (title, _uri(sections.groups_figure(groups)), sections.group_table(groups, "", columns))
            for title, groups in breakdowns
        ],
        "localisation": sections.localisation_tables(metrics),
        "attribution": metrics.get("attribution"),
        "conditions": conditions,
        "calibration": sections.calibration_table(metrics),
        "calibration_method": (metrics.get("calibration") or {}).get("method"),
        "abstention": _abstention(metrics),
        "abstention_rows": ABSTENTION,
        "confidence": (metrics.get("abstention") or {}).get("confidence"),
        "audit": metrics.get("audit"),
        "figures": {name: _uri(figure) for name, figure in drawn.items() if figure is not None},
        "examples": [example_view(each, results) for each in pick_examples(results, examples)],
        "most_examples": MOST_EXAMPLES,
        "most_rows": MOST_ROWS,
        "longest": LONGEST,
        "command": results.command or _command(results),
        "commit": provenance.get("git") or {},
        "provenance": flatten(provenance),
        "configuration": yaml.safe_dump(dict(results.config), sort_keys=False),
        "interval": interval,
        "fmt": formatting,
    }
    write_whole(path, render("run.html.jinja", context))


def _figures(
    results: RunResults, scores: Mapping[str, Sequence[ClipScore]]
) -> dict[str, Figure | None]:
    """Return the curves of the parts of the test, and of the training."""
    metrics = results.metrics
    abstention = metrics.get("abstention") or {}
    answered = {name: abstention[name]["answered"] for name in scores if abstention.get(name)}
    before = sections.reliability_before(metrics, scores)
    return {
        "det": figures.det_figure(scores),
        "roc": figures.roc_figure(scores),
        "reliability": figures.reliability_figure(figures.reliability_points(scores)),
        "reliability_before": figures.reliability_figure(before),
        "risk": figures.risk_figure(scores, answered) if abstention else None,
        "training": figures.training_figure(results.epochs),
    }


def _main_tables(parts: Sequence[Part]) -> list[tuple[str, Table]]:
    """Return tables of detection and localisation, with the always-fake baseline of each part."""
    tables = []
    for title, metrics in (("Detection", CLIP_METRICS), ("Localisation", FRAME_METRICS)):
        rows = []
        for part in parts:
            counts = {}
            if title == "Detection":
                counts = {"fakes": part.fakes, "genuine": part.genuine}
            style = "unseen" if part.name == "unseen" else ""
            rows.append(TableRow(part.title, part.block, counts, style))
            if part.all_fake:
                rows.append(TableRow("always fake", part.all_fake, {}, "baseline"))
        shown = defined(metrics, [part.block for part in parts])
        if shown:
            tables.append((title, Table("clips", shown, rows)))
    return tables


def _abstention(metrics: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    parts = sections.by_part(metrics.get("abstention") or {})
    return [(title, block) for title, block in parts if block.get("answered") is not None]


def _facts(provenance: Mapping[str, Any]) -> list[str]:
    """Return the main facts of a run as short texts."""
    facts = []
    if "seed" in provenance:
        facts.append(f"seed {provenance['seed']}")
    if provenance.get("parameters") is not None:
        facts.append(f"{provenance['parameters']:,} parameters")
    seconds = provenance.get("seconds")
    if isinstance(seconds, Mapping) and seconds.get("train") is not None:
        cores = provenance.get("cores")
        device = provenance.get("gpu") or (cores and f"{cores} CPU cores")
        on = f" on {device}" if device else ""
        facts.append(f"trained in {timedelta(seconds=round(seconds['train']))}{on}")
    if isinstance(provenance.get("clips"), Mapping):
        counts = ", ".join(f"{count:,} {part}" for part, count in provenance["clips"].items())
        facts.append(f"clips: {counts}")
    if provenance.get("git"):
        facts.append(f"commit {provenance['git']['commit'][:10]}")
    return facts


def _command(results: RunResults) -> str | None:
    if results.overrides is None:
        return None
    # resume=auto would return the finished run instead of repeating it
    arguments = [text for text in results.overrides if not text.startswith("resume=")]
    return shlex.join(["fakesound", "run", *arguments])


def _uri(figure: Figure | None) -> str | None:
    return None if figure is None else figure_uri(figure)
