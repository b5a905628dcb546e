"""Printed report of a prepared data set."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from fakesound.corpora.listing import Corpus
from fakesound.data.manifest import LABELS, SPLITS, Clip
from fakesound.progress import print_line

# lines shown of a longer list
FEW = 5


def clip_table(clips: Sequence[Clip]) -> Table:
    """Return a table of clips, hours and sample rates by split, label and attack."""
    table = Table("split", "label", "attack", "clips", "hours", "sample rates", box=None)
    groups: defaultdict[tuple[int, int, str], list[Clip]] = defaultdict(list)
    for clip in clips:
        split = len(SPLITS) if clip.split is None else SPLITS.index(clip.split)
        groups[split, LABELS.index(clip.label), clip.attack or ""].append(clip)
    for _, group in sorted(groups.items()):
        clip = group[0]
        table.add_row(clip.split or "none", clip.label, clip.attack or "", *_amounts(group))
    table.add_row("all", "", "", *_amounts(clips))
    return table


def warnings(clips: Sequence[Clip]) -> list[str]:
    """Return a line for each property of ``clips`` that would mislead training or a test."""
    lines = []
    by_label = {label: [clip for clip in clips if clip.label == label] for label in LABELS}
    lines += [f"there are no {label} clips" for label, part in by_label.items() if not part]
    rates = {label: {clip.sample_rate for clip in part} for label, part in by_label.items()}
    if all(rates.values()) and rates["genuine"] != rates["fake"]:
        shown = "; ".join(
            f"{label} {', '.join(map(str, sorted(values)))}" for label, values in rates.items()
        )
        lines.append(f"sample rates differ ({shown}): bandwidth alone may reveal the label")
    splits: defaultdict[str, set[str]] = defaultdict(set)
    for clip in clips:
        for source in clip.sources:
            splits[source].add(clip.split or "")
    crossing = sorted(source for source, names in splits.items() if len(names - {""}) > 1)
    if crossing:
        lines.append(
            f"{len(crossing)} sources are in several splits, such as {crossing[0]}: "
            "`fakesound run` refuses them"
        )
    return lines


def print_report(
    console: Console,
    corpus: Corpus,
    clips: Sequence[Clip],
    missing: Sequence[str],
    wrong: Sequence[str],
    remarks: Sequence[str],
) -> None:
    """Print the clips, missing files and where to get them, remarks, warnings and the licence."""
    if clips:
        console.print(clip_table(clips))
    for title, lines in (("missing", missing), ("cannot be used", wrong)):
        if lines:
            print_line(f"\n{title}: {len(lines)}", console)
            shown = list(lines[:FEW]) + (["..."] if len(lines) > FEW else [])
            for line in shown:
                print_line(f"  {line}", console)
    if missing:
        print_line(f"get it: {corpus.source}", console)
    for remark in remarks:
        print_line(f"note: {remark}", console)
    for warning in warnings(clips) if clips else []:
        print_line(f"warning: {warning}", console)
    print_line(f"licence: {corpus.card}", console)


def _amounts(clips: Sequence[Clip]) -> tuple[str, str, str]:
    rates = Counter(clip.sample_rate for clip in clips)
    hours = sum(clip.duration for clip in clips) / 3600
    return str(len(clips)), f"{hours:.2f}", ", ".join(map(str, sorted(rates)))
