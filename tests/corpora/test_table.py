import pytest

from fakesound.corpora.check import check_rows
from fakesound.corpora.table import CSV
from fakesound.errors import InputError
from fakesound.timeline import Region

FULL = (
    "path,label,source_id,attack,regions,split,corpus,domain,donor_ids,license,mood\n"
    'a.wav,bona-fide,"tape, one",,,dev,mine,studio,,CC0-1.0,sad\n'
    "deep/b.wav,SPOOF,tape one,edit/splice,0.5-1.2;1.5-2,test,mine,studio,tape 2; tape 3,,glad\n"
)


@pytest.fixture
def files(audio):
    for name in ("a.wav", "deep/b.wav", "c.wav", "d.wav"):
        audio(name, 2)


@pytest.mark.parametrize("name", ["clips.csv", "clips.tsv"])
@pytest.mark.parametrize("by", ["file", "folder"])
def test_a_table_becomes_clips(files, text, tmp_path, name, by):
    content = (
        FULL if name.endswith("csv") else FULL.replace("tape, one", "tape; one").replace(",", "\t")
    )
    table = text(name, "\ufeff" + content.replace("tape; one", "tape, one"))
    listing = CSV.read(table if by == "file" else tmp_path)
    checked = check_rows(listing.rows)
    assert (listing.problems, checked.missing, checked.wrong) == ([], [], [])
    genuine, fake = checked.clips
    assert (genuine.clip_id, genuine.label, genuine.source_id) == ("a.wav", "genuine", "tape, one")
    assert (genuine.attack, genuine.regions, genuine.license) == (None, (), "CC0-1.0")
    assert (fake.location, fake.attack) == (str(tmp_path / "deep/b.wav"), "edit/splice")
    assert fake.regions == (Region(0.5, 1.2), Region(1.5, 2))
    assert fake.sources == ("tape one", "tape 2", "tape 3")
    assert [clip.split for clip in checked.clips] == ["validation", "test"]
    assert {(clip.corpus, clip.domain) for clip in checked.clips} == {("mine", "studio")}
    assert listing.remarks == ["columns not used: mood"]


def test_two_columns_are_enough(files, text):
    table = text("t.csv", "label,path\n0,a.wav\n1,deep/b.wav\nreal,c.wav\nfake,d.wav\n")
    listing = CSV.read(table)
    clips = check_rows(listing.rows).clips
    assert [(c.source_id, c.label, c.attack, c.split, c.corpus) for c in clips] == [
        ("a", "genuine", None, None, "t"),
        ("b", "fake", "unknown/unknown", None, "t"),
        ("c", "genuine", None, None, "t"),
        ("d", "fake", "unknown/unknown", None, "t"),
    ]
    assert clips[1].regions == (Region(0, 2),)
    assert listing.remarks == ["2 fakes have no attack: set to unknown/unknown"]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (",genuine,,,", ", path: empty"),
        ("a.wav,2,,,", ", label: '2'; must be one of genuine, real"),
        ("a.wav,,,,", ", label: ''"),
        ("a.wav,fake,splice,,", ", attack: 'splice'; must be family/generator"),
        ("a.wav,fake,edit/,,", ", attack: 'edit/'"),
        ("a.wav,fake,edit/x,1,", ", regions: '1'"),
        ("a.wav,fake,edit/x,2-1,", ", regions: '2-1'"),
        ("a.wav,fake,edit/x,a-b,", ", regions: 'a-b'"),
        ("a.wav,fake,edit/x,1-3,", ", regions: [1.0, 3.0] ends after"),
        ("a.wav,genuine,edit/x,,", ", label: genuine, but"),
        ("a.wav,genuine,,1-2,", ", label: genuine, but"),
        ("a.wav,fake,edit/x,,later", ", split: 'later'"),
        ("a.wav,fake,edit/x,,test,more", ": has more cells"),
        ("lost.wav,genuine,,,", ": no such file"),
    ],
)
def test_invalid_cells_are_named_by_row_and_column(files, text, cells, message):
    table = text("t.csv", f"path,label,attack,regions,split\nc.wav,real,,,\n{cells}\n")
    listing = CSV.read(table)
    checked = check_rows(listing.rows)
    (line,) = [*listing.problems, *checked.wrong, *checked.missing]
    assert line.startswith(f"t.csv row 3{message}")
    assert [clip.clip_id for clip in checked.clips] == ["c.wav"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "row 1: no column path"),
        ("a.wav,genuine", "row 1: no column path"),
        ("path", "row 1: no column label"),
        ("path,label,region", "row 1, column region: unknown; did you mean regions"),
        ("path,label,label", "row 1: a column is named twice"),
    ],
)
def test_invalid_headers_are_refused(text, header, message):
    with pytest.raises(InputError, match=rf"t\.csv {message}"):
        CSV.read(text("t.csv", f"{header}\na.wav,genuine\n"))


def test_a_folder_must_hold_one_table(text, tmp_path):
    with pytest.raises(InputError, match="holds 0 tables; name one"):
        CSV.read(tmp_path)
    text("a.csv", FULL)
    text("b.tsv", FULL)
    with pytest.raises(InputError, match="holds 2 tables; name one"):
        CSV.read(tmp_path)
