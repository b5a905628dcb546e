import pytest

from fakesound.metrics import LOCALISATION_KEYS, localisation_block, metrics_block, subsets
from fakesound.report import sections
from fakesound.report.glossary import LOCALISATION_METRICS, PRECISION_METRICS, SEGMENT_ERRORS
from fakesound.report.run_results import attack_groups, partition_groups


def dots(axes):
    lines = [line for line in axes.lines if line.get_marker() == "o"]
    return [x for line in lines for x in line.get_xdata()]


def labels(figure):
    return [text.get_text() for text in figure.axes[0].get_yticklabels()]


def test_every_metric_of_localisation_is_explained():
    explained = {metric.key for metric in (*LOCALISATION_METRICS, *PRECISION_METRICS)}
    rest = set(LOCALISATION_KEYS) - explained
    assert explained <= set(LOCALISATION_KEYS)
    assert rest
    assert all(key.startswith(tuple(SEGMENT_ERRORS)) for key in rest)


def test_both_segment_errors_of_each_part_have_a_row(evaluation):
    table = sections.localisation_tables(evaluation.metrics)["segments"]
    assert [metric.title for metric in table.metrics][:3] == ["20 ms", "40 ms", "80 ms"]
    rows = {row.title: row.block for row in table.rows}
    block = localisation_block(subsets(evaluation.test_scores).unseen)
    assert len(rows) == 4
    for kind, name in SEGMENT_ERRORS.items():
        assert rows[f"Unseen attacks, {name}"]["40"] == block[f"{kind}_40ms"]


def test_undefined_localisation_is_left_out():
    undefined = {"localisation": {"all": dict.fromkeys(LOCALISATION_KEYS)}}
    assert sections.localisation_tables(undefined) == {}
    assert sections.localisation_tables({"localisation": None}) == {}


def test_a_table_of_groups_has_their_numbers_of_clips(evaluation):
    groups = partition_groups(evaluation, "region_length")
    table = sections.group_table(groups, "length", LOCALISATION_METRICS)
    assert table.counts == ["fakes", "genuine"]
    assert [row.counts["fakes"] for row in table.rows] == [group.fakes for group in groups]


def test_the_figure_of_attacks_has_a_panel_for_each_metric(run):
    groups = attack_groups(run)
    figure = sections.groups_figure(groups, by_family=True)
    assert labels(figure) == ["codec", "gsm (20)", "edit", "splice (20)", "vocoder", "world (20)"]
    for axes, key in zip(figure.axes, ("clip/auc", "frame/auc", "segment_f1_20ms"), strict=True):
        assert sorted(dots(axes)) == sorted(group.block[key] for group in groups)


def test_calibration_has_a_row_before_and_after(evaluation):
    table = sections.calibration_table(evaluation.metrics)
    before, after = (evaluation.metrics["calibration"][name] for name in ("before", "after"))
    assert [row.title for row in table.rows] == [
        *("Unseen attacks", "before calibration", "Seen attacks", "before calibration"),
        *("Validation", "before calibration"),
    ]
    assert table.rows[0].block["cllr"] == after["unseen"]["cllr"]
    assert table.rows[1].block["cllr"] == before["unseen"]["cllr"]
    assert sections.calibration_table({}) is None
    assert list(sections.reliability_before(evaluation.metrics, ["unseen"])) == ["unseen"]


def entry(a, b, spread, p):
    low, high = a - b - spread, a - b + spread
    return {"a": a, "b": b, "difference": a - b, "low": low, "high": high, "p": p}


def pair(**entries):
    names = {"auc": "clip/auc", "eer": "clip/eer"}
    parts = {"all": {names[name]: value for name, value in entries.items()}}
    return sections.paired_parts({"names": ["ours", "theirs"], "parts": parts})


@pytest.mark.parametrize(
    ("name", "values", "better"),
    [
        ("auc", entry(0.9, 0.8, 0.05, 0.01), 0),
        ("auc", entry(0.7, 0.8, 0.05, 0.01), 1),
        ("eer", entry(0.1, 0.2, 0.05, 0.01), 0),
        ("auc", entry(0.9, 0.8, 0.2, 0.05), None),
        ("auc", entry(0.8, 0.8, 0.0, 0.01), None),
        ("auc", entry(0.9, 0.8, 0.05, 0.01) | {"low": None, "high": None, "p": None}, None),
    ],
)
def test_the_better_system_is_known_only_if_the_difference_is_significant(name, values, better):
    (part,) = pair(**{name: values})
    assert part.differences[0].better == better


def test_differences_of_errors_are_sign_flipped_in_the_figure():
    parts = pair(auc=entry(0.7, 0.9, 0.1, 0.01), eer=entry(0.1, 0.3, 0.05, 0.01))
    eer = parts[0].differences[1]
    assert eer.improvement.value == pytest.approx(0.2)
    assert eer.improvement.interval == pytest.approx((0.15, 0.25))
    figure = sections.paired_figure(parts)
    assert dots(figure.axes[0]) == pytest.approx([-0.2, 0.2])
    assert labels(figure) == ["Clip AUC", "EER"]
    assert sections.paired_figure(pair()) is None


def test_unseen_attacks_come_first_and_the_whole_is_left_out(evaluation):
    parts = sections.paired_parts(evaluation.metrics["paired"])
    assert [part.name for part in parts] == ["unseen", "seen"]
    unseen = metrics_block(subsets(evaluation.test_scores).unseen)
    values = {each.metric.key: each.a for each in parts[0].differences}
    assert values == pytest.approx({key: unseen[key] for key in values})


def conditions(*blocks):
    return {
        "conditions": [
            {"name": f"{n}", "title": f"{n}", "all": {"clip/auc": auc, "segment_f1_20ms": f1}}
            for n, (auc, f1) in enumerate(blocks)
        ]
    }


def test_changes_are_from_clean_audio():
    (part,) = sections.conditions(conditions((0.9, 0.6), (0.7, 0.65), (None, 0.2)))
    assert part.change(1, "clip/auc") == pytest.approx(-0.2)
    assert part.change(1, "segment_f1_20ms") == pytest.approx(0.05)
    assert part.change(2, "clip/auc") is None


def test_conditions_without_values_or_comparison_are_left_out():
    assert sections.conditions(conditions((0.9, 0.6))) == []
    assert sections.conditions(conditions((None, None), (None, None))) == []
    assert sections.conditions_figure([]) is None


def test_each_condition_has_its_dots_and_clean_audio_a_line(evaluation):
    robustness = evaluation.metrics["robustness"]
    axes = sections.conditions_figure(sections.conditions(robustness)).axes[0]
    assert dots(axes) == [
        condition[part]["clip/auc"]
        for part in ("unseen", "seen")
        for condition in robustness["conditions"]
    ]
    lines = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "--"]
    clean = robustness["conditions"][0]
    assert lines == [clean[part]["clip/auc"] for part in ("unseen", "seen")]
