"""Results of a detector for one or several recordings."""

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import numpy as np
from jaxtyping import Float32

from fakesound.errors import InputError, unicode_name
from fakesound.files import json_text
from fakesound.inference.record import Record
from fakesound.scoring.decision import FakeRegion, Verdict, score_text, with_prior

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Item = TypeVar("Item", bound="Detection | InputError", covariant=True)
FAMILY_TITLES = {"tts": "speech synthesis", "vc": "voice conversion", "svs": "singing synthesis"}
COLOURS: dict[str, str] = {"fake": "#b3261e", "uncertain": "#8a6d00", "genuine": "#1b6e3c"}


@dataclass(frozen=True)
class Detection:
    """Result of a detector for one recording.

    Attributes:
        verdict: "genuine", "fake" or "uncertain"; see `fakesound.scoring.decision.decide`.
        score: calibrated P(fake), given the share ``prior`` of fakes.
        regions: spans called fake; empty if the verdict is "genuine".
        duration: length in seconds.
        frame_step: length of a frame in seconds.
        frame_scores: P(fake) of each frame.
        attack_family: most similar attack family, or "unknown"; None for a detector without
            attribution and for the verdict "genuine".
        path: path of the file; None for an array.
        kind: extent of the fake, "part" or "whole"; None if the verdict is "genuine", and for a
            detector that does not distinguish the two.
        sha256: SHA-256 of the file; None for an array.
        notes: properties of the recording that matter for the result; see
            `fakesound.data.notes.Notes`.
        prior: share of fakes among the recordings that the score assumes.
        record: versions, model and settings.
    """

    verdict: Verdict
    score: float
    regions: tuple[FakeRegion, ...]
    duration: float
    frame_step: float
    frame_scores: Float32[np.ndarray, " frame"] = field(repr=False)
    attack_family: str | None = None
    path: str | None = None
    kind: Literal["part", "whole"] | None = None
    sha256: str | None = None
    notes: tuple[str, ...] = ()
    prior: float = 0.5
    record: Record | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        spans = ", ".join(f"{r.onset:.2f}-{r.offset:.2f}" for r in self.regions)
        return (
            f"Detection({self.path!r}, {self.verdict!r}, score={self.score:.3f}, "
            f"duration={self.duration:.2f}, regions=[{spans}])"
        )

    @property
    def similar_to(self) -> str:
        """Most similar attack family in words; "" for a detector without families."""
        return FAMILY_TITLES.get(self.attack_family or "", self.attack_family or "")

    def probability(self, prior: float) -> float:
        """Return P(fake) for another share of fakes among the recordings.

        Raises:
            InputError: unless the prior lies between 0 and 1.
        """
        return with_prior(with_prior(self.score, 1 - self.prior), prior)

    def to_dict(self, frames: bool = False) -> dict[str, Any]:
        """Return the detection as plain values for JSON.

        Args:
            frames: whether to include frame scores.
        """
        row: dict[str, Any] = {
            "path": None if self.path is None else unicode_name(self.path),
            "sha256": self.sha256,
            "error": None,
            "notes": list(self.notes),
            "verdict": self.verdict,
            "score": round(self.score, 6),
            "kind": self.kind,
            "regions": [
                {"onset": r.onset, "offset": r.offset, "score": round(r.score, 6)}
                for r in self.regions
            ],
            "duration": round(self.duration, 6),
            "attack_family": self.attack_family,
        }
        if frames:
            row["frame_step"] = self.frame_step
            row["frame_scores"] = [round(float(score), 4) for score in self.frame_scores]
        return row

    def to_json(self, frames: bool = False) -> str:
        """Return the detection and its record in the format of ``detect --json``."""
        return Detections([self], self.record).to_json(frames)

    def to_pandas(self) -> "pd.DataFrame":
        """Return a table with onset and offset in seconds and score of each frame.

        Raises:
            InputError: if pandas is not installed.
        """
        onset = np.arange(len(self.frame_scores)) * self.frame_step
        offset = np.minimum(onset + self.frame_step, self.duration)
        columns = {"onset": onset, "offset": offset, "score": self.frame_scores}
        return _pandas().DataFrame(columns)

    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Draw frame scores over time, with their threshold and the regions.

        Args:
            axes: axes of matplotlib; None for those of a new figure.

        Raises:
            InputError: if matplotlib is not installed.
        """
        if axes is None:
            try:
                from matplotlib import pyplot
            except ImportError:
                raise InputError("matplotlib: not installed; pip install matplotlib") from None
            axes = pyplot.subplots(figsize=(10, 2.5), layout="constrained")[1]
        edges = np.minimum(np.arange(len(self.frame_scores) + 1) * self.frame_step, self.duration)
        axes.stairs(self.frame_scores, edges, baseline=None)
        for region in self.regions:
            axes.axvspan(region.onset, region.offset, color=COLOURS["fake"], alpha=0.2, linewidth=0)
        if self.record is not None:
            axes.axhline(self.record.frame_threshold, color="grey", linestyle="--", linewidth=1)
        axes.set(xlim=(0, self.duration), ylim=(0, 1), xlabel="seconds", ylabel="frame score")
        axes.set_title(f"{self.verdict}, score {score_text(self.score)}", loc="left")
        return axes

    def _repr_html_(self) -> str:
        return Detections([self], self.record)._repr_html_()


class Detections(Sequence[Item]):
    """Results of a detector for several recordings.

    Args:
        items: detections, or errors of recordings that could not be read.
        record: versions, model and settings.
    """

    def __init__(self, items: Iterable[Item], record: Record | None) -> None:
        self._items, self.record = tuple(items), record

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> "Detections[Item]": ...
    def __getitem__(self, index: int | slice) -> "Item | Detections[Item]":
        if isinstance(index, slice):
            return Detections(self._items[index], self.record)
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def __repr__(self) -> str:
        verdicts: list[str] = [item.verdict for item in self if isinstance(item, Detection)]
        counts = [f"{verdicts.count(verdict)} {verdict}" for verdict in COLOURS]
        errors = len(self) - len(verdicts)
        return f"Detections({', '.join([*counts, f'{errors} errors'] if errors else counts)})"

    def to_dict(self, frames: bool = False) -> list[dict[str, Any]]:
        """Return the results as plain values for JSON."""
        return [
            item.to_dict(frames) if isinstance(item, Detection) else error_row(str(item))
            for item in self
        ]

    def to_json(self, frames: bool = False) -> str:
        """Return the results and their record in the format of ``detect --json``.

        Raises:
            InputError: if there is no record.
        """
        if self.record is None:
            raise InputError("record: missing; only results of a Detector have one")
        return json_text(self.record.document(self.to_dict(frames)), indent=1)

    def to_pandas(self) -> "pd.DataFrame":
        """Return a table with one row per recording and the columns of ``detect --csv``.

        Raises:
            InputError: if pandas is not installed.
        """
        columns = {} if self.record is None else self.record.columns()
        return _pandas().DataFrame([row | columns for row in self.to_dict()])

    def _repr_html_(self) -> str:
        rows = "".join(_html_row(item) for item in self)
        head = "".join(f"<th>{name}</th>" for name in ("recording", "verdict", "score", "regions"))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def error_row(error: str, path: str | None = None) -> dict[str, Any]:
    """Return the result of a recording that could not be read, as plain values."""
    names = ("sha256", "verdict", "score", "kind", "duration", "attack_family")
    return {"path": path, "error": error, "notes": [], "regions": [], **dict.fromkeys(names)}


def _html_row(item: Detection | InputError) -> str:
    if isinstance(item, InputError):
        return f'<tr><td colspan="4">{html.escape(str(item))}</td></tr>'
    spans = ", ".join(f"{r.onset:.2f}&ndash;{r.offset:.2f} s" for r in item.regions)
    return (
        f"<tr><td>{html.escape(item.path or 'array')}</td>"
        f'<td style="color:{COLOURS[item.verdict]};font-weight:bold">{item.verdict}</td>'
        f"<td>{html.escape(score_text(item.score))}</td><td>{spans}</td></tr>"
    )


def _pandas() -> Any:  # noqa: ANN401  # an optional package
    try:
        import pandas
    except ImportError:
        raise InputError("pandas: not installed; pip install pandas") from None
    return pandas
