"""What a run found, for people: a page, figures, a table; and the comparison of a sweep's runs."""

from fakesound.reporting.comparison import write_comparison
from fakesound.reporting.examples import Example, choose_clips, pick_examples
from fakesound.reporting.page import write_report
from fakesound.reporting.run_folder import RunResults, read_run
from fakesound.reporting.sweep import SweepRow, SweepRun, Value, read_sweep, sweep_rows
from fakesound.reporting.terminal import results_table
from fakesound.reporting.timelines import timeline, write_timelines
from fakesound.reporting.wording import headline, summary

__all__ = [
    "Example",
    "RunResults",
    "SweepRow",
    "SweepRun",
    "Value",
    "choose_clips",
    "headline",
    "pick_examples",
    "read_run",
    "read_sweep",
    "results_table",
    "summary",
    "sweep_rows",
    "timeline",
    "write_comparison",
    "write_report",
    "write_timelines",
]
