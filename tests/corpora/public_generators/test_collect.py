"""Repositories and recipes become clips."""

import json
from pathlib import Path

import numpy as np
import pytest

from fakesound.corpora.public_generators import collect as module
from fakesound.corpora.public_generators.collect import collect, fetch
from fakesound.corpora.public_generators.combine import combine
from fakesound.corpora.public_generators.recipes import read_recipes
from fakesound.data.audio import read_audio
from fakesound.data.manifest import clip_row

from .conftest import build_repository, encoded, row, tune


@pytest.fixture
def recipes(recipes_file):
    return read_recipes(recipes_file)


def of(recipes, repository):
    return [recipe for recipe in recipes if recipe.repository == repository]


def test_clips_are_what_the_recipes_point_to(published, recipes, tmp_path):
    result = collect("one/alpha", of(recipes, "one/alpha"), tmp_path / "out", published[0])
    assert result.missing is None
    by_file = {clip.extra["file"]: clip for clip in result.clips}
    assert sorted(by_file) == [f"{kind}/{n}.wav" for kind in ("real", "voc") for n in range(3)]
    for number in range(3):
        genuine, fake = by_file[f"real/{number}.wav"], by_file[f"voc/{number}.wav"]
        assert (genuine.label, fake.label) == ("genuine", "fake")
        assert fake.twin_id == genuine.clip_id
        assert fake.source_id == genuine.source_id
        assert fake.extra["twin_lag"] == pytest.approx(0.01, abs=1e-4)
        assert (fake.decoder, genuine.decoder) == ("gan_vocoder", None)
        assert (fake.domain, fake.license, fake.sample_rate) == ("alpha", "MIT", 16_000)
        assert fake.regions[0].offset == fake.duration
        audio = read_audio(genuine.location, 16_000)
        assert len(audio) == round(genuine.duration * 16_000)
        expected = read_audio(published[0] / "one+alpha" / "real" / f"{number}.wav", 16_000)
        assert np.abs(audio - expected).max() < 1e-3
    assert [line.split(":")[0] for line in result.left_out] == [
        f"one/alpha/{name}.wav" for name in ("short", "broken", "absent")
    ]


def test_a_finished_repository_is_not_collected_again(published, recipes, tmp_path, monkeypatch):
    mine = of(recipes, "two/beta")
    first = collect("two/beta", mine, tmp_path, published[0])

    def fail(*_):
        raise AssertionError("made again")

    monkeypatch.setattr(module, "_write_clips", fail)
    again = collect("two/beta", mine, tmp_path, published[0])
    folder = tmp_path
    assert [clip_row(c, folder) for c in first.clips] == [clip_row(c, folder) for c in again.clips]
    with pytest.raises(AssertionError):
        collect("two/beta", mine[:1], tmp_path, published[0])
    # the old folder stays until the new one is complete
    assert (tmp_path / "two+beta" / "manifest.jsonl").is_file()
    assert not list(tmp_path.glob(".*partial"))


def test_a_commit_is_fetched_where_no_mirror_has_it(published, recipes, tmp_path):
    host = tmp_path / "host"
    contents = {f"real/{n}.wav": encoded(tune(n)) for n in range(2)}
    commit = build_repository(host / "three" / "gamma", contents)
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps(row("three/gamma", commit, "real/1.wav")) + "\n")
    result = collect(
        "three/gamma", read_recipes(file), tmp_path / "out", published[0], f"file://{host}"
    )
    assert len(result.clips) == 1
    assert sorted(p.name for p in (tmp_path / "out" / "three+gamma").iterdir()) == sorted(
        [Path(result.clips[0].location).name, "manifest.jsonl", "repository.json"]
    )


def test_a_repository_that_cannot_be_fetched_is_named(recipes, tmp_path):
    out = tmp_path / "out"
    result = collect("two/beta", of(recipes, "two/beta"), out, None, f"file://{tmp_path}/no")
    assert result.clips == ()
    assert "two/beta" in result.missing
    assert not list(out.iterdir())


def test_a_fake_and_its_twin_are_cut_at_one_place(tmp_path):
    audio = tune(1, 14.0)
    contents = {"real/a.wav": encoded(audio), "voc/a.wav": encoded(0.7 * audio)}
    commit = build_repository(tmp_path / "mirror" / "long+page", contents)
    rows = [
        row("long/page", commit, "real/a.wav"),
        row("long/page", commit, "voc/a.wav", "vocoder/x", twin="real/a.wav"),
    ]
    file = tmp_path / "own.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in rows))
    genuine, fake = collect(
        "long/page", read_recipes(file), tmp_path / "out", tmp_path / "mirror"
    ).clips
    assert genuine.duration == fake.duration == 10.0
    one, other = (read_audio(clip.location, 16_000) for clip in (genuine, fake))
    assert np.abs(0.7 * one - other).max() < 1e-3
    assert "twin_lag" not in fake.extra


def test_regions_stay_in_place(published, recipes, tmp_path):
    result = collect("two/beta", of(recipes, "two/beta"), tmp_path, published[0])
    (fake,) = [clip for clip in result.clips if clip.is_fake]
    assert [(region.onset, region.offset) for region in fake.regions] == [(0.5, 1.5)]
    assert fake.twin_id is None


def test_all_repositories_at_once(published, recipes, tmp_path):
    seen = []
    result = fetch(recipes, tmp_path, published[0], lambda *state: seen.append(state), workers=2)
    assert [item.repository for item in result] == ["one/alpha", "two/beta"]
    assert [len(item.clips) for item in result] == [6, 3]
    assert seen[-1] == (len(recipes), len(recipes))


def test_one_recording_on_two_pages_is_one_source(published, recipes, tmp_path):
    clips = [
        clip
        for name in ("one/alpha", "two/beta")
        for clip in collect(name, of(recipes, name), tmp_path, published[0]).clips
    ]
    kept, dropped = combine(clips)
    assert dropped == 0
    source = {clip.extra["file"]: clip.source_id for clip in kept}
    assert source["gt/a.mp3"] == source["real/0.wav"] == source["voc/0.wav"]
    assert len({source[f"real/{n}.wav"] for n in range(3)} | {source["gt/b.wav"]}) == 4
    twins = {clip.clip_id: clip for clip in kept}
    assert all(twins[c.twin_id].source_id == c.source_id for c in kept if c.twin_id)


def test_recordings_of_a_bench_are_dropped_with_their_fakes(published, recipes, tmp_path):
    clips = collect("one/alpha", of(recipes, "one/alpha"), tmp_path, published[0]).clips
    other = collect("two/beta", of(recipes, "two/beta"), tmp_path, published[0]).clips
    bench = [clip for clip in other if clip.extra["file"] == "gt/a.mp3"]
    kept, dropped = combine(clips, bench)
    assert dropped == 2
    assert sorted(clip.extra["file"] for clip in kept) == [
        f"{kind}/{n}.wav" for kind in ("real", "voc") for n in (1, 2)
    ]
    assert combine(clips, [clip for clip in other if clip.extra["file"] == "gt/b.wav"])[1] == 0
