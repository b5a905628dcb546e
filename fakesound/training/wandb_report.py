"""Publish the comparison of a sweep as a report at Weights & Biases."""

import os
from typing import TYPE_CHECKING

import requests
import wandb

from fakesound.errors import InputError
from fakesound.report.formatting import bounds, number
from fakesound.report.glossary import METRICS
from fakesound.report.sweep import Setting, Sweep

if TYPE_CHECKING:  # an extra
    from wandb_workspaces.reports import v2

OBJECTIVE = "objective"
ATTACK_KEYS = ("clip/auc", "frame/auc")
TEST_KEYS = ("clip/auc", "frame/auc", "segment_f1_20ms")
CURVES = {
    "validation/clip/auc": f"{METRICS['clip/auc'].title}, validation",
    "validation/frame/auc": f"{METRICS['frame/auc'].title}, validation",
    "step/loss": "Training loss",
}
COLUMNS, HEIGHT = 24, 8
REACH_SECONDS = 15


def publish(sweep: Sweep, entity: str, project: str) -> str:
    """Save the report of ``sweep`` at W&B and return its address.

    Raises:
        InputError: if wandb-workspaces is not installed or no user is logged in.
        SystemExit: with one line, if W&B cannot be reached or refuses the report.
    """
    page = report(sweep, entity, project)
    os.environ.setdefault("WANDB_SILENT", "true")
    settings = wandb.setup().settings
    netrc = requests.utils.get_netrc_auth(settings.base_url)
    if not (settings.api_key or settings.identity_token_file or netrc):
        raise InputError("--wandb: no user is logged in; `wandb login`, or set WANDB_API_KEY")
    _check_reach(settings.base_url)
    try:
        # W&B checks the key here
        wandb.login(prompt=False)
        return str(page.save().url)
    except Exception as error:  # wandb-workspaces has no specific error types
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise SystemExit(f"error: W&B: {lines[0]}") from error


def _check_reach(address: str) -> None:
    """Check that a server answers, since wandb would retry for minutes.

    Raises:
        SystemExit: with one line, if it does not.
    """
    try:
        requests.head(address, timeout=REACH_SECONDS)
    except requests.RequestException as error:
        reason = type(error).__name__
        raise SystemExit(f"error: W&B: {address} cannot be reached ({reason})") from error


def report(sweep: Sweep, entity: str, project: str) -> "v2.Report":
    """Return the report as an object of wandb-workspaces, without network access.

    Raises:
        InputError: if wandb-workspaces is not installed.
    """
    try:
        from wandb_workspaces.reports import v2
    except ImportError:
        raise InputError(
            "--wandb: wandb-workspaces is not installed; pip install '.[sweep]'"
        ) from None
    groups = sorted({str(run.config.get("logger.group")) for run in sweep.runs} - {"None"})
    single, grouped = (
        v2.Runset(
            entity=entity,
            project=project,
            name=sweep.name,
            filters=f"Group in {groups}",
            groupby=keys,
        )
        for keys in ([], [f"config.{key}" for key in sweep.keys])
    )
    return v2.Report(
        entity=entity,
        project=project,
        title=f"Comparison: {sweep.name}",
        description="Choose by the validation objective; the test metrics are for reporting.",
        blocks=[
            v2.MarkdownBlock(settings_table(sweep)),
            v2.MarkdownBlock(attacks_table(sweep)),
            v2.PanelGrid(runsets=[single], panels=_single(sweep)),
            v2.PanelGrid(runsets=[grouped], panels=_curves()),
        ],
        width="fluid",
    )


def settings_table(sweep: Sweep) -> str:
    """Return a Markdown table of objective and test metrics: median and range of each setting."""
    keys = [key for key in sweep.columns() if key.startswith(f"{sweep.part}/")]
    titles = [f"{METRICS[key.partition('/')[2]].title}, {sweep.part}" for key in keys]
    rows = [["setting", "runs", "validation objective", *titles]]
    rows.append(["---"] * len(rows[0]))
    for setting in sweep.settings:
        values = [setting.median(key) for key in keys]
        rows.append(
            [setting.label, str(len(setting.runs)), number(setting.objective, 3)]
            + [f"{number(v.value, 3)} {bounds(v.interval, 3)}".strip() for v in values]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def attacks_table(sweep: Sweep) -> str:
    """Return a Markdown table of clip and frame AUC by attack and setting: medians of the runs."""
    attacks = sorted({attack for run in sweep.runs for attack in run.attacks})
    labels = [setting.label for setting in sweep.settings]
    rows = [["attack: clip AUC / frame AUC", *labels], ["---"] * (1 + len(labels))]
    for attack in attacks:
        cells = [
            " / ".join(number(_median(setting, attack, key), 2) for key in ATTACK_KEYS)
            for setting in sweep.settings
        ]
        rows.append([attack, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _median(setting: Setting, attack: str, key: str) -> float | None:
    return setting.median_of(lambda run: run.attacks.get(attack, {}).get(key))


def _single(sweep: Sweep) -> list[object]:
    """Return panels of single runs: settings, results, size and configuration."""
    from wandb_workspaces.reports import v2

    tested = {f"test/{sweep.part}/{key}": METRICS[key].title for key in TEST_KEYS}
    lines = v2.ParallelCoordinatesPlot(
        title="Settings and results",
        columns=[
            *(v2.ParallelCoordinatesPlotColumn(v2.Config(key)) for key in sweep.keys),
            *(
                v2.ParallelCoordinatesPlotColumn(v2.SummaryMetric(key), display_name=title)
                for key, title in {OBJECTIVE: "validation objective", **tested}.items()
            ),
        ],
        layout=v2.Layout(x=0, y=0, w=COLUMNS, h=HEIGHT + 2),
    )
    third = COLUMNS // 3
    auc = v2.SummaryMetric(next(iter(tested)))
    size = v2.ScatterPlot(
        title="Size",
        x=v2.SummaryMetric("provenance/parameters"),
        y=auc,
        log_x=True,
        layout=v2.Layout(x=0, y=HEIGHT + 2, w=third, h=HEIGHT),
    )
    choice = v2.ScatterPlot(
        title="Validation and test",
        x=v2.SummaryMetric(OBJECTIVE),
        y=auc,
        layout=v2.Layout(x=third, y=HEIGHT + 2, w=third, h=HEIGHT),
    )
    differing = v2.RunComparer(
        diff_only=True, layout=v2.Layout(x=2 * third, y=HEIGHT + 2, w=third, h=HEIGHT)
    )
    return [lines, size, choice, differing]


def _curves() -> list[object]:
    """Return learning curves by setting: mean and range of its runs."""
    from wandb_workspaces.reports import v2

    width = COLUMNS // len(CURVES)
    return [
        v2.LinePlot(
            title=title,
            x="trainer/global_step",
            y=[key],
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
            layout=v2.Layout(x=index * width, y=0, w=width, h=HEIGHT),
        )
        for index, (key, title) in enumerate(CURVES.items())
    ]
