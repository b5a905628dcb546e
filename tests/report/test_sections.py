import pytest

from fakesound.metrics import LOCALISATION_KEYS, localisation_block, subsets
from fakesound.report import sections
from fakesound.report.glossary import (
    LOCALISATION_FIGURES,
    PRECISION_FIGURES,
    SEGMENT_ERRORS,
)


def test_every_figure_of_localisation_is_explained():
    explained = {figure.key for figure in (*LOCALISATION_FIGURES, *PRECISION_FIGURES)}
    rest = set(LOCALISATION_KEYS) - explained
    assert explained < set(LOCALISATION_KEYS)
    assert rest
    assert all(key.startswith(tuple(SEGMENT_ERRORS)) for key in rest)


def test_both_segment_errors_of_each_part_go_by_resolution(evaluation):
    table = sections.localisation(evaluation.metrics).segment_errors
    titles = [figure.title for figure in table.figures]
    assert titles == ["20 ms", "40 ms", "80 ms", "160 ms", "320 ms", "640 ms"]
    rows = dict(table.rows)
    block = localisation_block(subsets(evaluation.test_scores).unseen)
    assert rows["Unseen attacks, PartialSpoof"]["40"] == block["segment_eer_partialspoof_40ms"]
    assert rows["Unseen attacks, point"]["160"] == block["segment_eer_point_160ms"]
    assert block["segment_eer_partialspoof_40ms"] != block["segment_eer_point_40ms"]
    # of all clips there is no row where there are folds beside it
    assert len(rows) == 4


def test_localisation_without_figures_is_left_out():
    assert (
        sections.localisation({"localisation": {"all": dict.fromkeys(LOCALISATION_KEYS)}}) is None
    )
    assert sections.localisation({"localisation": None}) is None


def test_divisions_need_more_than_one_name(evaluation):
    shown = sections.partitions(evaluation.metrics)
    titles = [partition.title for partition in shown]
    # one corpus, no official subsets
    assert titles == ["By length of the fake part", "By family of attacks"]
    family = shown[1]
    assert list(family.rows) == ["codec", "edit", "vocoder"]
    assert family.counts == ["clips"]
    assert "frame_recall" not in [figure.key for figure in family.figures]
    assert "frame_recall" in [figure.key for figure in shown[0].figures]


def test_the_figure_of_a_division_has_a_dot_for_each_name(evaluation):
    length = sections.partitions(evaluation.metrics)[0]
    panels = sections.partition_figure(length).axes
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == ["clip AUC", "segment F1, 20 ms", "frame recall"]
    recalls = [line.get_xdata()[0] for line in panels[2].lines if line.get_marker() == "o"]
    assert recalls == [block["frame_recall"] for block in length.rows.values()]


def test_fakes_and_genuines_are_counted_apart_where_it_is_known():
    blocks = {name: {"clip/auc": 0.7, "fakes": 3, "genuine": 4} for name in ("one", "two")}
    (partition,) = sections.partitions({"partition": {"subset": blocks}})
    assert partition.counts == ["fakes", "genuine"]


def test_calibration_has_a_row_after_and_one_before(evaluation):
    table = sections.calibration(evaluation.metrics)
    assert [title for title, _ in table.rows] == [
        *("Unseen attacks", "before calibration"),
        *("Seen attacks", "before calibration"),
    ]
    before = evaluation.metrics["calibration"]["before"]
    assert table.rows[1][1]["cllr"] == before["unseen"]["cllr"]
    # undefined everywhere
    assert "act_dcf" not in [figure.key for figure in table.figures]


def test_calibration_that_changed_nothing_has_one_row():
    after = {"all": {"cllr": 0.4}, "validation": {"cllr": 0.3}}
    table = sections.calibration({"calibration": {"method": "none", "after": after}})
    assert [title for title, _ in table.rows] == ["Test", "Validation"]
    assert sections.calibration({}) is None


def test_reliability_before_is_of_the_parts_that_are_shown(evaluation):
    points = sections.reliability_before(evaluation.metrics, ["unseen", "validation"])
    assert list(points) == ["unseen"]
    assert points["unseen"].share_fake.tolist() == pytest.approx([0.1, 0.7])


def test_abstention_is_of_the_folds(evaluation):
    parts = sections.abstention(evaluation.metrics)
    assert [title for title, _ in parts] == ["Unseen attacks", "Seen attacks"]
    assert sections.abstention({}) == []
