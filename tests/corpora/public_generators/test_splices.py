"""Partial fakes spliced from published ones."""

import numpy as np
import pytest
from msgspec.structs import replace

from fakesound.corpora.public_generators.splices import splice_fakes
from fakesound.data.audio import read_pcm, write_wav
from fakesound.timeline import Region
from tests.data.made_clips import RATE, make_clip


@pytest.fixture
def clips(tmp_path):
    rng = np.random.default_rng(0)
    clips = []
    for number in range(4):
        paths = [tmp_path / f"{kind}{number}.wav" for kind in ("g", "f")]
        for path in paths:
            write_wav(path, rng.normal(0, 2_000, 3 * RATE).round().astype(np.int16), RATE)
        genuine = make_clip(paths[0])
        fake = make_clip(paths[1], f"tts/{number // 2}", [Region(0, 3.0)], f"g{number}")
        clips += [replace(clip, domain="page") for clip in (genuine, replace(fake, decoder="gan"))]
    return clips


def test_a_splice_equals_its_twin_outside_its_regions(clips, tmp_path):
    splices = splice_fakes(clips, tmp_path / "splices", 1)
    assert sorted(clip.attack for clip in splices) == ["tts/0", "tts/1"]
    genuine = {clip.clip_id: clip for clip in clips if not clip.is_fake}
    for clip in splices:
        host = genuine[clip.twin_id]
        assert clip.source_id == host.source_id
        assert clip.donor_ids
        assert clip.donor_ids[0] != host.source_id
        assert clip.decoder == "gan"
        assert clip.extra["evaluation_only"]
        inside = np.zeros(3 * RATE, bool)
        for region in clip.regions:
            assert region.offset - region.onset >= 0.099
            inside[round(region.onset * RATE) : round(region.offset * RATE)] = True
        changed = read_pcm(clip.location, 0, -1) != read_pcm(host.location, 0, -1)
        assert not changed[~inside].any()
        assert changed[inside].mean() > 0.9


def test_splices_are_the_same_each_time_and_no_more_than_asked(clips, tmp_path):
    one = splice_fakes(clips, tmp_path / "one", 2)
    again = splice_fakes(clips[::-1], tmp_path / "two", 2)
    assert len(one) == 4
    assert [clip.clip_id for clip in one] == [clip.clip_id for clip in again]
    for a, b in zip(one, again, strict=True):
        assert a.regions == b.regions
        assert np.array_equal(read_pcm(a.location, 0, -1), read_pcm(b.location, 0, -1))
    assert len(splice_fakes(clips, tmp_path / "one", 1)) == 2


def test_a_page_without_genuine_clips_gets_none(clips, tmp_path):
    fakes = [clip for clip in clips if clip.is_fake]
    assert splice_fakes(fakes, tmp_path, 2) == []
