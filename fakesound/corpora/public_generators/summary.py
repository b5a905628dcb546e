"""Printed summary of the corpus."""

from collections import Counter

from rich.console import Console
from rich.table import Table

from fakesound.corpora.public_generators.prepare import AUDIT_LIMIT, Prepared


def print_summary(console: Console, prepared: Prepared) -> None:
    """Print fakes by decoder, licences, pages with pasted fakes only, and what was left out."""
    clips = prepared.clips
    table = Table("decoder", "generators", "fakes", "with a twin", box=None)
    fakes = [clip for clip in clips if clip.is_fake and not clip.extra.get("evaluation_only")]
    for decoder, count in Counter(clip.decoder or "" for clip in fakes).most_common():
        own = [clip for clip in fakes if clip.decoder == decoder]
        twins = sum(clip.twin_id is not None for clip in own)
        table.add_row(decoder, str(len({clip.attack for clip in own})), str(count), str(twins))
    console.print(table)
    hours = sum(clip.duration for clip in clips) / 3600
    genuine = sum(not clip.is_fake for clip in clips)
    licences = Counter(clip.license or "none stated" for clip in clips).most_common()
    lines = [
        f"{len(clips)} clips, {genuine} of them genuine, {hours:.1f} h",
        f"licences: {', '.join(f'{name} {count}' for name, count in licences)}",
    ]
    if prepared.paste_only:
        lines.append(
            "fakes only pasted into recordings, since trivial properties reveal them (AUC above "
            f"{AUDIT_LIMIT}): {', '.join(prepared.paste_only)}"
        )
    if prepared.missing or prepared.left_out or prepared.dropped:
        lines.append(
            f"left out: {prepared.missing} repositories, {prepared.left_out} files (problems.txt), "
            f"{prepared.dropped} clips whose recording is in a test bench"
        )
    for line in lines:
        console.print(line, highlight=False)
