"""Write pages, figures and tables of a run, an evaluation or a sweep."""
# ruff: noqa: E402

import logging

# before matplotlib is imported: it warns if it cannot write its cache, which it does not need
logging.getLogger("matplotlib").setLevel(logging.ERROR)

from fakesound.report.clip_view import write_timelines
from fakesound.report.comparison_page import write_comparison
from fakesound.report.examples import choose_clips
from fakesound.report.headline import comparable_note, summary
from fakesound.report.run_page import write_report
from fakesound.report.run_results import RunResults, read_run
from fakesound.report.sweep import read_sweep
from fakesound.report.tables import write_tables
from fakesound.report.terminal import paired_table, results_table, robustness_table

__all__ = [
    "RunResults",
    "choose_clips",
    "comparable_note",
    "paired_table",
    "read_run",
    "read_sweep",
    "results_table",
    "robustness_table",
    "summary",
    "write_comparison",
    "write_report",
    "write_tables",
    "write_timelines",
]
