from fakesound.files import write_whole
from fakesound.report.style import look, new_figure, panel, save_figure, svg


def drawing(text):
    with look():
        figure = new_figure(2, 1)
        axes = panel(figure, 0.5, 0.25, 1, 0.5)
        axes.set_title(text)
    return figure


def test_panels_lie_at_inches():
    place = drawing("a").axes[0].get_position()
    assert [place.x0, place.x1, place.y0, place.y1] == [0.25, 0.75, 0.25, 0.75]


def test_names_are_no_formulas_and_any_script_is_drawn():
    assert "cost$_$ 音" in svg(drawing("cost$_$ 音")).decode()


def test_same_figure_same_bytes():
    assert svg(drawing("a")) == svg(drawing("a"))


def test_saves_by_suffix(tmp_path):
    save_figure(drawing("a"), tmp_path / "a.svg")
    save_figure(drawing("a"), tmp_path / "a.png")
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<?xml")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_is_whole_or_not_there(tmp_path):
    write_whole(tmp_path / "deep" / "a.txt", "é")
    assert (tmp_path / "deep" / "a.txt").read_bytes() == "é".encode()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.txt"]
