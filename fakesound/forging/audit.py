"""The shortcut audit: can a classifier that hears no artefact tell fake from genuine?

Level, length, offset, bandwidth or dither must not give the label away; otherwise a detector
learns them and fails in the field (Müller et al., "Speech is silver, silence is golden", 2021).
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import optimize

from fakesound.data.audio import read_audio
from fakesound.data.manifest import Clip
from fakesound.metrics import auc
from fakesound.timeline import Region

FOLDS = 5
DECAY = 1.0
# clips of each label for an audit of a page
LEAST = 8
SHOWN_BY_FILES = ("duration", "sample rate", "offset", "level", "peak")


@dataclass(frozen=True)
class Audit:
    """How well trivial properties tell fake from genuine.

    Attributes:
        auc: of a classifier of all of them, on sources it was not fitted on; None if undefined.
        properties: AUC of each on its own, in the direction that helps, so 0.5 or more.
    """

    auc: float | None
    properties: dict[str, float | None]


def trivial_properties(clip: Clip) -> dict[str, float]:
    """Return what can be known of a clip without listening for artefacts."""
    audio = read_audio(clip.path, clip.sample_rate).astype(np.float64)
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


def shortcut_audit(clips: Sequence[Clip], seed: int = 0, without: Collection[str] = ()) -> Audit:
    """Return how well trivial properties, but those ``without``, tell fake from genuine ``clips``.

    The classifier is a logistic regression on the ranks of the properties and their squares, in
    five folds that share no source; a value near 0.5 says that nothing trivial leaks.
    """
    rows = [trivial_properties(clip) for clip in clips]
    fake = np.array([clip.is_fake for clip in clips], dtype=bool)
    names = [name for name in rows[0] if name not in without] if rows else []
    table = np.array([[row[name] for name in names] for row in rows]).reshape(len(rows), len(names))
    alone = {}
    for column, name in enumerate(names):
        area = auc(table[:, column], fake)
        alone[name] = None if area is None else max(area, 1 - area)
    fold = _folds([clip.source_id for clip in clips], seed)
    scores = np.zeros(len(clips))
    for number in range(FOLDS):
        fitted, scored = fold != number, fold == number
        if not scored.any() or len(set(fake[fitted])) < 2:
            continue
        inputs = _inputs(table, fitted)
        weights = _logistic(inputs[fitted], fake[fitted])
        scores[scored] = inputs[scored] @ weights
    return Audit(auc(scores, fake), alone)


def page_audits(
    clips: Sequence[Clip],
    most: int = 40,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, float]:
    """Return how well trivial properties tell fake from genuine within each page (domain), as AUC.

    What laundered crops of one length do not show (`SHOWN_BY_FILES`) does not count. Pages with
    fewer than `LEAST` whole-clip fakes or genuine clips are left out.

    Args:
        clips: of all pages; partial fakes do not count.
        most: clips of a label on a page at most, spread over them.
        progress: of the pages.
    """
    pages: defaultdict[str, dict[str, list[Clip]]] = defaultdict(
        lambda: {"genuine": [], "fake": []}
    )
    for clip in clips:
        if not clip.is_fake or clip.regions[0] == Region(0, clip.duration):
            pages[clip.domain][clip.label].append(clip)
    found = {}
    for number, (page, labels) in enumerate(sorted(pages.items()), start=1):
        progress(number, len(pages))
        if min(map(len, labels.values())) < LEAST:
            continue
        some = [clip for group in labels.values() for clip in group[:: -(-len(group) // most)]]
        area = shortcut_audit(some, without=SHOWN_BY_FILES).auc
        if area is not None:
            found[page] = area
    return found


def _folds(sources: Sequence[str], seed: int) -> Int[np.ndarray, " clip"]:
    names, place = np.unique(list(sources), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return np.asarray((order % FOLDS)[place])


def _inputs(
    table: Float[np.ndarray, "clip property"], fitted: Bool[np.ndarray, " clip"]
) -> Float[np.ndarray, "clip input"]:
    """Return the properties' places among those ``fitted``, in [-1, 1], their squares and a one."""
    columns = [np.sort(table[fitted, column]) for column in range(table.shape[1])]
    places = [
        (np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right"))
        / len(known)
        - 1
        for known, values in zip(columns, table.T, strict=True)
    ]
    ranks = np.array(places).T
    return np.concatenate((ranks, ranks**2 - 1 / 3, np.ones((len(table), 1))), axis=1)


def _logistic(
    inputs: Float[np.ndarray, "clip input"], fake: Bool[np.ndarray, " clip"]
) -> Float[np.ndarray, " input"]:
    """Return the weights of a logistic regression with quadratic decay, classes in balance."""
    sign = np.where(fake, 1.0, -1.0)
    balance = np.where(fake, 0.5 / fake.mean(), 0.5 / (1 - fake.mean()))

    def cost(weights: Float[np.ndarray, " input"]) -> tuple[float, Float[np.ndarray, " input"]]:
        margin = sign * (inputs @ weights)
        slope = -balance * sign / (1 + np.exp(np.clip(margin, -30, 30)))
        loss = (balance * np.logaddexp(0, -margin)).sum() + 0.5 * DECAY * weights @ weights
        return float(loss), inputs.T @ slope + DECAY * weights

    found = optimize.minimize(cost, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B")
    return np.asarray(found.x)
