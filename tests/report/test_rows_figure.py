import pytest

from fakesound.report.rows_figure import Panel, Row, Series, rows_figure
from fakesound.report.run_results import Value
from fakesound.report.style import PALETTE, save_figure, svg


def figure(values, **fields):
    rows = [Row(str(number)) for number in range(len(values))]
    return rows_figure(rows, [Panel("title", [Series(values)], **fields)])


def dots(axes):
    return [
        point
        for line in axes.lines
        if line.get_marker() == "o"
        for point in zip(*line.get_data(), strict=True)
    ]


def labels(axes):
    return [text.get_text() for text in axes.get_yticklabels()]


def test_each_value_is_a_dot_in_its_row_and_undefined_ones_are_left_out():
    axes = figure([Value(None), Value(0.7, (0.6, 0.8))]).axes[0]
    assert dots(axes) == [(0.7, 1)]
    (spans,) = axes.collections
    assert spans.get_segments()[0].tolist() == [[0.6, 1], [0.8, 1]]
    assert figure([Value(None)]) is None


def test_rows_have_headings_by_group():
    rows = [Row("world", "vocoder"), Row("hifi", "vocoder", PALETTE.unseen), Row("gsm", "codec")]
    axes = rows_figure(rows, [Panel("title", [Series([Value(0.1), Value(0.2), Value(0.3)])])]).axes[
        0
    ]
    assert labels(axes) == ["vocoder", "world", "hifi", "codec", "gsm"]
    assert dots(axes) == [(0.1, 1), (0.2, 2), (0.3, 4)]
    assert axes.get_yticklabels()[2].get_color() == PALETTE.unseen


def test_series_of_a_row_lie_apart_and_are_named():
    series = [Series([Value(0.7)], "unseen", "red"), Series([Value(0.7)], "seen", "blue")]
    drawn = rows_figure([Row("row")], [Panel("title", series, [0.5])])
    heights = [y for _, y in dots(drawn.axes[0])]
    assert heights[0] < 0 < heights[1]
    (legend,) = drawn.legends
    assert [text.get_text() for text in legend.texts] == ["trivial baseline", "unseen", "seen"]


def test_a_panel_without_values_is_left_out():
    panels = [Panel("a", [Series([Value(0.5)])]), Panel("b", [Series([Value(None)])])]
    drawn = rows_figure([Row("row")], panels)
    assert [axes.get_title(loc="left") for axes in drawn.axes] == ["a"]


@pytest.mark.parametrize(
    ("values", "fields", "inside"),
    [
        ([Value(0.5, (0.4, 0.6))], {}, (0.4, 0.6)),
        ([Value(0.9)], {"baseline": [0.5]}, (0.5, 0.9)),
        ([Value(0.3, (0.2, 0.4))], {"differences": True}, (0.0, 0.4)),
        ([Value(0.0, (0.0, 0.0))], {"differences": True}, (-0.01, 0.01)),
    ],
)
def test_the_axis_holds_intervals_baselines_and_zero(values, fields, inside):
    low, high = figure(values, **fields).axes[0].get_xlim()
    assert low < inside[0]
    assert inside[1] < high


def test_dots_at_the_ends_of_the_axis_are_whole():
    series = Series([Value(0.0), Value(1.0)], runs=[[0.0, 0.1], [0.9, 1.0]])
    drawn = rows_figure([Row("a"), Row("b")], [Panel("title", [series])])
    clipped = [line.get_clip_on() for line in drawn.axes[0].lines if line.get_marker() == "o"]
    assert clipped == [False] * 3


def test_shares_end_at_one_and_differences_may_be_negative():
    assert figure([Value(0.98, (0.9, 1.0))]).axes[0].get_xlim()[1] <= 1.01
    assert figure([Value(-0.3)], differences=True).axes[0].get_xlim()[0] < -0.3


def test_equal_figures_give_equal_bytes_and_names_are_no_formulas(tmp_path):
    first, second = (figure([Value(0.5)], baseline=[0.5]) for _ in range(2))
    assert svg(first) == svg(second)
    odd = rows_figure([Row("cost$_$ 音")], [Panel("title", [Series([Value(0.5)])])])
    assert "cost$_$ 音" in svg(odd).decode()
    save_figure(odd, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
