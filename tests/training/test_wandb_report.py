"""The report for Weights & Biases, checked by its library without network."""

import pytest

from fakesound.report import read_sweep
from fakesound.report.formatting import number
from fakesound.training.wandb_report import attacks_table, report, settings_table
from tests.run_factory import make_run

v2 = pytest.importorskip("wandb_workspaces.reports.v2")
expr = pytest.importorskip("wandb_workspaces.expr")
ATTACKS = ["codec/gsm", "edit/splice", "vocoder/world"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wandb") / "backbone"
    for place, name in enumerate(("vim", "cnn")):
        changes = {"backbone.name": name, "optim.lr": 0.1 * place, "logger": {"group": "backbone"}}
        make_run(folder / name, changes=changes, sources=3)
    return read_sweep([folder])


@pytest.fixture(scope="module")
def page(sweep):
    page = report(sweep, "team", "project")
    assert (page.entity, page.project) == ("team", "project")
    return page


@pytest.fixture(scope="module")
def grids(page):
    return [block for block in page.blocks if isinstance(block, v2.PanelGrid)]


def panels(grid, kind):
    return [panel for panel in grid.panels if isinstance(panel, kind)]


def test_the_report_shows_only_the_group_of_the_sweep(grids):
    for grid in grids:
        (runs,) = grid.runsets
        assert (runs.entity, runs.project) == ("team", "project")
        (condition,) = expr.filters_tree_to_v2(expr.expr_to_filters(runs.filters))["filters"]
        assert condition["key"] == {"section": "run", "name": "group"}
        assert (condition["op"], condition["value"]) == ("IN", ["backbone"])


def test_the_table_has_a_row_for_each_setting(page, sweep):
    block, attacks = [block for block in page.blocks if isinstance(block, v2.MarkdownBlock)]
    assert attacks.text == attacks_table(sweep)
    rows = block.text.splitlines()
    assert block.text == settings_table(sweep)
    assert len(rows) == 2 + len(sweep.settings)
    for row, setting in zip(rows[2:], sweep.settings, strict=True):
        assert setting.label in row
        assert f"{setting.median('unseen/clip/auc').value:.3f}" in row


def test_parallel_coordinates_have_varied_keys_and_metrics(grids):
    (lines,) = panels(grids[0], v2.ParallelCoordinatesPlot)
    columns = [column.model_dump(by_alias=True) for column in lines._to_model().config.columns]
    assert [column["accessor"] for column in columns] == [
        "config:backbone.value.name",
        "config:optim.value.lr",
        "summary:objective",
        "summary:test/unseen/clip/auc",
        "summary:test/unseen/frame/auc",
        "summary:test/unseen/segment_f1_20ms",
    ]


def test_curves_are_grouped_by_all_that_differs(grids):
    (runs,) = grids[1].runsets
    assert runs.groupby == ["config.backbone.name", "config.optim.lr"]
    assert len(panels(grids[1], v2.LinePlot)) == 3


def test_attacks_are_rows_and_settings_columns(sweep):
    head, _, *rows = (row.strip("| ").split(" | ") for row in attacks_table(sweep).splitlines())
    assert head[1:] == [setting.label for setting in sweep.settings]
    assert [row[0] for row in rows] == ATTACKS
    run = sweep.settings[0].runs[0]
    for attack, cell, _ in rows:
        clip, frame = (run.attacks[attack][key] for key in ("clip/auc", "frame/auc"))
        assert cell == f"{number(clip, 2)} / {number(frame, 2)}"


def test_panels_do_not_overlap(grids):
    for grid in grids:
        cells = set()
        for panel in grid.panels:
            place = panel.layout
            assert place.x + place.w <= 24
            for x in range(place.x, place.x + place.w):
                for y in range(place.y, place.y + place.h):
                    assert (x, y) not in cells
                    cells.add((x, y))


def test_the_report_reads_metrics_that_runs_log(grids):
    """Return the keys of a run's summary, as in metrics.json."""
    from fakesound.training.tracking import summary

    block = {"clip/auc": 0.5, "frame/auc": 0.5, "segment_f1_20ms": 0.5}
    results = {
        "objective": 0.5,
        "test": {"unseen": block, "attack": dict.fromkeys(ATTACKS, block)},
        "provenance": {"parameters": 10},
    }
    sent = {f"summary:{key}" for key in summary(results)}
    asked = set()
    for panel in (panel for grid in grids for panel in grid.panels):
        asked |= {
            text.replace("summary_metrics.", "summary:")
            for text in strings(panel._to_model().model_dump())
            if text.startswith(("summary:", "summary_metrics."))
        }
    assert asked
    assert asked <= sent


def strings(value):
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in parts for text in strings(part)]
