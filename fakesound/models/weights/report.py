"""Report the status of every tensor of a weights file and of the model."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from rich.markup import escape
from rich.table import Table


class TensorStatus(NamedTuple):
    """Status of a tensor, with the reason.

    Attributes:
        name: name in the model; for skipped tensors, in the file.
        note: change of the tensor, or the reason for its status.
    """

    name: str
    note: str


@dataclass(frozen=True)
class LoadReport:
    """Status of every tensor of a file and of the model.

    Attributes:
        file: name of the file.
        digest: hash of the file.
        layout: origin of the file.
        loaded: names in the model of tensors that were copied unchanged.
        resized: tensors that were resized.
        converted: tensors of the same size that were converted.
        skipped: tensors of the file that are not used.
        left: tensors of the model that keep their initial values.
    """

    file: str
    digest: str
    layout: str
    loaded: tuple[str, ...]
    resized: tuple[TensorStatus, ...]
    converted: tuple[TensorStatus, ...]
    skipped: tuple[TensorStatus, ...]
    left: tuple[TensorStatus, ...]

    def summary(self) -> dict[str, Any]:
        """Return the report as a few plain values, for ``metrics.json``."""
        return {
            "file": self.file,
            "sha256": self.digest,
            "layout": self.layout,
            "loaded": len(self.loaded),
            "resized": dict(self.resized),
            "converted": dict(self.converted),
            "skipped": by_note(self.skipped),
            "left": by_note(self.left),
        }

    def table(self) -> Table:
        """Return the report for the terminal."""
        title = f"weights of {escape(self.file)} ({self.layout})"
        table = Table(title=title, title_justify="left", box=None, show_header=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(justify="right")
        table.add_column()
        table.add_column(style="dim")
        table.add_row("loaded", str(len(self.loaded)), escape(condense(self.loaded)), "")
        for heading, statuses in (
            ("resized", self.resized),
            ("converted", self.converted),
            ("skipped", self.skipped),
            ("initial values", self.left),
        ):
            for note, names in by_note(statuses).items():
                count = sum(status.note == note for status in statuses)
                table.add_row(heading, str(count), escape(names), escape(note))
        return table


def by_note(statuses: Iterable[TensorStatus]) -> dict[str, str]:
    """Return the names that share each note, condense."""
    groups: dict[str, list[str]] = {}
    for name, note in statuses:
        groups.setdefault(note, []).append(name)
    return {note: condense(names) for note, names in groups.items()}


def condense(names: Iterable[str]) -> str:
    """Return names in short form: layers as ranges, weight and bias as one.

    >>> condense(["layers.0.norm.weight", "layers.1.norm.weight", "head.weight", "head.bias"])
    'layers.0-1, head'
    """
    names = list(names)
    layers: dict[str, list[int]] = {}
    shown: dict[str, None] = {}
    for name in names:
        inside = re.match(r"(.*?layers)\.(\d+)\.", name)
        if inside:
            layers.setdefault(inside[1], []).append(int(inside[2]))
            shown[inside[1]] = None
        else:
            stem = name.rpartition(".")[0]
            pair = f"{stem}.weight" in names and f"{stem}.bias" in names
            shown[stem if pair and name.endswith((".weight", ".bias")) else name] = None
    return ", ".join(
        f"{name}.{_ranges(layers[name])}" if name in layers else name for name in shown
    )


def _ranges(numbers: Iterable[int]) -> str:
    """Return numbers as ranges: 0-2,5."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{low}-{high}" if high > low else f"{low}" for low, high in runs)
