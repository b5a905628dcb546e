import io
import os
import zipfile

import pytest

from fakesound.corpora import debian
from fakesound.corpora.debian import download_package, find_package, unpack_package, unpacked
from fakesound.errors import InputError
from tests.corpora.public_sources import build_package, write_archive


def zipped(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


FILES = {
    "usr/share/game/a.ogg": b"one",
    "usr/share/game/b.txt": b"two",
    "usr/share/game/data.pk3": zipped({"sound/c.ogg": b"three", "sound/d.txt": b"four"}),
}


@pytest.mark.parametrize("compression", ["xz", "gz", ""])
def test_wanted_files_are_unpacked_also_from_a_zip(tmp_path, compression):
    build_package(tmp_path / "game_1_all.deb", FILES, compression)
    names = unpack_package(
        tmp_path / "game_1_all.deb", lambda name: name.endswith("ogg"), tmp_path / "out"
    )
    assert names == ["usr/share/game/a.ogg", "usr/share/game/data.pk3:sound/c.ogg"]
    assert [unpacked(tmp_path / "out", name).read_bytes() for name in names] == [b"one", b"three"]
    assert sorted(p.name for p in (tmp_path / "out").rglob("*") if p.is_file()) == [
        "a.ogg",
        "c.ogg",
    ]


def test_nothing_is_written_outside_the_folder(tmp_path):
    files = {"../../escape.ogg": b"x", "z.zip": zipped({"../../../../escape.ogg": b"x"})}
    build_package(tmp_path / "a_1_all.deb", files)
    assert unpack_package(tmp_path / "a_1_all.deb", lambda name: True, tmp_path / "b" / "c") == []
    assert not list(tmp_path.rglob("escape.ogg"))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"data.tar.zst": b"x"}, r"data\.tar\.zst; only xz and gz"),
        ({"control.tar.xz": b"x"}, "holds no files"),
        ({"data.tar.xz": b"not xz"}, "is damaged"),
    ],
)
def test_packages_that_cannot_be_read_are_refused(tmp_path, members, words):
    write_archive(tmp_path / "a_1_all.deb", members)
    with pytest.raises(InputError, match=words):
        unpack_package(tmp_path / "a_1_all.deb", lambda name: True, tmp_path / "out")


def test_files_other_than_packages_are_refused(tmp_path):
    (tmp_path / "a_1_all.deb").write_bytes(b"<html>")
    with pytest.raises(InputError, match="is not a Debian package"):
        unpack_package(tmp_path / "a_1_all.deb", lambda name: True, tmp_path / "out")


def test_a_damaged_header_is_refused(tmp_path):
    path = tmp_path / "a_1_all.deb"
    build_package(path, {"usr/a.wav": b"x"})
    path.write_bytes(path.read_bytes().replace(b"4         `", b"odd       `", 1))
    with pytest.raises(InputError, match="is damaged"):
        unpack_package(path, lambda name: True, tmp_path / "out")


def test_a_package_is_found_by_its_whole_name(tmp_path):
    for name in ("game_1_all.deb", "game-data_1_all.deb"):
        (tmp_path / name).touch()
    assert find_package(tmp_path, "game") == tmp_path / "game_1_all.deb"
    assert find_package(tmp_path, "gam") is None


def test_apt_fetches_a_package(tmp_path, monkeypatch):
    script = tmp_path / "bin" / "apt-get"
    script.parent.mkdir()
    script.write_text(
        "#!/bin/sh\n"
        '[ "$3" = game ] && echo x > game_1_all.deb || { echo "E: no $3" >&2; exit 100; }\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
    assert download_package("game", tmp_path / "debs") == tmp_path / "debs" / "game_1_all.deb"
    with pytest.raises(InputError, match=r"other: cannot be fetched \(E: no other\)"):
        download_package("other", tmp_path / "debs")


def test_without_apt_the_message_names_the_mirror(tmp_path, monkeypatch):
    monkeypatch.setattr(debian.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match=r"game: apt-get is not installed; .*mirror=DIR"):
        download_package("game", tmp_path)
