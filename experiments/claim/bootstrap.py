"""Hierarchical bootstrap of AUCs over held-out folds, their generators, sources and training seeds.

All systems have the same draws, so that they can be subtracted draw by draw.
"""

from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np
from jaxtyping import Float

from fakesound.metrics import ClipScore, PairedDifference, has_frames, with_partners
from fakesound.metrics.counts import ScoreCounts, score_counts
from fakesound.metrics.frames import frame_table
from fakesound.metrics.ranking import auc_draws
from fakesound.metrics.resampling import difference_in_draws, source_draws

FIGURES = ("clip AUC, whole", "clip AUC, partial", "frame AUC")
LEVELS = 500  # levels of frame scores in the draws; the point estimate is exact

# metric of a run: by held-out generator, its value, then its value in each draw of sources
Figures = dict[str, Float[np.ndarray, " value_and_draw"]]
# metric of a system: fold -> seed -> generators
Cells = Mapping[str, Mapping[int, Figures]]


def run_figures(scores: Sequence[ClipScore], draws: int) -> dict[str, Figures]:
    """Return each of `FIGURES` for each held-out generator in the test of a run.

    Each fake of the generator has one genuine partner. Clip AUC is that of whole or of partial
    fakes, frame AUC that of partial fakes. It is absent for a generator without such fakes, and for
    a system without frame scores.
    """
    genuines = [clip for clip in scores if not clip.fake]
    sources = sorted({clip.source_id for clip in scores})
    column_of = {source: column for column, source in enumerate(sources)}
    # depends only on the test, so that all systems have the same draws
    seed = crc32("\n".join(sources).encode())
    drawn = np.concatenate((np.ones((1, len(sources))), source_draws(len(sources), draws, seed)))
    areas: dict[str, Figures] = {name: {} for name in FIGURES}
    unseen = [clip for clip in scores if clip.fake and clip.fold == "unseen"]
    for attack in sorted({clip.attack or "" for clip in unseen}):
        for kind, name in (("whole", FIGURES[0]), ("part", FIGURES[1])):
            fakes = [clip for clip in unseen if clip.attack == attack and clip.kind == kind]
            if not fakes:
                continue
            part = with_partners(fakes, genuines)
            weights = drawn[:, [column_of[clip.source_id] for clip in part]]
            areas[name][attack] = clip_aucs(part, weights)
            if kind == "part" and has_frames(part):
                areas[FIGURES[2]][attack] = frame_aucs(part, weights)
    return areas


def clip_aucs(
    clips: Sequence[ClipScore], weights: Float[np.ndarray, "draw clip"]
) -> Float[np.ndarray, " draw"]:
    """Return the clip AUC in each draw."""
    fake = np.array([clip.fake for clip in clips])
    logits = np.array([clip.logit for clip in clips])
    return auc_draws(score_counts(logits, weights * fake, weights * ~fake))


def frame_aucs(
    clips: Sequence[ClipScore], weights: Float[np.ndarray, "draw clip"]
) -> Float[np.ndarray, " draw"]:
    """Return the frame AUC in each draw: exact in the first, from binned scores in the others."""
    table = frame_table(clips)
    fake = table.frame_fake.astype(float)[None]
    exact = auc_draws(score_counts(table.frame_score, fake, 1 - fake))
    edges = np.unique(np.quantile(table.frame_score, np.linspace(0, 1, LEVELS)))
    level = len(edges) - np.searchsorted(edges, table.frame_score, side="right")
    cell = table.frame_clip * (len(edges) + 1) + level
    shape = (len(clips), len(edges) + 1)
    kinds = [
        weights @ np.bincount(cell, kind, minlength=shape[0] * shape[1]).reshape(shape)
        for kind in (fake[0], 1 - fake[0])
    ]
    areas = auc_draws(ScoreCounts(np.append(edges[::-1], -np.inf), *kinds))
    areas[0] = exact[0]
    return areas


def mean_over(cells: Cells) -> Float[np.ndarray, " value_and_draw"]:
    """Return the mean over folds of the mean over generators and seeds, and its bootstrap draws.

    All folds have the same weight. In each draw, folds are drawn with replacement, then generators
    and seeds within each fold, and separate sources for each drawn fold.

    Args:
        cells: metric of a system; every seed of a fold has the same generators.
    """
    stacked = [
        np.stack([np.stack(list(figures.values())) for figures in seeds.values()])
        for seeds in cells.values()
    ]  # axes of a fold: seed, generator, value and draw
    draws = stacked[0].shape[-1] - 1
    rng = np.random.default_rng(0)
    total = np.zeros(draws)
    for slot in range(len(stacked)):
        for draw, fold in enumerate(rng.integers(len(stacked), size=draws)):
            values = stacked[fold]
            seeds, generators = (rng.integers(size, size=size) for size in values.shape[:2])
            # other sources if a fold is drawn twice
            source = 1 + (draw + slot * (draws // len(stacked))) % draws
            total[draw] += np.nanmean(values[np.ix_(seeds, generators, [source])])
    value = np.mean([values[..., 0].mean() for values in stacked])
    return np.concatenate(([value], total / len(stacked)))


def common(a: Cells, b: Cells) -> tuple[Cells, Cells]:
    """Return the folds, seeds and generators that both systems have."""

    def shared(one: Cells, other: Cells) -> dict[str, dict[int, Figures]]:
        cells: dict[str, dict[int, Figures]] = {}
        for fold in one:
            for seed in sorted(one[fold].keys() & other.get(fold, {}).keys()):
                names = sorted(one[fold][seed].keys() & other[fold][seed].keys())
                if names:
                    cells.setdefault(fold, {})[seed] = {n: one[fold][seed][n] for n in names}
        return cells

    return shared(a, b), shared(b, a)


def compared(a: Cells, b: Cells) -> PairedDifference | None:
    """Return the difference of systems a and b; None without runs of both on the same test."""
    a, b = common(a, b)
    if not a:
        return None
    ours, theirs = mean_over(a), mean_over(b)
    return difference_in_draws(float(ours[0]), float(theirs[0]), ours[1:] - theirs[1:])
