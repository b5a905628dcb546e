from collections import Counter
from dataclasses import replace

import pytest
from msgspec import structs

from fakesound.attacks import ATTACKS, BUILT_IN
from fakesound.forging import ForgeSettings, plan_jobs
from tests.factories import make_clip

NAMES = ["codec/mp3", "edit/splice", "inpainting/nmf", "vocoder/world"]


@pytest.fixture
def genuine():
    splits = ["train"] * 8 + ["validation"] * 3 + ["test"] * 5
    return [
        make_clip(f"c{i}", source_id=f"s{i}", duration=2.0, split=split)
        for i, split in enumerate(splits)
    ]


def fakes(jobs, *splits):
    return [job for job in jobs if job.attack and job.genuine.split in splits]


def test_twins_come_first_and_each_clip_has_one(genuine):
    jobs = plan_jobs(genuine, ForgeSettings(), NAMES)
    assert [job.genuine for job in jobs[:16]] == genuine
    assert all(job.attack is None and job.twin_id == job.clip_id for job in jobs[:16])
    twins = {job.genuine.clip_id: job.clip_id for job in jobs[:16]}
    assert all(job.twin_id == twins[job.genuine.clip_id] for job in jobs[16:])
    assert all(job.attack for job in jobs[16:])


def test_ids_are_unique(genuine):
    jobs = plan_jobs(genuine, ForgeSettings(), complete={"validation": NAMES, "test": NAMES})
    assert len({job.clip_id for job in jobs}) == len(jobs)
    assert len({job.seed for job in jobs}) == len(jobs)


def test_clips_get_the_configured_number_of_different_attacks(genuine):
    jobs = plan_jobs(genuine, ForgeSettings(train_attacks=3, evaluation_attacks=2), NAMES)
    for clip in genuine:
        names = [job.attack for job in jobs if job.attack and job.genuine is clip]
        assert len(names) == len(set(names)) == (3 if clip.split == "train" else 2)
    assert set(Counter(job.attack for job in fakes(jobs, "train")).values()) == {6}
    counts = Counter(job.attack for job in fakes(jobs, "test")).values()
    assert max(counts) - min(counts) <= 1


def test_a_larger_number_than_exist_means_all_attacks(genuine):
    jobs = plan_jobs(genuine, ForgeSettings(train_attacks=9, evaluation_attacks=0), NAMES)
    assert len(fakes(jobs, "train")) == 8 * 4
    assert not fakes(jobs, "validation", "test")


def test_attacks_to_hold_out_are_on_every_evaluation_clip(genuine):
    complete = {"validation": ["codec/gsm"], "test": ["vocoder/world"]}
    jobs = plan_jobs(genuine, ForgeSettings(evaluation_attacks=1), NAMES, complete)
    for clip in genuine:
        names = {job.attack for job in jobs if job.genuine is clip}
        assert names >= set(complete.get(clip.split, ()))
    assert Counter(job.attack for job in fakes(jobs, "train"))["vocoder/world"] == 8


def test_regions_are_fixed_for_evaluation_or_on_request(genuine):
    jobs = plan_jobs(genuine, ForgeSettings(), NAMES)
    assert all(job.fixed == (job.genuine.split != "train") for job in jobs if job.attack)
    jobs = plan_jobs(genuine, ForgeSettings(fixed_training=True), NAMES)
    assert all(job.fixed for job in jobs)


def test_a_job_does_not_depend_on_other_jobs(genuine):
    def by_key(jobs):
        return {(job.genuine.clip_id, job.attack): job for job in jobs}

    few = by_key(plan_jobs(genuine, ForgeSettings(), NAMES))
    many = by_key(
        plan_jobs(
            genuine[::-1],
            ForgeSettings(train_attacks=99),
            complete={"validation": NAMES, "test": NAMES},
        )
    )
    assert set(few) <= set(many)
    assert all(many[key] == job for key, job in few.items())


@pytest.mark.parametrize("change", [{"seed": 1}, {"sample_rate": 8_000}])
def test_settings_that_change_the_audio_change_the_ids(genuine, change):
    jobs = plan_jobs(genuine, ForgeSettings(), NAMES)
    others = plan_jobs(genuine, replace(ForgeSettings(), **change), NAMES)
    assert not {job.clip_id for job in jobs} & {job.clip_id for job in others}


def test_donors_are_drawn_from_other_sources_of_the_split(genuine):
    jobs = plan_jobs(genuine, ForgeSettings(), complete={"validation": BUILT_IN, "test": BUILT_IN})
    split = {clip.source_id: clip.split for clip in genuine}
    twins = {job.clip_id: job.genuine for job in jobs if job.attack is None}
    for job in jobs:
        needs = job.attack is not None and ATTACKS[job.attack].needs_donor
        assert (job.donor_id is not None) == needs
        if needs:
            assert twins[job.donor_id].source_id == job.donor_source != job.genuine.source_id
            assert split[job.donor_source] == job.genuine.split


def test_no_donor_where_a_split_has_one_source(genuine):
    alone = [structs.replace(clip, source_id="one") for clip in genuine]
    jobs = plan_jobs(alone, ForgeSettings(), ["edit/splice"])
    assert all(job.donor_id is None for job in jobs)
