"""The mixture of training fakes."""

from collections import Counter

import numpy as np
import pytest

from fakesound.config import PublishedConfig
from fakesound.data.draws import FakeDraw, _weight, published_shares
from tests.factories import make_clip


def fake(number, attack, domain="page", decoder="gan"):
    return make_clip(f"{number}", attack=attack, domain=domain, decoder=decoder)


def totals(clips, share, key):
    counts = Counter()
    for clip, part in zip(clips, share, strict=True):
        counts[key(clip)] += part
    return counts


def test_families_are_drawn_evenly_where_no_cap_binds():
    clips = [fake(n, f"tts/{n % 40}", f"t{n % 20}") for n in range(400)]
    clips += [fake(n, f"codec/{n % 40}", f"c{n % 20}") for n in range(400, 440)]
    share = published_shares(clips, 0.06, 0.03)
    assert share.sum() == pytest.approx(1)
    families = totals(clips, share, lambda c: c.attack.split("/")[0])
    assert families == pytest.approx({"tts": 0.5, "codec": 0.5})


def test_pages_are_drawn_by_the_root_of_their_fakes():
    clips = [fake(n, f"tts/{n}", "large") for n in range(64)]
    clips += [fake(n, f"tts/{n}", "small") for n in range(64, 68)]
    share = totals(clips, published_shares(clips, 1, 1), lambda c: c.domain)
    assert share == pytest.approx({"large": 0.8, "small": 0.2})


def test_no_page_and_no_generator_has_more_than_its_cap():
    rng = np.random.default_rng(0)
    clips = [
        fake(n, f"{rng.choice(['tts', 'vc', 'codec'])}/{min(n % 97, rng.integers(1, 97))}", f"{p}")
        for n, p in enumerate(rng.integers(0, 60, 2_000) % rng.integers(1, 60, 2_000))
    ]
    # one family that would have a third of all draws on one page
    clips += [fake(n, "edit/one", "only") for n in range(2_000, 2_050)]
    share = published_shares(clips, 0.06, 0.03)
    assert max(totals(clips, share, lambda c: c.domain).values()) < 0.063
    assert max(totals(clips, share, lambda c: c.attack).values()) < 0.0315
    assert share.min() > 0


def test_caps_that_cannot_hold_become_even_shares():
    clips = [fake(n, f"tts/{n % 2}", f"{n % 3 % 2}") for n in range(30)]
    share = published_shares(clips, 0.06, 0.03)
    assert totals(clips, share, lambda c: c.domain) == pytest.approx({"0": 0.5, "1": 0.5}, abs=0.02)


def test_draws_follow_the_shares():
    clips = [fake(n, f"tts/{n % 8}", f"{n % 5}") for n in range(40)]
    clips += [fake(n, f"edit/{n % 4}", "forge", None) for n in range(40, 80)]
    draw = FakeDraw(clips, PublishedConfig(0.25, 1, 1), {"edit/0": 0})
    rng = np.random.default_rng(0)
    drawn = Counter(draw(rng) for _ in range(20_000))
    forged = sum(count for index, count in drawn.items() if clips[index].decoder is None)
    assert forged / 20_000 == pytest.approx(0.25, abs=0.02)
    attacks = Counter()
    for index, count in drawn.items():
        attacks[clips[index].attack] += count
    assert "edit/0" not in attacks
    assert min(drawn[n] for n in range(40)) > 200


@pytest.mark.parametrize("decoder", [None, "gan"])
def test_one_kind_alone_has_all_draws(decoder):
    clips = [fake(n, f"tts/{n}", decoder=decoder) for n in range(4)]
    draw = FakeDraw(clips, PublishedConfig(0.25, 0.06, 0.03), {})
    rng = np.random.default_rng(0)
    assert {draw(rng) for _ in range(200)} == {0, 1, 2, 3}


def test_a_name_counts_before_a_glob_and_a_longer_glob_before_a_shorter():
    weights = {"edit/*": 1, "edit/time_*": 2, "edit/time_stretch": 3, "*": 4}
    result = [
        _weight(name, weights) for name in ("edit/time_stretch", "edit/time_warp", "edit/cut")
    ]
    assert result == [3, 2, 1]
    assert _weight("vocoder/world", weights) == 4
    assert _weight("vocoder/world", {"edit/*": 1}) == 1
