"""Records as a table on the terminal."""

from collections.abc import Sequence

from rich.table import Table

from fakesound.benchmarks.records import Record
from fakesound.benchmarks.train_step import PARTS, STEP


def side_by_side(records: Sequence[Record]) -> Table:
    """Return the table of ``bench scan`` and ``bench model``: a block of backends for each case."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    with_matmul = any("matmul_ratio" in record.extra for record in records)
    for title in ("direction", "backend"):
        table.add_column(title)
    numbers = ["B", "L", "ms", "best", "x ours"]
    for title in (*numbers, *(["x matmul"] if with_matmul else []), "MiB", "first call s"):
        table.add_column(title, justify="right")
    before = None
    for record in records:
        case = (record.B, record.L, record.direction)
        if before not in (None, case):
            table.add_section()
        cells = [
            record.direction if case != before else "",
            record.backend,
            str(record.B),
            str(record.L),
            number(1e3 * record.seconds),
            number(1e3 * record.extra["seconds_min"]),
            number(record.extra["ratio"]),
        ]
        if with_matmul:
            cells.append(number(record.extra.get("matmul_ratio")))
        cells += [_mebibytes(record), number(record.first_call_seconds)]
        table.add_row(*cells)
        before = case
    return table


def training_table(records: Sequence[Record]) -> Table:
    """Return the table of ``bench train``: a row for each kernel and source of data, in ms."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("data", "kernel"):
        table.add_column(title)
    for title in ("step ms", *PARTS, "loading+features", "x ours", "MiB"):
        table.add_column(title.replace("+", "\n+ "), justify="right")
    for step in (record for record in records if record.what == f"train {STEP}"):
        parts = {
            record.what.removeprefix("train "): record
            for record in records
            if (record.backend, record.extra["data"]) == (step.backend, step.extra["data"])
        }
        table.add_row(
            step.extra["data"],
            step.backend,
            number(1e3 * step.seconds),
            *(number(1e3 * parts[part].seconds) if part in parts else "" for part in PARTS),
            f"{step.extra['loading_and_features_share']:.0%}",
            number(step.extra["ratio"]),
            _mebibytes(step),
        )
    return table


def backbones_table(records: Sequence[Record]) -> Table:
    """Return the table of ``bench backbones``: a row for each backbone and number of crops."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("backbone")
    titles = (
        "parameters",
        "MFLOPs",
        "tokens",
        "B",
        "forward\nms",
        "+ backward\nms",
        "x first",
        "MiB",
    )
    for title in titles:
        table.add_column(title, justify="right")
    forward = {(r.backend, r.B): r for r in records if r.direction == "forward"}
    for both in (record for record in records if record.direction != "forward"):
        table.add_row(
            both.backend,
            f"{both.extra['parameters']:,}",
            number(both.extra["flops"] / 1e6),
            str(both.L),
            str(both.B),
            number(1e3 * forward[both.backend, both.B].seconds),
            number(1e3 * both.seconds),
            number(both.extra["ratio"]),
            _mebibytes(both),
        )
    return table


def data_table(records: Sequence[Record]) -> Table:
    """Return the table of ``bench data``: opening a manifest, then crops by where from."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("what")
    table.add_column("from")
    for title in ("workers", "rows or crops", "seconds", "of CPU", "a second", "x files", "MiB"):
        table.add_column(title, justify="right")
    for record in records:
        workers = record.extra["workers"]
        table.add_row(
            record.what.removeprefix("data "),
            record.backend,
            "" if workers is None else str(workers),
            f"{record.B:,}",
            number(record.seconds),
            number(record.extra.get("processor_seconds")),
            f"{record.B / record.seconds:,.0f}",
            number(record.extra["ratio"]),
            _mebibytes(record),
        )
    return table


def caption(records: Sequence[Record], machine: dict[str, object]) -> str:
    """Return in one line what all ``records`` have in common."""
    first = records[0]
    sizes = "" if first.what.split()[0] in ("backbone", "data") else f"E={first.E}, N={first.N}, "
    where = machine["gpu"] or f"{machine['processor']}, {machine['threads']} threads"
    return (
        f"{first.what.split()[0]}, {sizes}{first.extra['dtype']}, "
        f"{first.extra['rounds']} rounds, medians; {where}"
    )


def number(value: float | None) -> str:
    """Return ``value`` with three digits that count; nothing for None."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _mebibytes(record: Record) -> str:
    return number(None if record.peak_bytes is None else record.peak_bytes / 2**20)
