"""The comparison of a sweep at Weights & Biases: a report, made here and kept there."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests
import wandb

from fakesound.errors import InputError

if TYPE_CHECKING:  # an extra
    from wandb_workspaces.reports import v2

OBJECTIVE = "objective"
TESTED = {"clip AUC": "test/{part}/clip/auc", "segment F1": "test/{part}/segment_f1_20ms"}
COLUMNS, PANEL_HEIGHT = 24, 8
REACH_SECONDS = 15


@dataclass(frozen=True)
class Shown:
    """What the report is of.

    Attributes:
        name: its title.
        groups: of the runs at W&B; each sweep has one.
        keys: of the configuration that differ between the runs.
        part: "unseen" or "seen" attacks.
        attacks: of the tests.
    """

    name: str
    groups: Sequence[str]
    keys: Sequence[str]
    part: str
    attacks: Sequence[str]


def publish(shown: Shown, entity: str, project: str) -> str:
    """Save the report of ``shown`` at W&B and return its address.

    Raises:
        InputError: if wandb-workspaces is not installed or no one is logged in.
        SystemExit: with one line, if W&B cannot be reached or refuses.
    """
    made = report(shown, entity, project)
    os.environ.setdefault("WANDB_SILENT", "true")
    settings = wandb.setup().settings
    netrc = requests.utils.get_netrc_auth(settings.base_url)
    if not (settings.api_key or settings.identity_token_file or netrc):
        raise InputError("--wandb: no one is logged in; `wandb login`, or set WANDB_API_KEY")
    _check_reach(settings.base_url)
    try:
        # asks W&B whether the key is good
        wandb.login(prompt=False)
        return str(made.save().url)
    except Exception as error:  # wandb-workspaces has no errors of its own
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise SystemExit(f"error: W&B: {lines[0]}") from error


def _check_reach(address: str) -> None:
    """Make sure that a server answers: wandb itself would try again for minutes.

    Raises:
        SystemExit: with one line, if none does.
    """
    try:
        requests.head(address, timeout=REACH_SECONDS)  # any answer will do
    except requests.RequestException as error:
        reason = type(error).__name__
        raise SystemExit(f"error: W&B: {address} cannot be reached ({reason})") from error


def report(shown: Shown, entity: str, project: str) -> "v2.Report":
    """Return the report as wandb-workspaces has it; no network is needed.

    Raises:
        InputError: if wandb-workspaces is not installed.
    """
    try:
        from wandb_workspaces.reports import v2
    except ImportError:
        raise InputError(
            "--wandb: wandb-workspaces is not installed; pip install '.[sweep]'"
        ) from None
    runs = v2.Runset(
        entity=entity,
        project=project,
        name=shown.name,
        filters=f"Group in {list(shown.groups)}",
    )
    grid = v2.PanelGrid(runsets=[runs], panels=[*_overview(shown), *_by_attack(shown)])
    return v2.Report(
        entity=entity,
        project=project,
        title=f"Comparison: {shown.name}",
        description="Choose by the objective, which is of validation; the test figures only tell.",
        blocks=[grid],
        width="fluid",
    )


def _overview(shown: Shown) -> list[object]:
    from wandb_workspaces.reports import v2

    tested = {title: key.format(part=shown.part) for title, key in TESTED.items()}
    results = {OBJECTIVE: OBJECTIVE} | {f"{shown.part} {t}": key for t, key in tested.items()}
    lines = v2.ParallelCoordinatesPlot(
        title="What was tried, and what came out",
        columns=[
            *(v2.ParallelCoordinatesPlotColumn(v2.Config(key)) for key in shown.keys),
            *(
                v2.ParallelCoordinatesPlotColumn(v2.SummaryMetric(key), display_name=title)
                for title, key in results.items()
            ),
        ],
        layout=v2.Layout(x=0, y=0, w=COLUMNS, h=PANEL_HEIGHT + 2),
    )
    third = COLUMNS // 3
    size = v2.ScatterPlot(
        title="Size",
        x=v2.SummaryMetric("provenance/parameters"),
        y=v2.SummaryMetric(tested["clip AUC"]),
        log_x=True,
        layout=v2.Layout(x=0, y=PANEL_HEIGHT + 2, w=third, h=PANEL_HEIGHT),
    )
    choice = v2.ScatterPlot(
        title="Validation against test",
        x=v2.SummaryMetric(OBJECTIVE),
        y=v2.SummaryMetric(tested["clip AUC"]),
        layout=v2.Layout(x=third, y=PANEL_HEIGHT + 2, w=third, h=PANEL_HEIGHT),
    )
    differing = v2.RunComparer(
        diff_only=True,
        layout=v2.Layout(x=2 * third, y=PANEL_HEIGHT + 2, w=third, h=PANEL_HEIGHT),
    )
    return [lines, size, choice, differing]


def _by_attack(shown: Shown) -> list[object]:
    """Return a bar plot for each attack: clip AUC by setting, the median of its runs."""
    from wandb_workspaces.reports import v2

    group = v2.Config(shown.keys[0]) if shown.keys else v2.Metric("Group")
    width, top = COLUMNS // 4, 2 * (PANEL_HEIGHT + 1)
    return [
        v2.BarPlot(
            title=f"{attack}: clip AUC",
            metrics=[v2.SummaryMetric(f"test/attack/{attack}/clip/auc")],
            groupby=group,
            groupby_aggfunc="median",
            groupby_rangefunc="minmax",
            range_x=(0, 1),
            layout=v2.Layout(
                x=(index % 4) * width, y=top + (index // 4) * PANEL_HEIGHT, w=width, h=PANEL_HEIGHT
            ),
        )
        for index, attack in enumerate(shown.attacks)
    ]
