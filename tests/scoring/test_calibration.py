import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from fakesound.errors import InputError
from fakesound.metrics import cllr, metrics_block, min_dcf
from fakesound.scoring.calibration import IDENTITY, Calibrator, fit_calibrator

LEARNT = ("logistic", "isotonic")


@pytest.fixture(scope="module")
def scored(make_clip):
    def build(logits, fake):
        return [
            make_clip(
                str(number),
                score=float(expit(logit)),
                logit=float(logit),
                regions=((0, 1),) if is_fake else (),
            )
            for number, (logit, is_fake) in enumerate(zip(logits, fake, strict=True))
        ]

    return build


def draw(fakes=400, genuines=100, slope=2.0, shift=1.0, seed=0):
    """Return logits with the log likelihood ratio ``(logit - shift) / slope``."""
    rng = np.random.default_rng(seed)
    fake = np.repeat([True, False], [fakes, genuines])
    # two normals of variance 2 m at m and -m: the value is its own log likelihood ratio
    ratio = rng.normal(np.where(fake, 1.5, -1.5), np.sqrt(3))
    return slope * ratio + shift, fake


def columns(scores):
    return np.array([clip.logit for clip in scores]), np.array([clip.fake for clip in scores])


def test_logistic_is_that_of_sklearn(scored):
    logits, fake = draw(4000, 1000)
    found = fit_calibrator(scored(logits, fake), "logistic")
    other = LogisticRegression(class_weight="balanced", C=1e8).fit(logits[:, None], fake)
    assert found.slope == pytest.approx(other.coef_[0, 0], rel=0.01)
    assert found.intercept == pytest.approx(other.intercept_[0], abs=0.01)
    # and near what made them
    assert found.slope == pytest.approx(0.5, rel=0.1)
    assert found.intercept == pytest.approx(-0.5, abs=0.1)


def test_pools_are_those_of_sklearn(scored):
    logits, fake = draw(200, 50)
    logits = np.round(logits, 1)
    ends = np.repeat([logits.min(), logits.max()], 2)
    everywhere = np.append(logits, ends)
    labels = np.append(fake, [True, False, True, False])
    # fakes 200 + 2 halves, genuines 50 + 2 halves
    weights = np.append(np.ones(250), np.full(4, 0.5)) / np.where(labels, 201, 51)
    other = IsotonicRegression().fit(everywhere, labels, sample_weight=weights)
    share = other.predict(everywhere)
    found = fit_calibrator(scored(logits, fake), "isotonic")
    x, y = np.array(found.knots).T
    values = np.unique(np.round(share, 9))
    np.testing.assert_allclose(expit(y), values, atol=1e-8)
    centres = [
        np.average(everywhere[pool], weights=weights[pool])
        for pool in (np.isclose(share, value) for value in values)
    ]
    np.testing.assert_allclose(x, centres, atol=1e-8)
    assert len(x) > 5


def test_isotonic_by_hand(scored):
    # from below, with the halves: 2 | 1 fake, 1 genuine pooled | 2
    found = fit_calibrator(
        scored([-3, -2, -1, 1, 2, 3], [False, False, True, False, True, True]), "isotonic"
    )
    # 1/2 fake to 5/2 genuines at -3, -3, -3, -2; labels weigh alike, three clips and one each
    low, middle, high = found.knots
    assert low == pytest.approx(((-3 * 2 - 2) / 3, -np.log(5)))
    assert middle == pytest.approx((0, 0))
    assert high == pytest.approx(((3 * 2 + 2) / 3, np.log(5)))
    at = found.calibrate(np.array([-9.0, 0.0, 4 / 3, 9.0]))
    assert at == pytest.approx([-np.log(5), 0, np.log(5) / 2, np.log(5)])


@pytest.mark.parametrize("method", LEARNT)
@pytest.mark.parametrize(("slope", "shift"), [(4.0, 3.0), (0.2, -2.0), (1.0, 0.5)])
def test_clips_never_seen_become_calibrated(scored, method, slope, shift):
    calibrator = fit_calibrator(scored(*draw(slope=slope, shift=shift)), method)
    before = scored(*draw(2000, 2000, slope, shift, seed=1))
    after = calibrator.apply(before)
    ideal = cllr(*draw(2000, 2000, 1.0, 0.0, seed=1))
    assert cllr(*columns(before)) > ideal + 0.02
    assert cllr(*columns(after)) < ideal + 0.02
    block = metrics_block(after)
    assert block["clip/act_dcf"] < block["clip/min_dcf"] + 0.05


def test_logistic_leaves_the_ranks(scored):
    before = scored(*draw())
    after = fit_calibrator(before, "logistic").apply(before)
    logits, fake = columns(after)
    assert np.array_equal(np.argsort(logits), np.argsort(columns(before)[0]))
    assert min_dcf(logits, fake) == min_dcf(*columns(before))


