"""Metrics of attribution, the attack family of a fake, with families that are not in training."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp, softmax

from fakesound.metrics.ranking import auc
from fakesound.metrics.scores import ClipScore, FamilyScores

# share of the seen fakes in validation that the threshold calls unknown
CALLED_UNKNOWN = 0.05


def family_of(attack: str) -> str:
    """Return the family of the attack ``family/generator``."""
    return attack.partition("/")[0]


def family_scores(logits: Float[np.ndarray, " family"], families: Sequence[str]) -> FamilyScores:
    """Return the probabilities and the energy of the ``logits`` of ``families``.

    The energy is minus the log-sum-exp of the logits: high if no logit is high (Liu et al., NeurIPS
    2020, at temperature 1).
    """
    scores = map(float, softmax(logits))
    return FamilyScores(dict(zip(families, scores, strict=True)), -float(logsumexp(logits)))


def energy_threshold(scores: Sequence[ClipScore]) -> float | None:
    """Return the energy that 5 % of the seen fakes in validation exceed.

    None without seen fakes or without family scores.
    """
    energies = [s.family.energy for s in scores if s.family is not None and s.fold == "seen"]
    return float(np.quantile(energies, 1 - CALLED_UNKNOWN)) if energies else None


class _Fake(NamedTuple):
    attack: str
    fold: str | None
    family: FamilyScores

    @property
    def truth(self) -> str:
        return family_of(self.attack)


def attribution_block(scores: Sequence[ClipScore]) -> dict[str, Any] | None:
    """Return the metrics of attribution; None for a system without family scores.

    All fakes count, whatever the verdict on the clip. ``accuracy`` and ``macro_f1`` compare the
    likeliest family of seen fakes with the true one. ``accuracy_unseen_attack`` is the accuracy on
    unseen attacks whose family was in training. ``called_unknown_*`` are shares at the threshold;
    ``auc_*`` are areas under the ROC curve of the energy, with seen fakes as negatives:
    "new_family" stands for fakes of families that were not in training, "unseen" for all fakes of
    unseen attacks. ``by_attack`` counts the predicted families of each attack. Undefined metrics
    are None.
    """
    fakes = [
        _Fake(clip.attack, clip.fold, clip.family)
        for clip in scores
        if clip.attack is not None and clip.family is not None
    ]
    if not fakes:
        return None
    seen = [fake for fake in fakes if fake.fold == "seen"]
    unseen = [fake for fake in fakes if fake.fold == "unseen"]
    new = [fake for fake in unseen if fake.truth not in fake.family.scores]
    new_attack = [fake for fake in unseen if fake.truth in fake.family.scores]
    by_attack: dict[str, Counter[str]] = {}
    for fake in fakes:
        by_attack.setdefault(fake.attack, Counter())[fake.family.name] += 1
    return {
        "families": list(fakes[0].family.scores),
        "seen_fakes": len(seen),
        "accuracy": _accuracy(seen),
        "macro_f1": _macro_f1(seen),
        "accuracy_unseen_attack": _accuracy(new_attack),
        "called_unknown_seen": _called_unknown(seen),
        "called_unknown_unseen_attack": _called_unknown(new_attack),
        "called_unknown_new_family": _called_unknown(new),
        "auc_new_family": _energy_auc(new, seen),
        "auc_unseen": _energy_auc(unseen, seen),
        "by_attack": {
            attack: dict(by_attack[attack].most_common()) for attack in sorted(by_attack)
        },
    }


def _accuracy(fakes: Sequence[_Fake]) -> float | None:
    return _share([fake.family.likeliest == fake.truth for fake in fakes])


def _called_unknown(fakes: Sequence[_Fake]) -> float | None:
    return _share([fake.family.unknown for fake in fakes])


def _share(cases: Sequence[bool]) -> float | None:
    return sum(cases) / len(cases) if cases else None


def _macro_f1(fakes: Sequence[_Fake]) -> float | None:
    scores = []
    for family in {fake.truth for fake in fakes}:
        true = [fake.truth == family for fake in fakes]
        called = [fake.family.likeliest == family for fake in fakes]
        both = sum(t and c for t, c in zip(true, called, strict=True))
        scores.append(2 * both / (sum(true) + sum(called)))
    return sum(scores) / len(scores) if scores else None


def _energy_auc(unknown: Sequence[_Fake], seen: Sequence[_Fake]) -> float | None:
    energy = np.array([fake.family.energy for fake in (*unknown, *seen)], dtype=np.float64)
    return auc(energy, np.arange(len(energy)) < len(unknown))
