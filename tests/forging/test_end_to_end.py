"""A small folder of recordings becomes a corpus."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from msgspec.structs import replace

from fakesound.attacks import ATTACKS
from fakesound.data.audio import read_pcm
from fakesound.data.manifest import SPLITS, read_manifest, write_manifest
from fakesound.data.splits import split_clips
from fakesound.forging import plan_jobs
from fakesound.forging.plan import ForgeSettings
from fakesound.forging.work import do_job
from fakesound.timeline import Region

from .conftest import forge_folder

RATE = 16_000


def inside(clip, length):
    """Return a mask of the samples in a region."""
    fake = np.zeros(length, dtype=bool)
    for region in clip.regions:
        fake[round(region.onset * RATE) : round(region.offset * RATE)] = True
    return fake


def fakes_of(result):
    return [clip for clip in result.clips if clip.is_fake]


def test_the_manifest_is_valid_and_has_every_split(result):
    path = result.folder / "manifest.jsonl"
    write_manifest(path, result.clips)
    assert read_manifest(path) == result.clips
    split = split_clips(result.clips, ["edit/splice"], ["codec/adpcm"])
    assert split.train
    assert split.validation
    assert split.test
    assert not result.forged.left_out


def test_every_recording_has_a_twin_and_its_fakes(result):
    genuine = [clip for clip in result.clips if not clip.is_fake]
    assert sorted(c.source_id for c in genuine) == sorted(c.source_id for c in result.genuine)
    fakes = Counter(clip.source_id for clip in fakes_of(result))
    for clip in genuine:
        assert fakes[clip.source_id] == (2 if clip.split == "train" else 4)


def test_files_agree_with_their_rows_and_names_reveal_nothing(result):
    for clip in result.clips:
        info = soundfile.info(clip.location)
        assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "PCM_16")
        assert clip.sample_rate == RATE
        assert clip.duration == round(info.frames / RATE, 6)
        assert Path(clip.location).name == f"{clip.clip_id}.wav"
        assert len(clip.clip_id) == 12
        assert set(clip.clip_id) <= set("0123456789abcdef")


def test_genuine_clips_are_laundered(result):
    for clip in result.clips:
        if not clip.is_fake:
            audio = read_pcm(clip.location, 0, -1) / 32_768
            assert -12.3 < 20 * np.log10(np.abs(audio).max()) < -2.7
            assert abs(audio.mean()) < 40 / 32_768
            (recording,) = [g for g in result.genuine if g.source_id == clip.source_id]
            assert clip.duration == pytest.approx(recording.duration, abs=2 / RATE)


def test_outside_its_regions_a_fake_equals_its_twin_bit_for_bit(result):
    clips = result.by_id()
    for fake in fakes_of(result):
        pcm, twin = (read_pcm(clip.location, 0, -1) for clip in (fake, clips[fake.twin_id]))
        region = inside(fake, len(pcm))
        assert np.array_equal(pcm[~region], twin[~region])
        assert (pcm != twin)[region].mean() > 0.2


def test_twins_are_genuine_clips_of_the_same_source_and_split(result):
    clips = result.by_id()
    for fake in fakes_of(result):
        twin = clips[fake.twin_id]
        assert not twin.is_fake
        assert twin.twin_id is None
        assert (twin.source_id, twin.split) == (fake.source_id, fake.split)
        assert (twin.corpus, twin.domain) == (fake.corpus, fake.domain) == ("tapes", "tapes")


def test_donors_are_other_sources_of_the_same_split(result):
    split = {clip.source_id: clip.split for clip in result.genuine}
    donated = [clip for clip in fakes_of(result) if clip.donor_ids]
    assert {clip.attack for clip in donated} == {"edit/splice", "edit/addition"}
    for clip in fakes_of(result):
        assert bool(clip.donor_ids) == ATTACKS[clip.attack].needs_donor
        for donor in clip.donor_ids:
            assert donor != clip.source_id
            assert split[donor] == clip.split


def test_regions_are_40_ms_or_longer_and_lie_in_the_clip(result):
    for fake in fakes_of(result):
        for region in fake.regions:
            assert 0.0399 < region.duration <= fake.duration
            assert region.offset <= fake.duration


def test_training_fakes_are_fake_throughout(result):
    for fake in fakes_of(result):
        if fake.split == "train":
            whole = fake.regions == (Region(0, fake.duration),)
            assert whole != ATTACKS[fake.attack].fills_gaps
    assert any(c.regions != (Region(0, c.duration),) for c in fakes_of(result) if c.split == "test")


def test_unknown_keys_of_a_row_are_kept(recordings, result, tmp_path):
    extra = {"start": 0.1, "changes": "cut", "author": "Zoë", "origin": {"address": "x"}}
    clips = [replace(clip, extra=extra, license="CC0-1.0", domain="d") for clip in result.genuine]
    jobs = plan_jobs(clips, ForgeSettings(RATE), ["codec/adpcm"])
    fake = next(job for job in jobs if job.attack)
    twin = next(job for job in jobs if job.clip_id == fake.twin_id)
    for clip in (do_job(twin, tmp_path, RATE), do_job(fake, tmp_path, RATE)):
        assert clip.extra == {"author": "Zoë", "origin": {"address": "x"}}
        assert (clip.license, clip.domain, clip.corpus) == ("CC0-1.0", "d", "tapes")


@pytest.mark.parametrize("name", [n for n, attack in ATTACKS.items() if attack.edges_only])
def test_genuine_material_never_fills_a_whole_evaluation_clip(result, name):
    test = [clip for clip in result.genuine if clip.split == "test"]
    for seed in range(12):
        for job in plan_jobs(test, ForgeSettings(RATE, seed=seed), [name]):
            clip = do_job(job, result.folder.with_name("edges"), RATE)
            assert clip.regions != (Region(0, clip.duration),)


def test_a_second_run_makes_nothing_new(recordings, result):
    def state():
        return {p: p.stat().st_mtime_ns for p in result.folder.rglob("*") if p.is_file()}

    before = state()
    again = forge_folder(recordings, result.folder)
    assert again.clips == result.clips
    assert again.forged.seconds == 0
    assert state() == before
    assert result.forged.seconds == pytest.approx(sum(clip.duration for clip in result.clips))


def test_the_journal_holds_one_row_for_each_clip(result):
    rows = (result.folder / "journal.jsonl").read_text("utf-8").split("\n")[:-1]
    assert sorted(json.loads(row)["clip_id"] for row in rows) == sorted(result.by_id())


def test_another_seed_makes_other_clips(recordings, result, tmp_path):
    other = forge_folder(recordings, tmp_path, seed=1, train_attacks=1, evaluation_attacks=1)
    assert not set(other.by_id()) & set(result.by_id())
    assert {clip.split for clip in other.clips} == set(SPLITS)