def test_isotonic_keeps_the_order_between_its_ends(scored):
    before = scored(*draw())
    calibrator = fit_calibrator(before, "isotonic")
    x, y = np.array(calibrator.knots).T
    assert (np.diff(y) > 0).all()
    inside = np.sort([clip.logit for clip in before if x[0] < clip.logit < x[-1]])
    assert len(inside) > 100
    assert (np.diff(calibrator.calibrate(inside)) > 0).all()


@pytest.mark.parametrize("method", LEARNT)
@pytest.mark.parametrize(
    ("logits", "fake"),
    [
        ([-30.0, -29.0, 29.0, 30.0], [False, False, True, True]),
        ([-30.0, 30.0], [True, False]),
        ([0.3, 0.3, 0.3], [True, False, False]),
        ([-1.0, 1.0] * 500, [False, True] * 500),
    ],
    ids=["apart", "reversed", "alike", "many"],
)
def test_finite_and_never_falling_whatever_the_clips(scored, method, logits, fake):
    clips = scored(logits, fake)
    calibrator = fit_calibrator(clips, method)
    at = calibrator.calibrate(np.linspace(-40, 40, 81))
    assert np.isfinite(at).all()
    assert (np.diff(at) >= 0).all()
    assert np.abs(at).max() < 400
    assert all(0 <= clip.score <= 1 for clip in calibrator.apply(clips))


@pytest.mark.parametrize("method", LEARNT)
def test_inverted_scores_give_a_constant(scored, method):
    logits, fake = draw()
    at = fit_calibrator(scored(-logits, fake), method).calibrate(np.array([-5.0, 0.0, 5.0]))
    np.testing.assert_allclose(at, 0, atol=0.1)


@pytest.mark.parametrize("method", ["none", *LEARNT])
@pytest.mark.parametrize("kind", [True, False])
def test_one_label_teaches_nothing(scored, method, kind):
    assert fit_calibrator(scored([0.0, 1.0], [kind, kind]), method) == IDENTITY == Calibrator()
    assert fit_calibrator([], method) == Calibrator()


def test_none_changes_nothing(make_scores):
    scores = make_scores()
    assert fit_calibrator(scores, "none").apply(scores) == scores


def test_frames_and_thresholds_are_left_alone(make_scores):
    scores = [replace(clip, clip_threshold=0.3, frame_threshold=0.7) for clip in make_scores()]
    calibrator = Calibrator("logistic", 2.0, -1.0)
    for before, after in zip(scores, calibrator.apply(scores), strict=True):
        assert after.logit == pytest.approx(2 * before.logit - 1)
        assert after.score == pytest.approx(expit(2 * before.logit - 1))
        assert after.frame_scores is before.frame_scores
        known = {"logit": before.logit, "score": before.score}
        assert repr(replace(after, **known)) == repr(before)


@pytest.mark.parametrize(
    "calibrator",
    [
        Calibrator(),
        Calibrator("logistic", 1 / 3, -2 / 7),
        Calibrator("isotonic", knots=((-1 / 3, -2.0), (0.1, -2.0), (5.0, 1e-9))),
    ],
    ids=lambda calibrator: calibrator.method,
)
def test_json_holds_it(calibrator):
    assert Calibrator.from_plain(json.loads(json.dumps(calibrator.to_plain()))) == calibrator


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "platt"}, "method: 'platt' is not one of logistic, isotonic, none"),
        ({"method": ["none"]}, "method: "),
        ({"slope": -1.0}, "slope, intercept: "),
        ({"slope": float("nan")}, "slope, intercept: "),
        ({"intercept": float("inf")}, "slope, intercept: "),
        ({"slope": "steep"}, "slope"),
        ({"slope": None}, "slope"),
        ({"method": "none"}, "need method 'logistic'"),
        ({"knots": [[0, 0]]}, "knots: 1 for 'logistic'"),
        ({"knots": [[0, 0, 0]]}, "knots"),
        ({"knots": 3}, "knots"),
        ({"method": "isotonic", "slope": 1, "intercept": 0}, "knots: 0 for 'isotonic'"),
    ],
)
def test_invalid_maps_are_refused_in_one_line(change, words):
    plain = Calibrator("logistic", 2.0, 1.0).to_plain() | change
    with pytest.raises(InputError) as caught:
        Calibrator.from_plain(plain)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "knots",
    [
        ((0.0, 0.0), (0.0, 1.0)),
        ((1.0, 0.0), (0.0, 1.0)),
        ((0.0, 1.0), (1.0, 0.5)),
        ((0.0, np.nan),),
    ],
)
def test_knots_must_rise(knots):
    with pytest.raises(InputError, match=r"^knots: "):
        Calibrator("isotonic", knots=knots)


@pytest.mark.parametrize("plain", [None, [], "none", {}, {"method": "none"}])
def test_other_values_are_no_calibrator(plain):
    with pytest.raises(InputError, match="is not an object"):
        Calibrator.from_plain(plain)


def test_an_unknown_method_is_named(scored):
    with pytest.raises(
        InputError, match="calibration=platt: no such method; give logistic, isotonic"
    ):
        fit_calibrator(scored([0.0, 1.0], [False, True]), "platt")
