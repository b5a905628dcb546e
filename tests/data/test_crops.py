import numpy as np
import pytest
import torch
from msgspec.structs import replace

from fakesound.data.dataset import PART, WHOLE

from .made_clips import FRAME, GAPS, GRID, RATE, crops, differs, found_in, loud, only, quiet, same

HOSTS = {"genuine0", "genuine1", "genuine2"}


def pairs(dataset, count):
    """Yield each fake of the first ``count`` items with its partner."""
    for number in range(0, count, 2):
        yield dataset[number], dataset[number + 1]


def differ_outside(fake, other):
    """Return whether two crops differ in a frame that the target of the first calls genuine."""
    changed = differs(fake.waveform.numpy(), other.waveform.numpy())
    return (changed & (fake.frame_target.numpy() == 0)).any()


def host_of(clips, waveform):
    result = [clip for clip in clips if not clip.is_fake and found_in(clip, waveform) is not None]
    return result[0].clip_id if result else None


@pytest.mark.parametrize("augment", [quiet, loud])
def test_items_are_reproducible(clips, augment):
    one = [crops(clips, augment)[number] for number in range(24)]
    dataset = crops(clips, augment)
    for number in reversed(range(24)):
        assert same(dataset[number], one[number])
    assert len({item.waveform.numpy().tobytes() for item in one}) == 24
    other = crops(clips, augment, seed=1)
    assert not any(torch.equal(other[n].waveform, one[n].waveform) for n in range(24))


