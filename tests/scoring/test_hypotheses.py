import math

import numpy as np
import pytest
import torch
from scipy.special import expit

from fakesound.models.heads import TwoWayHead
from fakesound.models.heads import either as torch_either
from fakesound.scoring.hypotheses import Hypotheses, either, fit_hypotheses
from tests.metrics.conftest import build_clip

KINDS = {"genuine": (), "part": [(0.2, 0.4)], "whole": [(0, 1)]}


def clip(kind, part, whole, number=0):
    logit = either(part, whole)
    return build_clip(
        f"{kind}{number}",
        float(expit(logit)),
        KINDS[kind],
        logit=logit,
        part_score=float(expit(part)),
        whole_score=float(expit(whole)),
    )


def drawn(count=400):
    """Return clips whose logits of each hypothesis are normal with means one apart, then mapped."""
    rng = np.random.default_rng(0)
    clips = []
    for number in range(count):
        for kind in KINDS:
            part = rng.normal() + (kind == "part")
            whole = rng.normal() + (kind == "whole")
            clips.append(clip(kind, 3 * part + 1, 0.5 * whole - 2, number))
    return clips


def test_a_clip_is_of_the_kind_of_its_regions():
    assert [clip(kind, 0, 0).kind for kind in KINDS] == [None, "part", "whole"]


def test_maps_make_likelihood_ratios_of_either_kind():
    found = fit_hypotheses(drawn())
    # the log likelihood ratio of N(1, 1) to N(0, 1) at x is x - 1/2
    assert found.part.slope == pytest.approx(1 / 3, abs=0.08)
    assert found.part.intercept == pytest.approx(-1 / 3 - 0.5, abs=0.15)
    assert found.whole.slope == pytest.approx(2, abs=0.5)
    assert found.whole.intercept == pytest.approx(4 - 0.5, abs=1.0)
    (one,) = found.apply([clip("whole", 1.0, -2.0)])
    part = found.part.slope + found.part.intercept
    whole = -2 * found.whole.slope + found.whole.intercept
    assert one.logit == pytest.approx(math.log((math.exp(part) + math.exp(whole)) / 2))
    assert one.part_score == pytest.approx(expit(part))


def test_without_fakes_of_a_kind_its_map_is_the_identity():
    found = fit_hypotheses([each for each in drawn(20) if each.kind != "part"])
    assert found.part == Hypotheses().part
    assert found.whole.method == "logistic"


def test_maps_in_the_head_give_the_same_logits():
    torch.manual_seed(0)
    head, tokens = TwoWayHead(8, 1, 0.0, statistics=True).eval(), torch.randn(1, 50, 8)
    given = (tokens, tokens.mean(1), torch.randn(1, 8), torch.randn(1, 50))

    def logits():
        with torch.no_grad():
            evidence, attention, whole = head.both(*given)
        part = (attention.softmax(1) * evidence).sum(1)
        return part, whole.mean(1)

    part, whole = logits()
    found = fit_hypotheses(drawn(30))
    head.maps.copy_(torch.tensor(found.maps))
    mapped = logits()
    torch.testing.assert_close(mapped[0], found.part.slope * part + found.part.intercept)
    torch.testing.assert_close(mapped[1], found.whole.slope * whole + found.whole.intercept)
    assert float(torch_either(*mapped)) == pytest.approx(
        either(float(mapped[0]), float(mapped[1])), abs=1e-6
    )
