"""Folds of decoders and pages: a test on makers, pages and recordings that training never had."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from fakesound.clip import Clip
from fakesound.data.splits import deal_groups, linked

# not a class of decoders: never tested on
UNKNOWN = "unknown"


@dataclass(frozen=True)
class DecoderFolds:
    """Which fold each decoder and each clip's page is in.

    Attributes:
        decoders: fold of each class of decoders.
        pages: fold of the page, or the recording, of each clip.
    """

    decoders: Mapping[str, int]
    pages: Sequence[int]


def deal_decoders(clips: Sequence[Clip], folds: int, seed: int = 0) -> DecoderFolds:
    """Return classes of decoders dealt into ``folds``, and the fold of each clip's page.

    The largest class of decoders is dealt first, each to the fold with the fewest fakes. A page (a
    domain) goes to the fold that has the largest share of its fakes there, so that rare decoders
    keep their pages. Pages that share a source, or have one ``split_group`` in their rows, stay
    together. Clips of domains without published fakes are dealt by source.
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
        unit: min(found, key=lambda fold: (-found[fold] / sizes[fold], fold))
        for unit, found in votes.items()
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

    Validation and test have the genuine clips of their fold's pages and the fakes there whose
    decoder is of the fold too. Training has the pages of other folds, without fakes whose decoder,
    or a relative of it (``decoder_also`` of the row), is tested or validated on. Forged fakes
    follow their recording. Rows with ``evaluation_only`` never train.

    Args:
        clips: clips of the corpus; their own splits do not count.
        validation: fold that validates.
        test: fold that is tested; None: there is none.
        folds: number of folds.
        seed: seed of the assignment.
        at_most: clips of one attack, and genuine clips of one domain, in validation and test; None:
            all there are. Partial fakes count apart.
    """
    dealt = deal_decoders(clips, folds, seed)
    hidden = {name for name, fold in dealt.decoders.items() if fold in (validation, test)}
    used: list[Clip] = []
    room: Counter[tuple[str, str, bool]] = Counter()
    order = sorted(zip(clips, dealt.pages, strict=True), key=lambda item: item[0].clip_id)
    for clip, page in order:
        part = {test: "test", validation: "validation"}.get(page, "train")
        if part == "train":
            relatives = {clip.decoder, *clip.extra.get("decoder_also", ())}
            if not relatives & hidden and not clip.extra.get("evaluation_only"):
                used.append(replace(clip, split=part))
            continue
        if clip.decoder is not None and dealt.decoders.get(clip.decoder) != page:
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
