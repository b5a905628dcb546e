"""The report for Weights & Biases, against the library that has to take it; no network."""

import pytest

from fakesound.training.wandb_report import Shown, report

v2 = pytest.importorskip("wandb_workspaces.reports.v2")
expr = pytest.importorskip("wandb_workspaces.expr")
SHOWN = Shown(
    name="backbone",
    groups=["backbone"],
    keys=["backbone.name", "optim.lr"],
    part="unseen",
    attacks=["codec/gsm", "codec/opus", "edit/splice", "inpainting/nmf", "vocoder/world"],
)


@pytest.fixture(scope="module")
def grid():
    made = report(SHOWN, "team", "project")
    assert (made.entity, made.project) == ("team", "project")
    (block,) = made.blocks
    return block


def panels(grid, kind):
    return [panel for panel in grid.panels if isinstance(panel, kind)]


def test_it_shows_the_group_of_the_sweep_alone(grid):
    (runs,) = grid.runsets
    assert (runs.entity, runs.project) == ("team", "project")
    (condition,) = expr.filters_tree_to_v2(expr.expr_to_filters(runs.filters))["filters"]
    assert condition["key"] == {"section": "run", "name": "group"}
    assert (condition["op"], condition["value"]) == ("IN", ["backbone"])


def test_lines_run_from_what_was_tried_to_what_came_out(grid):
    (lines,) = panels(grid, v2.ParallelCoordinatesPlot)
    columns = [column.model_dump(by_alias=True) for column in lines._to_model().config.columns]
    assert [column["accessor"] for column in columns] == [
        "config:backbone.value.name",
        "config:optim.value.lr",
        "summary:objective",
        "summary:test/unseen/clip/auc",
        "summary:test/unseen/segment_f1_20ms",
    ]


def test_each_attack_has_bars_by_setting(grid):
    bars = panels(grid, v2.BarPlot)
    configs = [panel._to_model().config for panel in bars]
    assert [config.metrics for config in configs] == [
        [f"summary_metrics.test/attack/{attack}/clip/auc"] for attack in SHOWN.attacks
    ]
    assert {config.group_by for config in configs} == {"backbone.value.name"}
    assert {config.group_agg for config in configs} == {"median"}


def test_no_panel_lies_on_another(grid):
    cells = set()
    for panel in grid.panels:
        place = panel.layout
        assert place.x + place.w <= 24
        for x in range(place.x, place.x + place.w):
            for y in range(place.y, place.y + place.h):
                assert (x, y) not in cells
                cells.add((x, y))


def test_it_asks_for_figures_that_runs_send(grid):
    """The keys of a run's summary, as metrics.json gives them."""
    from fakesound.training.tracking import flatten

    block = {"clip/auc": 0.5, "segment_f1_20ms": 0.5}
    results = {
        "objective": 0.5,
        "test": {"unseen": block, "attack": dict.fromkeys(SHOWN.attacks, block)},
        "provenance": {"parameters": 10},
    }
    sent = {f"summary:{key}" for key in flatten(results)}
    asked = set()
    for panel in grid.panels:
        model = panel._to_model()
        asked |= {
            text.replace("summary_metrics.", "summary:")
            for text in strings(model.model_dump())
            if text.startswith(("summary:", "summary_metrics."))
        }
    assert asked
    assert asked <= sent


def strings(value):
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in parts for text in strings(part)]
