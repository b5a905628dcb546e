"""Prepare the corpus: collect repositories, merge and audit their clips, write the manifest."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from fakesound.clip import Clip
from fakesound.corpora.audit import page_audits
from fakesound.corpora.public_generators.collect import fetch
from fakesound.corpora.public_generators.combine import combine
from fakesound.corpora.public_generators.recipes import Recipe
from fakesound.corpora.public_generators.splices import splice_fakes
from fakesound.data.manifest import write_manifest
from fakesound.errors import InputError
from fakesound.files import write_whole
from fakesound.progress import print_line, progress_bar

# partial fakes of each generator on a page, for validation
SPLICES = 2
# on pages with a higher AUC of trivial properties, fakes are only pasted into recordings
AUDIT_LIMIT = 0.65


@dataclass(frozen=True)
class PreparedCorpus:
    """A prepared corpus.

    Attributes:
        clips: all clips of the manifest.
        paste_only: pages whose fakes are only pasted into genuine recordings.
        left_out: number of files that could not be used.
        missing: number of repositories that could not be fetched.
        dropped: number of clips whose recording is in a test bench.
    """

    clips: list[Clip]
    paste_only: list[str]
    left_out: int
    missing: int
    dropped: int


def prepare_generators(
    recipes: Sequence[Recipe],
    out: Path,
    mirror: Path | None = None,
    bench: Sequence[Clip] = (),
    allow_missing: bool = False,
) -> PreparedCorpus:
    """Write the corpus to ``out``: audio, ``manifest.jsonl``, ``audit.json`` and ``problems.txt``.

    Args:
        recipes: recipes of the files.
        out: folder of the corpus.
        mirror: folder of clones to read.
        bench: clips of test benches; their recordings are dropped.
        allow_missing: whether repositories that cannot be fetched are skipped.

    Raises:
        InputError: if a repository is missing, unless ``allow_missing``, or no clip can be made.
    """
    with progress_bar("repositories") as progress:
        collected = fetch(recipes, out, mirror, progress)
    missing = [f"{c.repository}: {c.missing}" for c in collected if c.missing is not None]
    left_out = [line for result in collected for line in result.left_out]
    problems = out / "problems.txt"
    write_whole(problems, "".join(f"{line}\n" for line in [*missing, *left_out]))
    if missing and not allow_missing:
        raise InputError(
            f"public_generators: {len(missing)} of {len(collected)} repositories are "
            f"missing (all in {problems}), first {missing[0]}; start again to fetch them, or add "
            "--allow-missing to leave them out"
        )
    clips = [clip for result in collected for clip in result.clips]
    if not clips:
        raise InputError(f"public_generators: no clip could be made; see {problems}")
    with progress_bar("recordings") as progress:
        clips, dropped = combine(clips, bench, progress)
    with progress_bar("pages") as progress:
        audits = page_audits(clips, progress=progress)
    write_whole(out / "audit.json", json.dumps(audits, indent=1) + "\n")
    paste_only = sorted(page for page, area in audits.items() if area > AUDIT_LIMIT)
    clips = [
        replace(clip, extra={**clip.extra, "paste_only": True})
        if clip.is_fake and clip.domain in paste_only
        else clip
        for clip in clips
    ]
    clips += splice_fakes(clips, out / "splices", SPLICES)
    write_manifest(out / "manifest.jsonl", clips)
    return PreparedCorpus(clips, paste_only, len(left_out), len(missing), dropped)


def print_summary(console: Console, prepared: PreparedCorpus) -> None:
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
        print_line(line, console)
