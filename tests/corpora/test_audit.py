from pathlib import Path

import numpy as np
import pytest

from fakesound.corpora.audit import shortcut_audit, trivial_properties
from fakesound.data.audio import write_wav
from tests.factories import make_clip

RATE = 8_000


@pytest.fixture
def make_clips(tmp_path):
    """Return pairs of a fake and a genuine clip; ``plant`` adds the shortcut to fakes."""

    def make(plant=lambda pcm: pcm, pairs=30, fake_share=0.5):
        rng = np.random.default_rng(1)
        clips = []
        for number in range(2 * pairs):
            fake = number % 2 == 0 and fake_share > 0
            level, length = rng.uniform(500, 5_000), int(rng.integers(1_600, 3_200))
            pcm = rng.normal(rng.uniform(-40, 40), level, length).round().astype(np.int16)
            path = tmp_path / f"{number}.wav"
            write_wav(path, plant(pcm) if fake else pcm, RATE)
            clips.append(
                make_clip(
                    str(number),
                    path,
                    "a/b" if fake else None,
                    fake and [(0, 0.1)],
                    source_id=str(number // 2),
                    duration=length / RATE,
                    sample_rate=RATE,
                )
            )
        return clips

    return make


def test_nothing_is_found_where_labels_depend_on_nothing(make_clips):
    audit = shortcut_audit(make_clips())
    assert 0.3 < audit.auc < 0.7
    assert all(0.5 <= area < 0.7 for area in audit.properties.values())


PLANTED = {
    "level": lambda pcm: (pcm / 12).round().astype(np.int16),
    "duration": lambda pcm: pcm[:1_500],
    "offset": lambda pcm: pcm + np.int16(400),
    "odd samples": lambda pcm: pcm & ~np.int16(1),
    "bandwidth 95 %": lambda pcm: np.convolve(pcm, np.ones(4) / 2, "same").astype(np.int16),
    "zero samples": lambda pcm: np.where(np.arange(len(pcm)) % 9, pcm, 0).astype(np.int16),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_shortcut_is_found_and_named(make_clips, name):
    audit = shortcut_audit(make_clips(PLANTED[name]))
    assert audit.auc > 0.93
    assert audit.properties[name] > 0.95
    assert audit.properties["sample rate"] == 0.5


def test_a_shortcut_in_the_middle_of_a_scale_is_found(make_clips):
    # neither louder nor quieter than genuine clips: only squares of ranks reveal it
    audit = shortcut_audit(
        make_clips(lambda pcm: (pcm * (2_200.0 / pcm.std())).clip(-32_768, 32_767).astype(np.int16))
    )
    assert audit.properties["level"] < 0.7
    assert audit.auc > 0.75


def test_the_audit_of_one_label_or_of_nothing_is_undefined(make_clips):
    audit = shortcut_audit(make_clips(pairs=5, fake_share=0))
    assert audit.auc is None
    assert set(audit.properties.values()) == {None}
    assert shortcut_audit([]).auc is None


def test_the_same_clips_give_the_same_audit(make_clips):
    clips = make_clips(pairs=20)
    assert shortcut_audit(clips) == shortcut_audit(clips)


def test_properties_of_a_known_sound(make_clips, tmp_path):
    (clip, *_) = make_clips(pairs=1)
    pcm = np.tile(np.array([16_384, -16_384], dtype=np.int16), 2_000)
    pcm[:2_000] = 0
    write_wav(Path(clip.location), pcm, RATE)
    result = trivial_properties(clip)
    assert result["duration"] == 0.5
    assert result["sample rate"] == RATE
    assert result["offset"] == 0
    assert result["zero samples"] == 0.5
    assert result["clipped samples"] == result["odd samples"] == 0
    assert result["peak"] == pytest.approx(20 * np.log10(0.5))
    assert result["level"] == pytest.approx(20 * np.log10(0.5) - 10 * np.log10(2), abs=0.01)
    assert result["silence"] == 0.5
    assert result["bandwidth 95 %"] > 0.9


def test_silence_has_finite_properties(make_clips):
    (clip, *_) = make_clips(pairs=1)
    for samples in (100, 4_000):
        write_wav(Path(clip.location), np.zeros(samples, np.int16), RATE)
        assert all(np.isfinite(value) for value in trivial_properties(clip).values())