def test_an_item_has_the_length_and_types_of_a_crop(clips):
    item = crops(clips, loud)[4]
    assert item.waveform.shape == (RATE // 2,)
    assert item.frame_target.shape == item.frame_mask.shape == (25,)
    assert item.waveform.dtype == item.frame_target.dtype == torch.float32
    assert (item.frame_mask.dtype, item.clip_target.shape) == (torch.bool, ())
    assert item.number == 4


def test_odd_numbers_are_genuine(clips):
    dataset = crops(clips, loud)
    for number in range(1, 60, 2):
        assert dataset[number].clip_target == 0
        assert not dataset[number].frame_target.any()


@pytest.mark.parametrize("attack", ["a/whole", "b/gaps"])
def test_the_partner_is_the_genuine_twin_of_the_same_window(clips, attack):
    genuine = [clip for clip in clips if clip.attack is None]
    dataset = crops(only(clips, attack))
    for fake, partner in pairs(dataset, 60):
        assert any(found_in(clip, partner.waveform) is not None for clip in genuine)
        changed = differs(fake.waveform.numpy(), partner.waveform.numpy())
        target = fake.frame_target.numpy() > 0
        # a frame that a region only grazes, or where it fades in, may come out the same
        inner = target & np.roll(target, 1) & np.roll(target, -1)
        inner[[0, -1]] = False
        assert not (changed & ~target).any()
        assert not (inner & ~changed).any()
        assert fake.clip_target == target.any()


def test_regions_of_gap_attacks_stay_where_they_were_filled(clips):
    dataset = crops(only(clips, "b/gaps"), seconds=1.0)
    gaps = GRID.targets(GAPS, 200)
    chosen = set()
    for number in range(0, 80, 2):
        partner = dataset[number + 1].waveform
        ((clip, start),) = [
            (clip, place)
            for clip in dataset.clips
            if clip.attack is None and (place := found_in(clip, partner)) is not None
        ]
        fake = dataset[number].waveform.numpy()
        samples = np.flatnonzero(fake != partner.numpy()) + start
        assert gaps[samples // FRAME].all()
        chosen.add(
            tuple(bool(np.isin(np.arange(r, r + 400), samples).any()) for r in (2_000, 8_600))
        )
        assert clip.clip_id.startswith("genuine")
    assert len(chosen) > 2  # now one gap, now the other, now both


def test_some_crops_are_fake_throughout(clips):
    every = crops(only(clips, "a/whole"), fully_fake_share=1.0)
    assert all(every[number].frame_target.all() for number in range(0, 20, 2))
    none = crops(only(clips, "a/whole"), fully_fake_share=0.0)
    assert not any(none[number].frame_target.all() for number in range(0, 20, 2))


def test_a_fake_without_twin_is_cropped_as_it_is(clips):
    dataset = crops(only(clips, "c/alone"))
    (alone,) = [clip for clip in clips if clip.attack == "c/alone"]
    genuine = [clip for clip in clips if clip.attack is None]
    for fake, partner in pairs(dataset, 20):
        start = found_in(alone, fake.waveform)
        truth = np.zeros(RATE, dtype=bool)
        truth[3_200:8_000] = True
        expected = truth[start : start + 8_000].reshape(-1, FRAME).any(1)
        assert np.array_equal(fake.frame_target.numpy() > 0, expected)
        assert any(found_in(clip, partner.waveform) is not None for clip in genuine)


@pytest.mark.parametrize("augment", [quiet, loud])
def test_clips_shorter_than_a_crop_are_padded(clips, augment):
    dataset = crops(clips, augment, seconds=2.0, weights={"c/*": 0})
    for number in range(30):
        item = dataset[number]
        held = int(item.frame_mask.sum())
        assert held in (65, 75, 86)
        assert item.frame_mask[:held].all()
        assert not item.waveform[held * FRAME :].any()
        assert item.waveform[: (held - 1) * FRAME].any()
        assert not item.frame_target[held:].any()


def test_fake_and_partner_are_augmented_alike(clips):
    dataset = crops(only(clips, "a/whole"), loud, fully_fake_share=0)
    for fake, partner in pairs(dataset, 30):
        far = fake.frame_target.numpy() > 0
        far = ~(far | np.roll(far, 1) | np.roll(far, -1))
        far[[0, -1]] = False
        gap = np.abs(fake.waveform.numpy() - partner.waveform.numpy()).reshape(-1, FRAME)[far]
        assert gap.max(initial=0) < 1e-6


def test_weights_determine_the_drawn_attacks(clips):
    (alone,) = [clip for clip in clips if clip.attack == "c/alone"]
    dataset = crops(clips, weights={"a/*": 0, "b/gaps": 0})
    assert all(found_in(alone, dataset[number].waveform) is not None for number in range(0, 20, 2))
    dataset = crops(clips, weights={"c/*": 0})
    assert all(found_in(alone, dataset[number].waveform) is None for number in range(0, 20, 2))


def louder_noise(genuine, fake, rate, rng):
    return fake + rng.normal(0, 0.01, len(fake)).astype(np.float32)


def test_only_the_inserted_fake_is_varied(clips):
    plain = crops(only(clips, "a/whole"))
    varied = crops(only(clips, "a/whole"), vary=louder_noise)
    for number in range(0, 40, 2):
        one, other = plain[number], varied[number]
        assert torch.equal(one.frame_target, other.frame_target)
        assert torch.equal(plain[number + 1].waveform, varied[number + 1].waveform)
        changed = differs(one.waveform.numpy(), other.waveform.numpy())
        assert changed.any()
        assert not changed[one.frame_target.numpy() == 0].any()


def test_gaps_are_not_varied(clips):
    plain = crops(only(clips, "b/gaps"))
    varied = crops(only(clips, "b/gaps"), vary=louder_noise)
    assert all(same(plain[number], varied[number]) for number in range(40))


def test_a_foreign_fake_is_cut_into_another_recording(clips):
    genuine = [clip for clip in clips if clip.attack is None]
    dataset = crops(only(clips, "a/whole"), cross_recording_share=1.0, fully_fake_share=1.0)
    hosts = set()
    for fake, partner in pairs(dataset, 60):
        hosts.add(host_of(genuine, partner.waveform))
        # never throughout: a whole clip has no recording around it to be foreign to
        assert 0 < fake.frame_target.sum() < len(fake.frame_target)
        assert not differ_outside(fake, partner)
    assert hosts == HOSTS


def test_foreign_fakes_come_from_other_sources_too(clips):
    # one fake only, so that each inserted part is of its recording
    own = next(clip for clip in clips if clip.attack == "a/whole")
    some = [clip for clip in clips if clip.attack is None] + [own]
    dataset = crops(some, cross_recording_share=1.0)
    assert {host_of(some, partner.waveform) for _, partner in pairs(dataset, 40)} == HOSTS
    assert {host_of(some, partner.waveform) for _, partner in pairs(crops(some), 40)} == {
        own.twin_id
    }


PAGE = "page"


def published(clips, attack="a/whole", twin=True, domain=PAGE):
    """Return the genuine clips, the first one on a page of its own, and published fakes of it."""
    genuine = [clip for clip in clips if clip.attack is None]
    fakes = [clip for clip in clips if clip.attack == attack][:1]
    return [
        *(replace(clip, domain=PAGE if not n else "elsewhere") for n, clip in enumerate(genuine)),
        *(
            replace(clip, decoder="gan", domain=domain, twin_id=clip.twin_id if twin else None)
            for clip in fakes
        ),
    ]


def test_a_published_fake_is_paired_with_the_same_window_of_its_twin(clips):
    some = published(clips)
    dataset = crops(some, paste=0)
    for fake, partner in pairs(dataset, 20):
        assert fake.kind == partner.kind == WHOLE
        assert fake.frame_target.all()
        assert found_in(some[0], partner.waveform) == found_in(some[-1], fake.waveform) is not None


def test_without_a_twin_the_partner_is_of_the_same_page(clips):
    some = published(clips, twin=False)
    dataset = crops(some, paste=0)
    for fake, partner in pairs(dataset, 20):
        assert fake.kind == partner.kind == WHOLE
        assert host_of(some, partner.waveform) == "genuine0"


def test_without_a_page_the_fake_is_cut_into_a_genuine_recording(clips):
    some = published(clips, twin=False, domain="alone")
    dataset = crops(some, paste=0)
    hosts = set()
    for fake, partner in pairs(dataset, 40):
        assert fake.kind == partner.kind == PART
        assert 0 < fake.frame_target.sum() < len(fake.frame_target)
        assert not differ_outside(fake, partner)
        hosts.add(host_of(some, partner.waveform))
    assert hosts == HOSTS


def test_a_share_of_published_fakes_is_cut_into_other_recordings(clips):
    some = published(clips)
    dataset = crops(some, paste=0.5, cross_recording_share=0.5)
    kinds = [int(dataset[number].kind) for number in range(0, 200, 2)]
    assert 30 < kinds.count(PART) < 70
    hosts = {
        host_of(some, dataset[number + 1].waveform)
        for number in range(0, 200, 2)
        if kinds[number // 2] == PART
    }
    assert hosts == HOSTS


def test_a_whole_fake_is_never_paired_with_another_page(clips):
    some = [*published(clips), *published(clips, twin=False, domain="alone")[-1:]]
    some[-1] = replace(some[-1], clip_id="other", source_id="other")
    dataset = crops(some, paste=0.3)
    for number in range(0, 80, 2):
        if dataset[number].kind == WHOLE:
            assert host_of(some, dataset[number + 1].waveform) == "genuine0"


def test_pairs_fake_throughout_are_laundered_together(clips):
    def swapped(fake, genuine, rate, rng):
        return 0.5 * fake, 0.25 * genuine

    some = published(clips)
    plain, other = crops(some, paste=0), crops(some, paste=0, launder=swapped)
    for number in range(0, 10, 2):
        assert torch.equal(other[number].waveform, 0.5 * plain[number].waveform)
        assert torch.equal(other[number + 1].waveform, 0.25 * plain[number + 1].waveform)


def test_the_host_alone_changes_its_channel(clips):
    some = only(clips, "a/whole")
    plain, other = (
        crops(some, fully_fake_share=0),
        crops(some, fully_fake_share=0, channel_share=1.0),
    )
    for number in range(0, 20, 2):
        assert torch.equal(plain[number].frame_target, other[number].frame_target)
        partner = other[number + 1]
        assert torch.allclose(partner.waveform, 0.5 * plain[number + 1].waveform, atol=1 / 32_768)
        assert not differ_outside(other[number], partner)


@pytest.mark.parametrize("twin", [True, False])
def test_a_partner_has_genuine_audio_cut_in_at_the_same_places(clips, twin):
    some = published(clips, twin=twin)
    dataset = crops(some, paste=1, cross_recording_share=1, genuine_splice_share=1.0)
    plain = crops(some, paste=1, cross_recording_share=1)
    for (fake, partner), (_, uncut) in zip(pairs(dataset, 40), pairs(plain, 40), strict=True):
        cut = fake.frame_target.numpy() > 0
        assert partner.clip_target == 0
        assert not partner.frame_target.any()
        changed = differs(uncut.waveform.numpy(), partner.waveform.numpy())
        assert changed.any()
        assert not (changed & ~cut).any()
        assert not differ_outside(fake, partner)


def test_filled_gaps_and_edits_get_no_genuine_cuts(clips):
    gaps = only(clips, "b/gaps")
    edits = [
        replace(clip, extra={"edges_only": True}) if clip.is_fake else clip
        for clip in only(clips, "a/whole")
    ]
    for some in (gaps, edits):
        dataset = crops(some, genuine_splice_share=1.0, channel_share=1.0)
        for number in range(1, 20, 2):
            assert host_of(some, dataset[number].waveform) is not None


def test_pairs_fake_throughout_are_augmented_independently(clips):
    def shift(audio, held, rate, rng):
        return audio + np.float32(rng.uniform(0.1, 0.2))

    some = published(clips)
    plain = crops(some, paste=0)
    for independent in (0.0, 1.0):
        dataset = crops(some, shift, paste=0, independent_share=independent)
        for number in range(0, 10, 2):
            shifts = [
                (dataset[n].waveform - plain[n].waveform).mean() for n in (number, number + 1)
            ]
            assert (abs(shifts[0] - shifts[1]) < 1e-5) == (independent == 0)


def test_later_crops_are_longer(clips):
    dataset = crops(clips, seconds=0.5, later_seconds=1.0, later=range(10, 20))
    assert [len(dataset[n].waveform) for n in (8, 10, 19, 20)] == [8_000, 16_000, 16_000, 8_000]
    assert len(dataset[10].frame_target) == 50


def test_regions_are_at_most_as_long_as_configured(clips):
    dataset = crops(
        only(clips, "a/whole"),
        seconds=1.0,
        fully_fake_share=0,
        max_regions=1,
        max_region_seconds=0.1,
    )
    assert max(int(dataset[n].frame_target.sum()) for n in range(0, 60, 2)) <= 6


@pytest.mark.parametrize("lag", [800, -800])
def test_the_delay_of_a_fake_is_compensated(clips, lag):
    some = published(clips)
    some[-1] = replace(some[-1], extra={"twin_lag": lag / RATE})
    dataset = crops(some, paste=0)
    for fake, partner in pairs(dataset, 20):
        start = found_in(some[-1], fake.waveform)
        assert found_in(some[0], partner.waveform) == start - lag


def test_a_page_for_pastes_only_has_no_pair_fake_throughout(clips):
    some = published(clips)
    some[-1] = replace(some[-1], extra={"paste_only": True})
    dataset = crops(some, paste=0)
    assert {int(dataset[number].kind) for number in range(0, 20, 2)} == {PART}


def test_hosts_of_published_fakes_come_from_domains_by_the_root_of_their_length(clips):
    some = published(clips, twin=False, domain="alone")
    # fifteen more of one domain: sixteen times as long, four times as often
    some += [replace(some[1], clip_id=f"again{n}", domain="elsewhere") for n in range(14)]
    dataset = crops(some)
    rng = np.random.default_rng(0)
    drawn = [some[dataset._host(rng, 100, 100)[0]].domain for _ in range(4_000)]
    durations = {
        name: sum(c.duration for c in some if not c.is_fake and c.domain == name)
        for name in ("page", "elsewhere")
    }
    expected = durations["page"] ** 0.5 / sum(value**0.5 for value in durations.values())
    assert drawn.count("page") / 4_000 == pytest.approx(expected, abs=0.03)
