"""The corpus in numbers, and pages whose format gives the label away."""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from fakesound.clip import Clip


def with_audit(clips: Sequence[Clip], audits: Mapping[str, float], limit: float) -> list[Clip]:
    """Return ``clips``, fakes of pages audited above ``limit`` with ``paste_only``.

    In training such a fake is cut into a genuine recording, and never stands beside a genuine clip
    of its page.
    """
    return [
        replace(clip, extra={**clip.extra, "paste_only": True})
        if clip.is_fake and audits.get(clip.domain, 0) > limit
        else clip
        for clip in clips
    ]


def print_summary(
    console: Console,
    clips: Sequence[Clip],
    audits: Mapping[str, float],
    limit: float,
    left_out: int,
    missing: int,
    dropped: int,
) -> None:
    """Print fakes by decoder, licences, pages for pastes only, and what was left out."""
    table = Table("decoder", "generators", "fakes", "with a twin", box=None)
    fakes = [clip for clip in clips if clip.is_fake and not clip.extra.get("evaluation_only")]
    counts = Counter(clip.decoder or "" for clip in fakes)
    for decoder, count in counts.most_common():
        own = [clip for clip in fakes if clip.decoder == decoder]
        twins = sum(clip.twin_id is not None for clip in own)
        table.add_row(decoder, str(len({clip.attack for clip in own})), str(count), str(twins))
    console.print(table)
    hours = sum(clip.duration for clip in clips) / 3600
    genuine = sum(not clip.is_fake for clip in clips)
    console.print(f"{len(clips)} clips, {genuine} of them genuine, {hours:.1f} h", highlight=False)
    licences = Counter(clip.license or "none stated" for clip in clips)
    named = ", ".join(f"{name} {count}" for name, count in licences.most_common())
    console.print(f"licences: {named}", highlight=False)
    pages = sorted(page for page, area in audits.items() if area > limit)
    if pages:
        console.print(
            f"pastes only, as trivial properties tell their fakes (AUC above {limit}): "
            f"{', '.join(pages)}",
            highlight=False,
        )
    if missing or left_out or dropped:
        console.print(
            f"left out: {missing} repositories, {left_out} files (problems.txt), {dropped} clips "
            "of recordings in a test bench",
            highlight=False,
        )
