import random
from collections import Counter

import pytest
from msgspec.structs import replace

from fakesound.data.manifest import read_manifest
from fakesound.errors import InputError
from fakesound.listening_test import draw_pairs, draw_thirds

from .conftest import with_whole


@pytest.fixture(scope="module")
def clips(corpus):
    return read_manifest(corpus)


@pytest.mark.parametrize("seed", range(5))
def test_no_source_is_played_twice_and_attacks_alternate(clips, seed):
    pairs = draw_pairs(clips, 8, seed)
    sources = [clip.source_id for pair in pairs for clip in pair]
    assert len(set(sources)) == len(sources) == 16
    assert all(fake.is_fake and not genuine.is_fake for fake, genuine in pairs)
    assert set(Counter(fake.attack for fake, _ in pairs).values()) == {2}
    families = [fake.attack.partition("/")[0] for fake, _ in pairs]
    assert set(families[:3]) == {"vocoder", "edit", "codec"}


def test_the_draw_depends_on_the_seed_and_not_on_the_order(clips):
    mixed = list(clips)
    random.Random(1).shuffle(mixed)
    assert draw_pairs(mixed, 5, 3) == draw_pairs(clips, 5, 3)
    assert draw_pairs(clips, 5, 4) != draw_pairs(clips, 5, 3)


def test_donors_count_as_sources(clips):
    donors = {clip.source_id for clip in clips}
    # each fake holds material of the next recording
    after = {name: f"voice-{(int(name[6:]) + 1) % 20}" for name in donors}
    spliced = [replace(c, donor_ids=(after[c.source_id],)) if c.is_fake else c for c in clips]
    pairs = draw_pairs(spliced, 5, 0)
    sources = [source for pair in pairs for clip in pair for source in clip.sources]
    assert len(set(sources)) == len(sources) == 15


def test_a_genuine_clip_is_of_the_domain_and_about_the_length_of_its_fake(clips):
    halves = [replace(c, domain="ab"[int(c.source_id[6:]) % 2]) for c in clips]
    pairs = draw_pairs(halves, 4, 0)
    assert all(fake.domain == genuine.domain for fake, genuine in pairs)
    lengths = [[clip.duration for clip in clips if not clip.is_fake]]
    by_chance = sum(abs(a - b) for a in lengths[0] for b in lengths[0]) / len(lengths[0]) ** 2
    apart = sum(abs(fake.duration - genuine.duration) for fake, genuine in pairs) / len(pairs)
    assert apart < by_chance / 2


def test_the_error_of_too_few_sources_names_the_possible_number(clips):
    with pytest.raises(InputError, match=r"--clips=22: only 20 can be drawn"):
        draw_pairs(clips, 11, 0)
    genuine = [clip for clip in clips if not clip.is_fake]
    with pytest.raises(InputError, match="only 0 can be drawn"):
        draw_pairs(genuine, 1, 0)


@pytest.mark.parametrize("seed", range(5))
def test_thirds_are_genuine_partial_and_whole_without_a_common_source(clips, seed):
    drawn = draw_thirds(with_whole(clips), 5, seed)
    assert len({clip.source_id for clip in drawn}) == len(drawn) == 15
    whole = [c for c in drawn if c.is_fake and c.regions[0].offset == c.duration]
    assert (len(whole), sum(clip.is_fake for clip in drawn)) == (5, 10)
    assert draw_thirds(list(reversed(with_whole(clips))), 5, seed) == drawn


def test_thirds_that_cannot_be_drawn_are_an_error_that_names_the_kind(clips):
    with pytest.raises(InputError, match="--thirds: there are no whole fakes"):
        draw_thirds(clips, 2, 0)
    with pytest.raises(InputError, match="--clips=75: only 20 whole fakes can be drawn"):
        draw_thirds(with_whole(clips), 25, 0)
