"""The manifest, files, licences and split of the embedded corpus agree."""

import hashlib
import json
import re
from collections import Counter, defaultdict

import numpy as np
import pytest
import soundfile

from fakesound.data.training_data import training_data

FOLDER = training_data("embedded", "tests")
KEYS = [
    "clip_id",
    "path",
    "source_id",
    "label",
    "attack",
    "regions",
    "duration",
    "sample_rate",
    "corpus",
    "split",
    "domain",
    "license",
    "author",
    "title",
    "origin",
    "changes",
]
TARGETS = {"train": 0.58, "validation": 0.12, "test": 0.30}
SALT = "fakesound-embedded-1"
# dealt by speaker; the author of a prompt is its speaker, or the only one whom that author recorded
SPEAKERS = {
    "Allison Smith": "train",
    "Carlo Flora": "train",
    "June Wallack": "validation",
    "Maxim Topal": "test",
}
DOMAINS = {
    "asterisk_prompts",
    "sonic_pi_samples",
    "opensfx",
    "lomiri_sounds",
    "hyperrogue",
    "pocketsphinx_testdata",
    "minetest",
    "singularity_music",
}


@pytest.fixture(scope="module")
def rows():
    lines = (FOLDER / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def attribution():
    return (FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def prompts(rows):
    return [row for row in rows if row["domain"] == "asterisk_prompts"]


@pytest.fixture(scope="module")
def dealt(rows):
    """Return the rows that are split by the hash of their source."""
    return [row for row in rows if row["domain"] != "asterisk_prompts"]


def seconds(rows, key):
    """Return the seconds of audio by the value of ``key``."""
    total = Counter()
    for row in rows:
        total[row[key]] += row["duration"]
    return total


def test_rows_have_the_keys_in_order(rows):
    for row in rows:
        optional = ["synthetic_sound"] if "synthetic_sound" in row else []
        assert list(row) == KEYS + optional
        assert row.get("synthetic_sound", True) is True
        assert (row["label"], row["attack"], row["regions"]) == ("genuine", None, [])
        assert row["corpus"] == "embedded"
        assert re.fullmatch(r"[a-z-]+/[\w.-]+", row["source_id"])


def test_rows_are_sorted_and_every_domain_is_there(rows):
    paths = [row["path"] for row in rows]
    assert paths == sorted(paths)
    assert {row["domain"] for row in rows} == DOMAINS


def test_files_and_manifest_agree(rows):
    result = [path for name in ("permissive", "cc-by-sa") for path in (FOLDER / name).iterdir()]
    names = {path.relative_to(FOLDER).as_posix() for path in result}
    assert len(rows) == len(result)
    assert {row["path"] for row in rows} == names
    for name in names:
        assert re.fullmatch(r"(permissive|cc-by-sa)/[A-Za-z0-9._-]+\.ogg", name)


def test_ids_are_the_hashes_of_the_files(rows):
    for row in rows:
        digest = hashlib.sha256((FOLDER / row["path"]).read_bytes()).hexdigest()
        assert row["clip_id"] == digest[:12], row["path"]
    assert len({row["clip_id"] for row in rows}) == len(rows)


def test_audio_decodes_as_the_manifest_says(rows):
    for row in rows:
        audio, rate = soundfile.read(FOLDER / row["path"], dtype="float32", always_2d=True)
        assert audio.shape[1] == 1, row["path"]
        assert rate == row["sample_rate"] == 16000, row["path"]
        assert row["duration"] == round(len(audio) / rate, 6), row["path"]
        assert row["duration"] >= 0.8, row["path"]
        assert np.isfinite(audio).all(), row["path"]
        assert np.abs(audio).max() > 1e-3, row["path"]


def test_pieces_of_one_recording_share_a_source(rows):
    sources = defaultdict(set)
    for row in rows:
        sources[re.sub(r"_p\d\.ogg$", "", row["path"])].add(row["source_id"])
    assert all(len(names) == 1 for names in sources.values())


def test_sources_do_not_cross_splits_or_domains(rows):
    splits, domains = defaultdict(set), defaultdict(set)
    for row in rows:
        splits[row["source_id"]].add(row["split"])
        domains[row["source_id"]].add(row["domain"])
    assert all(len(names) == 1 for names in splits.values())
    assert all(len(names) == 1 for names in domains.values())


def test_a_speaker_of_prompts_is_in_one_split(prompts):
    splits = defaultdict(set)
    for row in prompts:
        splits[row["author"]].add(row["split"])
    assert splits == {speaker: {split} for speaker, split in SPEAKERS.items()}


def test_prompts_are_sources_of_speech_with_donors_in_their_split(prompts):
    assert len({row["source_id"] for row in prompts}) == len(prompts)
    for row in prompts:
        language, name = re.fullmatch(r"asterisk/([a-z]{2})_(.+)", row["source_id"]).groups()
        assert row["path"].endswith(f"/asterisk_{language}_{name}.ogg")
        assert row["origin"].startswith(f"asterisk-core-sounds-{language}-g722 (")
        audio, rate = soundfile.read(FOLDER / row["path"])
        level = np.sqrt((audio[: len(audio) // 320 * 320].reshape(-1, 320) ** 2).mean(axis=1))
        assert 2 <= row["duration"] <= 5, row["path"]
        # mostly sound, and never a tone: its energy is spread over more than a few bins
        assert (level > 10 ** (-45 / 20)).mean() > 0.6, row["path"]
        power = np.abs(np.fft.rfft(audio[: rate * 2])) ** 2
        assert np.sort(power)[-8:].sum() < 0.3 * power.sum(), row["path"]


def test_the_split_follows_its_rule(dealt):
    """In each domain, sources in hash order go where most seconds of the share are missing."""
    expected = {}
    for domain in {row["domain"] for row in dealt}:
        durations = seconds([row for row in dealt if row["domain"] == domain], "source_id")
        missing = {split: share * durations.total() for split, share in TARGETS.items()}
        digests = {
            hashlib.sha256(f"{SALT}:{name}".encode()).hexdigest(): name for name in durations
        }
        for _, source in sorted(digests.items()):
            expected[source] = max(missing, key=missing.__getitem__)
            missing[expected[source]] -= durations[source]
    assert {row["source_id"]: row["split"] for row in dealt} == expected


def test_split_shares_of_time(rows):
    total = seconds(rows, "split")
    for split, share in TARGETS.items():
        assert total[split] / total.total() == pytest.approx(share, abs=0.03)


def test_large_domains_are_split_alike(dealt):
    for domain in {row["domain"] for row in dealt}:
        inside = [row for row in dealt if row["domain"] == domain]
        total = seconds(inside, "split")
        assert {"train", "test"} <= set(total), domain
        if len({row["source_id"] for row in inside}) >= 6:
            for split, share in TARGETS.items():
                assert total[split] / total.total() == pytest.approx(share, abs=0.1), domain


def test_licences(rows):
    texts = {path.stem: path.read_text("utf-8") for path in (FOLDER / "LICENSES").glob("*.txt")}
    assert {row["license"] for row in rows} == set(texts)
    assert all(len(text) > 1000 for text in texts.values())
    for row in rows:
        share_alike = row["license"].startswith("CC-BY-SA-")
        assert row["path"].startswith("cc-by-sa/" if share_alike else "permissive/"), row["path"]


def test_every_recording_is_attributed(rows, attribution):
    tables = [line for line in attribution.splitlines() if line.startswith("| `")]
    for row in rows:
        assert row["author"].strip(), row["path"]
        assert row["title"].strip(), row["path"]
        assert row["changes"].startswith("converted to 16 kHz mono Ogg Vorbis")
        (line,) = [line for line in tables if f"`{row['path']}`" in line]
        assert row["author"] in line, row["path"]
        assert f"| {row['license']} |" in line, row["path"]
        addresses = re.findall(r"https?://[^\s;,)]+", row["origin"])
        assert addresses, row["path"]
        assert all(f"<{address}>" in line for address in addresses), row["path"]


def test_attribution_names_nothing_else(rows, attribution):
    named = set(re.findall(r"`((?:permissive|cc-by-sa)/[^`]+\.ogg)`", attribution))
    assert named == {row["path"] for row in rows}
    for licence in {row["license"] for row in rows}:
        assert f"LICENSES/{licence}.txt" in attribution


def test_the_folder_is_small():
    size = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    assert size < 15_000_000
