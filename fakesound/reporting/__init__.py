"""What a run or an evaluation found: a page, figures, tables; and the comparison of a sweep."""

from fakesound.reporting.compared import Compared, compared_runs
from fakesound.reporting.comparison import write_comparison
from fakesound.reporting.examples import Example, choose_clips, pick_examples
from fakesound.reporting.page import write_report
from fakesound.reporting.parts import Value
from fakesound.reporting.run_folder import RunResults, read_run
from fakesound.reporting.sweep import SweepRow, SweepRun, read_sweep, sweep_rows
from fakesound.reporting.tables import write_tables
from fakesound.reporting.terminal import paired_table, results_table, robustness_table
from fakesound.reporting.timelines import timeline, write_timelines
from fakesound.reporting.wording import headline, summary

__all__ = [
    "Compared",
    "Example",
    "RunResults",
    "SweepRow",
    "SweepRun",
    "Value",
    "choose_clips",
    "compared_runs",
    "headline",
    "paired_table",
    "pick_examples",
    "read_run",
    "read_sweep",
    "results_table",
    "robustness_table",
    "summary",
    "sweep_rows",
    "timeline",
    "write_comparison",
    "write_report",
    "write_tables",
    "write_timelines",
]
