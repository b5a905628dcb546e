"""The report of a run or an evaluation: one HTML file with pictures and audio inside."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from fakesound.files import write_whole
from fakesound.report import sections, wording
from fakesound.report.attack_figure import attack_figure
from fakesound.report.embed import figure_uri, render
from fakesound.report.examples import pick_examples
from fakesound.report.figures import (
    det_figure,
    reliability_figure,
    reliability_of,
    risk_figure,
    roc_figure,
)
from fakesound.report.glossary import ALL_FIGURES, CLIP_FIGURES, FRAME_FIGURES, Figure
from fakesound.report.listening import shown
from fakesound.report.paired import paired_figure, paired_parts
from fakesound.report.parts import (
    Part,
    attack_results,
    interval,
    known,
    shown_parts,
    validation_part,
)
from fakesound.report.robustness import parts_under_conditions, robustness_figure
from fakesound.report.run_folder import RunResults
from fakesound.report.timelines import LONGEST
from fakesound.report.training_figure import training_figure

MOST_REMARKS = 8


def write_report(results: RunResults, path: Path, examples: int) -> None:
    """Write the report of a run, or of an evaluation, to ``path``, whole or not at all.

    A section is left out where the figures it shows are not there.

    Args:
        results: of the run.
        path: of the HTML file.
        examples: number of clips to look at and listen to.
    """
    tests, validation = shown_parts(results), validation_part(results)
    parts = tests if validation is None else [*tests, validation]
    attacks = attack_results(results)
    provenance = dict(results.metrics.get("provenance") or {})
    sections_given = _sections(results.metrics, {part.name: part.scores for part in tests})
    figures = sections_given.pop("figures") | {
        "attacks": attack_figure(attacks),
        "training": training_figure(results.epochs),
    }
    context = sections_given | {
        "name": results.name,
        "trained": results.trained,
        "headline": wording.headline(results),
        "summary": wording.summary(results),
        "official": results.config.get("split", {}).get("name") == "official",
        "inner": sorted({a.name for a in attacks if a.fold is None})
        if tests[0].name != "all"
        else [],
        "parts": parts,
        "tables": _tables(parts),
        "every_figure": _defined(ALL_FIGURES, [part.block for part in parts]),
        "attacks": attacks,
        "attack_figures": _defined((*CLIP_FIGURES, *FRAME_FIGURES), [a.block for a in attacks]),
        "audit": results.metrics.get("audit"),
        "figures": {name: figure_uri(fig) for name, fig in figures.items() if fig is not None},
        "examples": [shown(example, results) for example in pick_examples(results, examples)],
        "thresholds": results.metrics.get("thresholds"),
        "remarks": results.metrics.get("remarks") or [],
        "most_remarks": MOST_REMARKS,
        "longest": LONGEST,
        "command": results.command or _command(results),
        "commit": (provenance.get("git") or {}),
        "provenance": flattened(provenance),
        "configuration": yaml.safe_dump(dict(results.config), sort_keys=False),
        "interval": interval,
        "wording": wording,
        "number": wording.number,
        "percent": wording.percent,
        "listed": wording.listed,
    }
    write_whole(path, render("run.html.jinja", context))


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested ``values`` as text under keys joined by dots."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            flat[f"{prefix}{key}"] = ", ".join(str(item) for item in value) or "none"
        else:
            flat[f"{prefix}{key}"] = "none" if value is None else str(value)
    return flat


def _sections(metrics: Mapping[str, Any], folds: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return what the optional sections show, and the figures of ``folds``."""
    paired = paired_parts(metrics["paired"]) if metrics.get("paired") else []
    conditions = parts_under_conditions(metrics["robustness"]) if metrics.get("robustness") else []
    abstention = metrics.get("abstention") or {}
    answered = {name: abstention[name]["answered"] for name in folds if abstention.get(name)}
    divisions = []
    for division in sections.partitions(metrics):
        drawn = sections.partition_figure(division)
        divisions.append((division, None if drawn is None else figure_uri(drawn)))
    return {
        "paired": paired,
        "conditions": conditions,
        "partitions": divisions,
        "localisation": sections.localisation(metrics),
        "attribution": metrics.get("attribution"),
        "calibration": sections.calibration(metrics),
        "calibration_method": (metrics.get("calibration") or {}).get("method"),
        "abstention": sections.abstention(metrics),
        "confidence": abstention.get("confidence"),
        "figures": {
            "det": det_figure(folds),
            "roc": roc_figure(folds),
            "reliability": reliability_figure(reliability_of(folds)),
            "reliability_before": reliability_figure(sections.reliability_before(metrics, folds)),
            "risk": risk_figure(folds, answered) if abstention else None,
            "paired": paired_figure(paired),
            "robustness": robustness_figure(conditions),
        },
    }


def _tables(parts: Sequence[Part]) -> list[tuple[str, list[Figure]]]:
    blocks = [part.block for part in parts]
    tables = [
        ("Is the clip fake?", _defined(CLIP_FIGURES, blocks)),
        ("Which parts are fake?", _defined(FRAME_FIGURES, blocks)),
    ]
    return [(title, figures) for title, figures in tables if figures]


def _defined(figures: Sequence[Figure], blocks: Sequence[Mapping[str, Any]]) -> list[Figure]:
    return [figure for figure in figures if known(blocks, figure.key)]


def _command(results: RunResults) -> str | None:
    if results.overrides is None:
        return None
    # a finished run would be found again instead of done again
    arguments = [text for text in results.overrides if not text.startswith("resume=")]
    return shlex.join(["python", "-m", "fakesound.run", *arguments])
