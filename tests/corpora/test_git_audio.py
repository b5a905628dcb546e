import io

import numpy as np
import pytest
import soundfile

from fakesound.corpora.git_audio import Clone, clone_commit, decode, find_clone, open_clone
from fakesound.errors import InputError
from tests.corpora.public_sources import RATE, build_repository, encoded, sound

FILES = {"a/one.wav": encoded(sound(1)), "ä ö.txt": "grüße\n".encode(), "empty": b""}


@pytest.mark.parametrize("bare", [True, False])
def test_files_of_a_commit_are_read(tmp_path, bare):
    commit = build_repository(tmp_path / "o+n", FILES, bare)
    with open_clone(find_clone(tmp_path, "o/n"), commit) as clone:
        assert set(clone.paths) == set(FILES)
        for path, content in FILES.items():
            assert path in clone
            assert clone.read(path) == content
        assert "other" not in clone
        with pytest.raises(InputError, match="no file other"):
            clone.read("other")


@pytest.mark.parametrize("place", ["o+n", "o+n/repo", "o+n.git", "o/n", "o/n.git"])
def test_clones_are_found_in_the_usual_places(tmp_path, place):
    build_repository(tmp_path / "mirror" / place, FILES)
    assert find_clone(tmp_path / "mirror", "o/n") == tmp_path / "mirror" / place


def test_other_folders_are_not_clones(tmp_path):
    (tmp_path / "o+n").mkdir()
    assert find_clone(tmp_path, "o/n") is None
    assert find_clone(tmp_path / "no", "o/n") is None


def test_an_unknown_commit_is_refused(tmp_path):
    build_repository(tmp_path / "o+n", FILES)
    with pytest.raises(InputError, match="has no commit " + "0" * 40):
        Clone(tmp_path / "o+n", "0" * 40)


def test_one_commit_is_fetched(tmp_path):
    commit = build_repository(tmp_path / "host" / "o" / "n", FILES, bare=False)
    host = f"file://{tmp_path}/host"
    folder = clone_commit("o/n", commit, tmp_path / "clone", host)
    with open_clone(folder, commit) as clone:
        assert clone.read("a/one.wav") == FILES["a/one.wav"]
    with pytest.raises(InputError, match=r"o/none at .*cannot be fetched"):
        clone_commit("o/none", commit, tmp_path / "other", host)


def test_audio_comes_mono_at_the_rate():
    stereo = np.stack([sound(1, rate=8_000), sound(1, rate=8_000)], axis=1)
    audio = decode(encoded(stereo, 8_000, "FLAC"), "a.flac", RATE)
    assert audio.shape == (2 * len(stereo),)
    assert audio.dtype == np.float32


def test_gsm_without_a_header_is_read():
    original = sound(2, rate=8_000)
    file = io.BytesIO()
    soundfile.write(file, original, 8_000, format="RAW", subtype="GSM610")
    audio = decode(file.getvalue(), "prompts/hello.gsm", 8_000)
    assert abs(len(audio) - len(original)) < 320
    size = min(len(audio), len(original))
    assert np.corrcoef(audio[:size], original[:size])[0, 1] > 0.4


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n"])
def test_content_without_audio_is_refused(content):
    with pytest.raises(InputError, match=r"^clips/a\.wav: "):
        decode(content, "clips/a.wav", RATE)
