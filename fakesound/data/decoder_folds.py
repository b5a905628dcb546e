"""Folds of decoders and pages, to test on decoders, pages and recordings unseen in training."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from fakesound.clip import Clip
from fakesound.data.splits import deal_groups, linked

# marks fakes of unknown decoder, which are never tested on
UNKNOWN = "unknown"


@dataclass(frozen=True)
class DecoderFolds:
    """Folds of decoders and of the pages of clips.

    Attributes:
        decoders: fold by class of decoders.
        pages: fold of each clip's page, or recording.
    """

    decoders: Mapping[str, int]
    pages: Sequence[int]


def deal_decoders(clips: Sequence[Clip], folds: int, seed: int = 0) -> DecoderFolds:
    """Assign classes of decoders, and the page of each clip, to ``folds``.

    Decoders are assigned from the largest class down, each to the fold with the fewest fakes. A
    page (a domain) goes to the fold of most of its fakes, relative to the size of the fold, so that
    rare decoders keep their pages. Pages that share a source or a ``split_group`` stay together.
    Clips of domains without published fakes are assigned by source.
    """
    counts = Counter(c.decoder for c in clips if c.is_fake and c.decoder not in (None, UNKNOWN))
    sizes, decoders = [0] * folds, {}
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0] or "")):
        fold = int(np.argmin(sizes))
        decoders[name or ""] = fold
        sizes[fold] += count
    published = {c.domain for c in clips if c.is_fake and c.decoder is not None}
    groups = linked(_links(clips, published))
    units = [groups[f"source {clip.source_id}"] for clip in clips]
    votes: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for clip, unit in zip(clips, units, strict=True):
        if clip.decoder in decoders:
            votes[unit][decoders[clip.decoder]] += 1
    of_unit = {
        unit: min(folds_of_unit, key=lambda fold: (-folds_of_unit[fold] / sizes[fold], fold))
        for unit, folds_of_unit in votes.items()
    }
    rest = [n for n, unit in enumerate(units) if unit not in of_unit]
    stand_ins = [replace(clips[n], source_id=units[n], donor_ids=()) for n in rest]
    pages = [of_unit.get(unit, -1) for unit in units]
    for n, fold in zip(rest, deal_groups(stand_ins, [1 / folds] * folds, seed), strict=True):
        pages[n] = int(fold)
    return DecoderFolds(decoders, pages)


def split_by_decoder(
    clips: Sequence[Clip],
    validation: int,
    test: int | None,
    folds: int,
    seed: int = 0,
    at_most: int | None = None,
) -> list[Clip]:
    """Return the clips that are used, each with its split.

    Validation and test have the genuine clips of their fold's pages, and the fakes of these pages
    whose decoder is in the same fold. Training has the pages of other folds, without fakes whose
    decoder, or a relative of it (``decoder_also`` of the row), is in validation or test. Forged
    fakes follow their recording. Rows with ``evaluation_only`` are never in training.

    Args:
        clips: clips of the corpus; their own splits are ignored.
        validation: fold for validation.
        test: fold for the test; None for no test.
        folds: number of folds.
        seed: seed of the assignment.
        at_most: largest number of clips of one attack, and of genuine clips of one domain, in
            validation and in test; partial fakes count separately; None for no limit.
    """
    assignment = deal_decoders(clips, folds, seed)
    hidden = {name for name, fold in assignment.decoders.items() if fold in (validation, test)}
    used: list[Clip] = []
    room: Counter[tuple[str, str, bool]] = Counter()
    order = sorted(zip(clips, assignment.pages, strict=True), key=lambda item: item[0].clip_id)
    for clip, page in order:
        part = {test: "test", validation: "validation"}.get(page, "train")
        if part == "train":
            relatives = {clip.decoder, *clip.extra.get("decoder_also", ())}
            if not relatives & hidden and not clip.extra.get("evaluation_only"):
                used.append(replace(clip, split=part))
            continue
        if clip.decoder is not None and assignment.decoders.get(clip.decoder) != page:
            continue
        whole = sum(region.offset - region.onset for region in clip.regions) > 0.99 * clip.duration
        kind = (part, clip.attack or f"genuine {clip.domain}", whole)
        room[kind] += 1
        if at_most is None or room[kind] <= at_most:
            used.append(replace(clip, split=part))
    return used


def _links(clips: Sequence[Clip], published: set[str]) -> list[tuple[str, ...]]:
    links = set()
    for clip in clips:
        sources = tuple(f"source {source}" for source in clip.sources)
        if clip.domain in published:
            group = clip.extra.get("split_group")
            sources += (f"page {clip.domain}", *([f"group {group}"] if group else []))
        links.add(sources)
    return sorted(links)
