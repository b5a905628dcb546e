"""Attribution of families against scikit-learn and by hand."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from fakesound.metrics.attribution import attribution_block, energy_threshold, family_scores
from fakesound.metrics.scores import FamilyScores

from .conftest import build_clip

FAMILIES = ("codec", "edit", "vocoder")


def clip(attack, fold, family, number=0):
    fake = {"regions": [(0, 1)], "attack": attack} if attack else {}
    return build_clip(f"{attack}{number}", fold=fold, family=family, **fake)


def guess(name, energy=0.0, unknown=False):
    rest = 0.4 / (len(FAMILIES) - 1)
    scores = {family: 0.6 if family == name else rest for family in FAMILIES}
    return FamilyScores(scores, energy, unknown)


def test_scores_and_energy_by_hand():
    result = family_scores(np.log([1.0, 2.0, 5.0]), FAMILIES)
    assert result.scores == pytest.approx({"codec": 1 / 8, "edit": 2 / 8, "vocoder": 5 / 8})
    assert result.energy == pytest.approx(-math.log(8))
    assert (result.likeliest, result.name) == ("vocoder", "vocoder")


def test_low_logits_match_no_family():
    sure, unsure = (family_scores(np.array(at), FAMILIES) for at in ([9.0, 0, 0], [0.0, 0, 0]))
    assert sure.energy < unsure.energy == pytest.approx(-math.log(3))
    # only the level differs, not the odds
    lifted = family_scores(np.array([19.0, 10, 10]), FAMILIES)
    assert lifted.scores == pytest.approx(sure.scores)
    assert lifted.energy == pytest.approx(sure.energy - 10)


def test_the_threshold_calls_one_seen_fake_in_twenty_unknown():
    rng = np.random.default_rng(0)
    energies = rng.normal(size=400)
    seen = [clip("edit/splice", "seen", guess("edit", e), i) for i, e in enumerate(energies)]
    # neither genuine clips nor fakes of other attacks have a say
    others = [clip(None, None, guess("edit", 99)), clip("a/b", None, guess("edit", 99))]
    threshold = energy_threshold([*seen, *others])
    assert (energies > threshold).sum() == 20
    assert energy_threshold(others) is None
    assert energy_threshold([clip("edit/splice", "seen", None)]) is None


def drawn(seed=0, count=200):
    rng = np.random.default_rng(seed)
    attacks = {
        "codec/mp3": "seen",
        "edit/splice": "seen",
        "vocoder/world": "unseen",
        "neural/tts": "unseen",
        "edit/copy_move": None,
    }
    clips = []
    for number in range(count):
        attack = str(rng.choice([*attacks]))
        own = attack.split("/")[0]
        name = own if own in FAMILIES and rng.random() < 0.6 else str(rng.choice(FAMILIES))
        energy = rng.normal() + (attack == "neural/tts")
        clips.append(clip(attack, attacks[attack], guess(name, energy, energy > 1), number))
    return [*clips, *(clip(None, None, guess("edit", 5.0), n) for n in range(30))]


def test_figures_are_those_of_scikit_learn():
    clips = drawn()
    block = attribution_block(clips)
    seen = [c for c in clips if c.fold == "seen"]
    truth = [c.attack.split("/")[0] for c in seen]
    called = [c.family.likeliest for c in seen]
    assert block["seen_fakes"] == len(seen)
    assert block["accuracy"] == pytest.approx(accuracy_score(truth, called))
    macro = f1_score(truth, called, labels=sorted(set(truth)), average="macro")
    assert block["macro_f1"] == pytest.approx(macro)
    for key, attacks in (
        ("auc_new_family", ("neural/tts",)),
        ("auc_unseen", ("neural/tts", "vocoder/world")),
    ):
        among = [c for c in clips if c.fold == "seen" or c.attack in attacks]
        area = roc_auc_score([c.fold != "seen" for c in among], [c.family.energy for c in among])
        assert block[key] == pytest.approx(area)


def test_shares_and_counts_are_of_the_right_clips():
    clips = drawn()
    block = attribution_block(clips)

    def share(attacks, what):
        return np.mean([what(c) for c in clips if c.attack in attacks])

    unknown = lambda c: c.family.unknown  # noqa: E731
    seen = ("codec/mp3", "edit/splice")
    assert block["called_unknown_seen"] == pytest.approx(share(seen, unknown))
    assert block["called_unknown_new_family"] == pytest.approx(share(["neural/tts"], unknown))
    world = ["vocoder/world"]
    assert block["called_unknown_unseen_attack"] == pytest.approx(share(world, unknown))
    right = share(world, lambda c: c.family.likeliest == "vocoder")
    assert block["accuracy_unseen_attack"] == pytest.approx(right)
    assert set(block["by_attack"]) == {*seen, "vocoder/world", "neural/tts", "edit/copy_move"}
    for attack, counts in block["by_attack"].items():
        assert sum(counts.values()) == sum(c.attack == attack for c in clips)
        assert list(counts.values()) == sorted(counts.values(), reverse=True)
        unknown_here = sum(c.attack == attack and c.family.unknown for c in clips)
        assert counts.get("unknown", 0) == unknown_here


def test_undefined_figures_are_none():
    block = attribution_block([clip("edit/splice", "seen", guess("edit"))])
    assert block["accuracy"] == block["macro_f1"] == 1
    for key in ("auc_new_family", "auc_unseen", "accuracy_unseen_attack"):
        assert block[key] is None
    assert attribution_block([clip("edit/splice", "seen", None)]) is None
    assert attribution_block([clip(None, None, guess("edit"))]) is None
