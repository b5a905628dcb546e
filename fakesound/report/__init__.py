"""What a run or an evaluation found: a page, figures, tables; and the comparison of a sweep."""

from fakesound.report.compared import Compared, compared_runs
from fakesound.report.comparison import write_comparison
from fakesound.report.examples import Example, choose_clips, pick_examples
from fakesound.report.page import write_report
from fakesound.report.parts import Value
from fakesound.report.run_folder import RunResults, read_run
from fakesound.report.sweep import SweepRow, SweepRun, read_sweep, sweep_rows
from fakesound.report.tables import write_tables
from fakesound.report.terminal import paired_table, results_table, robustness_table
from fakesound.report.timelines import timeline, write_timelines
from fakesound.report.wording import headline, summary

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
