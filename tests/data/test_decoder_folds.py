"""Folds of decoders and pages."""

from collections import Counter

import pytest
from msgspec.structs import replace

from fakesound.data.decoder_folds import deal_decoders, split_by_decoder
from fakesound.data.splits import split_clips
from fakesound.timeline import Region
from tests.factories import make_clip

FOLDS = 4


def make(name, source, domain, attack=None, decoder=None, regions=(), **extra):
    fields = {"source_id": source, "domain": domain, "decoder": decoder, "extra": extra}
    return make_clip(name, attack=attack, regions=regions, **fields)


@pytest.fixture
def clips():
    """Twelve pages of five recordings, each with a fake by two decoders."""
    decoders = ("gan", "codec", "flow", "istft", "gan", "gan", "codec", "gan") * 2
    clips = []
    for page in range(12):
        for number in range(5):
            source = f"p{page}-{number}"
            clips.append(make(f"{source}-g", source, f"page{page}"))
            for which in (0, 2):
                decoder = decoders[page + which]
                attack = f"tts/system{page}-{decoder}"
                clips.append(make(f"{source}-{which}", source, f"page{page}", attack, decoder))
    for number in range(20):
        clips.append(make(f"e{number}-g", f"e{number}", "embedded"))
        clips.append(make(f"e{number}-f", f"e{number}", "embedded", "edit/splice"))
    return clips


def parts(clips, test=0, validation=1, **options):
    result = {"train": [], "validation": [], "test": []}
    for clip in split_by_decoder(clips, validation, test, FOLDS, **options):
        result[clip.split].append(clip)
    return result


@pytest.mark.parametrize("test", range(FOLDS))
def test_training_has_no_decoder_page_or_source_of_the_test(clips, test):
    part = parts(clips, test, (test + 1) % FOLDS)
    for name in ("test", "validation"):
        hidden = {clip.decoder for clip in part[name]} - {None}
        assert hidden
        assert not hidden & {clip.decoder for clip in part["train"]}
        pages = {clip.domain for clip in part[name]} - {"embedded"}
        assert not pages & {clip.domain for clip in part["train"]}
        assert Counter(clip.label for clip in part[name]).keys() == {"genuine", "fake"}
    split_clips([clip for result in part.values() for clip in result])


def test_every_decoder_is_tested_once(clips):
    tested = Counter()
    for test in range(FOLDS):
        tested.update({clip.decoder for clip in parts(clips, test, (test + 1) % FOLDS)["test"]})
    del tested[None]
    assert tested == {"gan": 1, "codec": 1, "flow": 1, "istft": 1}


def test_without_a_test_fold_one_validates_and_the_rest_trains(clips):
    part = parts(clips, None, 1)
    assert not part["test"]
    assert len(part["train"]) > len(parts(clips, 0, 1)["train"])
    assert part["validation"] == parts(clips, 0, 1)["validation"]


def test_relatives_of_a_decoder_leave_with_it(clips):
    dealt = deal_decoders(clips, FOLDS).decoders
    marked = [
        replace(clip, extra={"decoder_also": ["gan"]}) if clip.decoder == "codec" else clip
        for clip in clips
    ]
    # neither tested nor validated on itself
    other = next(f for f in range(FOLDS) if f not in (dealt["gan"], dealt["codec"]))
    before, after = (parts(some, dealt["gan"], other)["train"] for some in (clips, marked))
    assert "codec" in {clip.decoder for clip in before}
    assert "codec" not in {clip.decoder for clip in after}


def test_pages_that_share_a_recording_or_a_group_stay_together(clips):
    shared = [
        replace(clip, source_id="p0-0") if clip.source_id == "p7-3" else clip for clip in clips
    ]
    grouped = [
        replace(clip, extra={"split_group": "g"}) if clip.domain in ("page0", "page7") else clip
        for clip in clips
    ]
    for some in (shared, grouped):
        dealt = zip(some, deal_decoders(some, FOLDS).pages, strict=True)
        assert len({fold for clip, fold in dealt if clip.domain in ("page0", "page7")}) == 1


def test_the_order_of_the_clips_does_not_matter(clips):
    one = parts(clips, at_most=3)
    assert parts(clips[::-1], at_most=3) == one


def test_a_limit_holds_for_each_attack_and_each_page(clips):
    known = {"regions": (Region(0, 0.2),), "extra": {"evaluation_only": True}}
    partial = [
        replace(clip, clip_id=f"{clip.clip_id}-part", **known) for clip in clips if clip.decoder
    ]
    part = parts([*clips, *partial], at_most=2)
    assert not any(clip.extra for clip in part["train"])
    counts = Counter(
        (clip.attack or clip.domain, len(clip.regions) and clip.regions[0].offset == 1)
        for clip in part["test"]
    )
    assert set(counts.values()) == {2}
    assert len(part["train"]) > 20


def test_a_fake_of_unknown_decoder_is_not_tested_on(clips):
    some = [replace(clip, decoder="unknown") if clip.decoder == "istft" else clip for clip in clips]
    for test in range(FOLDS - 1):
        part = parts(some, test, 3)
        assert "unknown" not in {clip.decoder for clip in part["test"]}
