"""Shortcut audit: measure whether trivial properties separate fake from genuine clips.

Level, length, offset, bandwidth or dither must not reveal the label; otherwise a detector learns
them and fails in the field (Müller et al., "Speech is silver, silence is golden", 2021).
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fakesound.clip import Clip
from fakesound.data.audio import read_audio
from fakesound.metrics import auc
from fakesound.timeline import Region

FOLDS = 5
# fewest and most clips of each label in the audit of a page
LEAST, MOST = 8, 40
# properties that laundering and crops of one length remove
HIDDEN = ("duration", "sample rate", "offset", "level", "peak")


@dataclass(frozen=True)
class Audit:
    """AUCs of trivial properties.

    Attributes:
        auc: mean AUC over folds of a classifier of all properties; None if undefined.
        properties: AUC of each property alone, in the better direction, so 0.5 or more.
    """

    auc: float | None
    properties: dict[str, float | None]


def trivial_properties(clip: Clip) -> dict[str, float]:
    """Return properties of a clip that are not artefacts of an attack."""
    audio = read_audio(clip.location, clip.sample_rate).astype(np.float64)
    pcm = np.round(audio * 32_768).astype(np.int64)
    loud = np.sqrt(np.mean(audio**2)) + 1e-9
    peak = np.max(np.abs(audio)) + 1e-9
    power = np.abs(np.fft.rfft(audio)) ** 2
    share = np.cumsum(power) / max(power.sum(), 1e-12)
    size = min(320, len(audio))
    blocks = audio[: len(audio) // size * size].reshape(-1, size)
    quiet = 20 * np.log10(np.sqrt(np.mean(blocks**2, axis=1)) + 1e-9)
    return {
        "duration": len(audio) / clip.sample_rate,
        "sample rate": float(clip.sample_rate),
        "offset": float(audio.mean()),
        "level": float(20 * np.log10(loud)),
        "peak": float(20 * np.log10(peak)),
        "crest": float(20 * np.log10(peak / loud)),
        "clipped samples": float(np.mean(np.abs(pcm) >= 32_767)),
        "zero samples": float(np.mean(pcm == 0)),
        "odd samples": float(np.mean(pcm & 1)),
        "bandwidth 95 %": float(np.searchsorted(share, 0.95) / len(share)),
        "bandwidth 99.9 %": float(np.searchsorted(share, 0.999) / len(share)),
        "silence": float(np.mean(quiet < -60)),
        "quietest": float(quiet.min(initial=0)),
    }


def shortcut_audit(clips: Sequence[Clip], without: Collection[str] = ()) -> Audit:
    """Measure how well trivial properties separate fake from genuine clips.

    The classifier is a logistic regression on the ranks of the properties and their squares. Its
    AUC is the mean over folds that share no source; near 0.5, no trivial property leaks.

    Args:
        clips: clips to audit; their audio is read.
        without: properties to leave out.
    """
    rows = [trivial_properties(clip) for clip in clips]
    fake = np.array([clip.is_fake for clip in clips], dtype=bool)
    names = [name for name in rows[0] if name not in without] if rows else []
    table = np.array([[row[name] for name in names] for row in rows]).reshape(len(rows), len(names))
    alone = {}
    for column, name in enumerate(names):
        area = auc(table[:, column], fake)
        alone[name] = None if area is None else max(area, 1 - area)
    sources = np.unique([clip.source_id for clip in clips], return_inverse=True)[1]
    folds = min(FOLDS, len(set(sources)), int(fake.sum()), int((~fake).sum()))
    if folds < 2:
        return Audit(None, alone)
    # scikit-learn takes a second to import
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, QuantileTransformer

    areas = []
    splits = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    for fitted, scored in splits.split(table, fake, sources):
        if len(set(fake[fitted])) < 2:
            continue
        classifier = make_pipeline(
            QuantileTransformer(n_quantiles=min(1000, len(fitted)), random_state=0),
            FunctionTransformer(_with_squares),
            LogisticRegression(class_weight="balanced", max_iter=1000),
        )
        classifier.fit(table[fitted], fake[fitted])
        areas.append(auc(classifier.decision_function(table[scored]), fake[scored]))
    defined = [area for area in areas if area is not None]
    return Audit(float(np.mean(defined)) if defined else None, alone)


def page_audits(
    clips: Sequence[Clip],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, float]:
    """Measure the AUC of trivial properties within each page (domain).

    The properties in `HIDDEN` are left out, as are pages with fewer than `LEAST` whole-clip fakes
    or genuine clips. Of more than `MOST` clips of a label on a page, an even selection is used.

    Args:
        clips: clips of all pages; partial fakes are ignored.
        progress: function called with the number of pages done and of all.
    """
    pages: defaultdict[str, dict[str, list[Clip]]] = defaultdict(
        lambda: {"genuine": [], "fake": []}
    )
    for clip in clips:
        if not clip.is_fake or clip.regions[0] == Region(0, clip.duration):
            pages[clip.domain][clip.label].append(clip)
    aucs = {}
    for number, (page, labels) in enumerate(sorted(pages.items()), start=1):
        progress(number, len(pages))
        if min(map(len, labels.values())) < LEAST:
            continue
        selected = [clip for group in labels.values() for clip in group[:: -(-len(group) // MOST)]]
        area = shortcut_audit(selected, without=HIDDEN).auc
        if area is not None:
            aucs[page] = area
    return aucs


def _with_squares(ranks: Float[np.ndarray, "clip rank"]) -> Float[np.ndarray, "clip input"]:
    """Return ranks in [0, 1] scaled to [-1, 1], and their squares, which mark both extremes."""
    ranks = 2 * ranks - 1
    return np.concatenate((ranks, ranks**2), axis=1)
