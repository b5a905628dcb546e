import pytest

from fakesound.report.interval_figure import Panel, Series, interval_figure
from fakesound.report.parts import Value


def figure(values, **fields):
    rows = [str(number) for number in range(len(values))]
    return interval_figure(rows, [Panel("title", [Series("", "black", values)], **fields)])


@pytest.mark.parametrize(("lowest", "start"), [(0.5, 0.5), (0.49, 0.0)])
def test_shares_start_at_guessing_unless_one_is_below(lowest, start):
    axes = figure([Value(0.8, (lowest, 0.9))]).axes[0]
    assert axes.get_xlim() == (start, 1)


def test_differences_hold_zero_and_every_interval():
    low, high = figure([Value(0.3, (0.2, 0.4))], differences=True).axes[0].get_xlim()
    assert low < 0
    assert high > 0.4


def test_no_difference_at_all_has_a_picture_too():
    assert figure([Value(0.0, (0.0, 0.0))], differences=True) is not None


def test_undefined_values_are_left_out():
    axes = figure([Value(None), Value(0.7)]).axes[0]
    (dot,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (0.7, 1)
    assert figure([Value(None)]) is None


def test_series_of_a_row_lie_apart_and_are_named():
    series = [Series("unseen", "red", [Value(0.7)]), Series("seen", "blue", [Value(0.7)])]
    axes = interval_figure(["row"], [Panel("title", series)]).axes[0]
    heights = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert heights[0] < 0 < heights[1]
    assert [text.get_text() for text in axes.texts] == ["row", "● unseen", "● seen"]
