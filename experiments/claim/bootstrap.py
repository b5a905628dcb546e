"""Hierarchical bootstrap of AUCs: held-out folds, their generators, sources, seeds of the training.

All systems are measured on the same draws, so that they can be subtracted draw by draw.
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
LEVELS = 500  # of frame scores in the draws; the value itself is exact

# a figure of one run: for each held-out generator its value, then its value in each draw of sources
Figures = dict[str, Float[np.ndarray, " value_and_draw"]]
# a figure of one system: fold -> seed -> its generators
Cells = Mapping[str, Mapping[int, Figures]]


def run_figures(scores: Sequence[ClipScore], draws: int) -> dict[str, Figures]:
    """Return each of `FIGURES` for each held-out generator in the test of a run.

    Fakes of the generator against one genuine partner each. Clip AUC of whole and of partial fakes;
    frame AUC of partial fakes. A generator without such fakes, and a system without frame scores,
    has no such figure.
    """
    genuines = [clip for clip in scores if not clip.fake]
    sources = sorted({clip.source_id for clip in scores})
    place = {source: column for column, source in enumerate(sources)}
    # of the test alone: all systems draw the same
    seed = crc32("\n".join(sources).encode())
    drawn = np.concatenate((np.ones((1, len(sources))), source_draws(len(sources), draws, seed)))
    found: dict[str, Figures] = {name: {} for name in FIGURES}
    unseen = [clip for clip in scores if clip.fake and clip.fold == "unseen"]
    for attack in sorted({clip.attack or "" for clip in unseen}):
        for kind, name in (("whole", FIGURES[0]), ("part", FIGURES[1])):
            fakes = [clip for clip in unseen if clip.attack == attack and clip.kind == kind]
            if not fakes:
                continue
            part = with_partners(fakes, genuines)
            weights = drawn[:, [place[clip.source_id] for clip in part]]
            found[name][attack] = clip_aucs(part, weights)
            if kind == "part" and has_frames(part):
                found[FIGURES[2]][attack] = frame_aucs(part, weights)
    return found


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
    """Return the frame AUC in each draw; exact in the first, of scores in levels in the others."""
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
    found = auc_draws(ScoreCounts(np.append(edges[::-1], -np.inf), *kinds))
    found[0] = exact[0]
    return found


def mean_over(cells: Cells) -> Float[np.ndarray, " value_and_draw"]:
    """Return the mean over folds of the mean over generators and seeds, and over draws of all four.

    Every fold counts alike. In each draw folds are drawn with replacement, in each of them
    generators and seeds, and sources apart for each fold drawn.

    Args:
        cells: figures of a system; every seed of a fold has the same generators.
    """
    stacked = [
        np.stack([np.stack(list(figures.values())) for figures in seeds.values()])
        for seeds in cells.values()
    ]  # of each fold: seed, generator, value and draw
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
    """Return the cells of both systems that both have: folds, seeds and generators."""

    def shared(one: Cells, other: Cells) -> dict[str, dict[int, Figures]]:
        kept: dict[str, dict[int, Figures]] = {}
        for fold in one:
            for seed in sorted(one[fold].keys() & other.get(fold, {}).keys()):
                names = sorted(one[fold][seed].keys() & other[fold][seed].keys())
                if names:
                    kept.setdefault(fold, {})[seed] = {n: one[fold][seed][n] for n in names}
        return kept

    return shared(a, b), shared(b, a)


def compared(a: Cells, b: Cells) -> PairedDifference | None:
    """Return by how much system a exceeds system b; None without a run of both on the same test."""
    a, b = common(a, b)
    if not a:
        return None
    ours, theirs = mean_over(a), mean_over(b)
    return difference_in_draws(float(ours[0]), float(theirs[0]), ours[1:] - theirs[1:])
