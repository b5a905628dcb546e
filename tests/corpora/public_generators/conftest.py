"""Small git repositories of fakes and genuine recordings, and recipes into them."""

import json
from functools import partial

import numpy as np
import pytest

from tests.corpora import public_sources

RATE = 22_050
encoded = partial(public_sources.encoded, rate=RATE)
build_repository = partial(public_sources.build_repository, bare=False)


def tune(seed, seconds=3.0, rate=RATE):
    """Return random notes of different levels, whose spectrum has peaks like speech and music."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(0.2 * rate)) / rate
    notes = []
    for _ in range(round(seconds / 0.2)):
        pitches = rng.uniform(150, 5_000, 3)
        tone = sum(np.sin(2 * np.pi * pitch * time) for pitch in pitches)
        notes.append(rng.uniform(0.02, 0.2) * tone * np.hanning(len(time)))
    return (np.concatenate(notes) + rng.normal(0, 0.002, len(notes) * len(time))).astype(np.float32)


def row(repository, commit, path, attack=None, **others):
    name = repository.partition("/")[2]
    fake = {"attack": attack, "decoder": "gan_vocoder"} if attack else {}
    return {
        "repository": repository,
        "commit": commit,
        "path": path,
        "label": "fake" if attack else "genuine",
        "source_id": f"{name}/{path.rpartition('/')[2].partition('.')[0]}",
        "domain": name,
        "kind": "music",
        "license": "none stated",
        **fake,
        **others,
    }


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """Return a mirror of two repositories, and the rows of their recipes.

    The first has three recordings, each with an aligned fake that is 10 ms late; the second one of
    these recordings again, another, and a fake with a region.
    """
    mirror = tmp_path_factory.mktemp("mirror")
    late = np.zeros(round(0.01 * RATE), np.float32)
    noise = np.random.default_rng(9).normal(0, 0.003, 10 * RATE).astype(np.float32)
    contents, rows = {}, []
    for number in range(3):
        audio = tune(number)
        contents[f"real/{number}.wav"] = encoded(audio)
        fake = np.concatenate((late, audio))
        contents[f"voc/{number}.wav"] = encoded(0.5 * fake + noise[: len(fake)])
    contents["short.wav"] = encoded(tune(7, 0.4))
    contents["broken.wav"] = b"RIFF"
    commit = build_repository(mirror / "one+alpha", contents)
    for number in range(3):
        rows += [
            row("one/alpha", commit, f"real/{number}.wav", license="MIT"),
            row(
                "one/alpha",
                commit,
                f"voc/{number}.wav",
                "vocoder/made",
                twin=f"real/{number}.wav",
                license="MIT",
            ),
        ]
    rows += [row("one/alpha", commit, f"{name}.wav") for name in ("short", "broken", "absent")]
    again = 0.3 * np.concatenate((tune(8, 0.6), tune(0)))
    contents = {
        "gt/a.mp3": encoded(again, kind="MP3"),
        "gt/b.wav": encoded(tune(5)),
        "edit/b.wav": encoded(tune(6)),
    }
    commit = build_repository(mirror / "two+beta", contents)
    rows += [
        row("two/beta", commit, "gt/a.mp3"),
        row("two/beta", commit, "gt/b.wav"),
        row("two/beta", commit, "edit/b.wav", "edit/other", regions=[[0.5, 1.5]]),
    ]
    return mirror, rows


@pytest.fixture
def recipes_file(tmp_path, published):
    path = tmp_path / "recipes.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in published[1]))
    return path
