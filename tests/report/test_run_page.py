import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest

from fakesound.metrics import subset_blocks
from fakesound.report import read_run, write_report
from tests.browser import CHROMIUM, browser
from tests.run_factory import edit_json, make_run

UNDEFINED = re.compile(r"\b(nan|None|undefined|inf)\b")


class Page(HTMLParser):
    """Parser that counts elements, collects links and checks that every element is closed."""

    VOID = ("br", "hr", "img", "input", "link", "meta")

    def __init__(self, text):
        super().__init__()
        self.open, self.count, self.links = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.links += [value for name, value in attrs if name in ("src", "href") and value]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def written(results, path, examples=2):
    write_report(results, path, examples)
    return path.read_text(encoding="utf-8")


def plain(page):
    """Return the visible text of a page."""
    page = re.sub(r"<(script|style)[^>]*>.*?</\1>|data:[^\"')]*", "", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def headings(page):
    return re.findall(r'<h2 id="([^"]+)"', page)


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    return written(run, tmp_path_factory.mktemp("page") / "report.html", 5)


@pytest.fixture(scope="module")
def evaluated(evaluation, tmp_path_factory):
    return written(evaluation, tmp_path_factory.mktemp("evaluation") / "report.html", 1)


def test_the_page_needs_nothing_else_and_forbids_requests(page):
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.links
    assert all(link.startswith(("data:", "#")) for link in parsed.links)
    assert "Content-Security-Policy" in page
    assert "default-src 'none'" in page


def test_equal_results_give_equal_bytes(run, page, tmp_path):
    assert written(run, tmp_path / "report.html", 5) == page


def test_every_section_is_linked(page, evaluated):
    for text in (page, evaluated):
        links = [link[1:] for link in Page(text).links if link.startswith("#")]
        assert links == headings(text)
    assert headings(page) == [
        *("metrics", "attacks", "breakdown", "localisation", "calibration", "abstention"),
        *("audit", "examples", "curves", "reproduce"),
    ]
    assert headings(evaluated) == [
        *("metrics", "paired", "attacks", "breakdown", "localisation", "robustness"),
        *("calibration", "abstention", "examples", "curves", "reproduce"),
    ]


def test_metrics_and_baselines_are_on_the_page(page, run):
    words = plain(page)
    assert "vocoder/world" in words
    for part in ("unseen", "seen"):
        assert f"{run.metrics['test'][part]['clip/auc']:.3f}" in words
        baseline = run.metrics["baseline_by_fold"][part]["all_fake"]
        assert f"{baseline['segment_f1_20ms']:.3f}" in words
    assert f"{run.metrics['abstention']['unseen']['answered']:.0%}".replace("%", " %") in words


def test_examples_have_a_picture_and_a_player(page):
    assert Page(page).count["audio"] == 5
    assert page.count('class="example"') == 5
    assert "4 more" in plain(page)


def test_nothing_undefined_is_shown(page, evaluated):
    assert not UNDEFINED.search(plain(page))
    assert not UNDEFINED.search(plain(evaluated))


def test_an_evaluation_shows_its_command_and_nothing_of_a_training(evaluated):
    words = plain(evaluated)
    assert "fakesound evaluate --scores scores.jsonl --out 'my results'" in words
    assert "12 genuine clips occur in two manifests and count once" in words
    assert "fakesound run" not in words
    assert "Configuration" not in words


def test_families_are_shown_if_a_head_names_them(run, tmp_path):
    block = {
        "families": ["codec", "edit"], "seen_fakes": 8, "accuracy": 0.75, "macro_f1": 0.7,
        "auc_new_family": None,
        "by_attack": {"edit/splice": {"edit": 6, "unknown": 2}, "<b>/new": {"unknown": 3}},
    }  # fmt: skip
    text = written(
        replace(run, metrics=run.metrics | {"attribution": block}), tmp_path / "report.html", 0
    )
    (section,) = re.findall(r'id="attribution".*?</table>', text, re.S)
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in section.split("<tr>")[2:]]
    assert [[" ".join(unescape(cell).split()) for cell in row] for row in rows] == [
        ["edit/splice", "8", "edit", "75 %", "25 %"],
        ["<b>/new", "3", "unknown", "100 %", "100 %"],
    ]


@pytest.mark.parametrize(
    "fields",
    [{"clip_task": False}, {"frame_task": False}, {"first_id": "<script>alert(1)</script>"}],
)
def test_runs_without_a_task_or_audio_and_odd_names_have_a_page(fields, tmp_path):
    folder = make_run(tmp_path / "run", sources=4, **fields)
    text = written(read_run(folder), tmp_path / "report.html", 3)
    assert Page(text).open == []
    assert "audio" not in Page(text).count
    assert "<script>alert(1)" not in text


def test_too_few_sources_show_no_interval(tmp_path):
    folder = make_run(tmp_path / "run", sources=4)
    edit_json(folder / "metrics.json", lambda metrics: metrics["provenance"].update(git=None))
    text = written(read_run(folder), tmp_path / "report.html", 0)
    assert 'class="interval"' not in text
    assert "fewer than 20 sources" in plain(text)


def test_the_least_that_an_evaluation_has_makes_a_page(evaluation, tmp_path):
    scores = [
        replace(clip, fold=None, frame_scores=np.zeros(0, np.float32))
        for clip in evaluation.test_scores
    ]
    metrics = {
        "test": subset_blocks(scores, draws=0)["test"],
        "thresholds": {"clip": None, "frame": None, "origin": "the score file"},
        **dict.fromkeys(("validation", "partition", "localisation", "calibration", "abstention")),
        **dict.fromkeys(("robustness", "paired", "remarks", "provenance", "audit", "baseline")),
    }
    results = replace(evaluation, metrics=metrics, test_scores=scores, command=None, title=None)
    text = written(results, tmp_path / "report.html", examples=1)
    assert Page(text).open == []
    assert headings(text) == ["metrics", "attacks", "examples", "curves"]
    assert not UNDEFINED.search(plain(text))


def test_a_long_list_of_held_out_attacks_is_folded(run, tmp_path):
    def page_of(count):
        names = (f"vocoder/system{number % count}" for number in range(10_000))
        scores = [
            replace(clip, attack=next(names)) if clip.fold == "unseen" and clip.attack else clip
            for clip in run.test_scores
        ]
        metrics = run.metrics | {"test": subset_blocks(scores, draws=0)["test"]}
        results = replace(run, metrics=metrics, test_scores=scores)
        return written(results, tmp_path / f"{count}.html", 0)

    assert '<b class="unseen">vocoder/system0 and vocoder/system1</b>' in page_of(2)
    long = page_of(9)
    assert Page(long).open == []
    assert '<b class="unseen">9 attacks</b>' in long
    assert re.search(
        r"<summary>The 9 attacks</summary>\s*<p>vocoder/system0, vocoder/system1", long
    )


def test_many_remarks_are_cut_short_and_names_escaped(evaluation, tmp_path):
    paired = evaluation.metrics["paired"] | {"names": ["<b>a", "<script>alert(1)</script>"]}
    metrics = evaluation.metrics | {"remarks": [f"remark {n}" for n in range(30)], "paired": paired}
    results = replace(evaluation, metrics=json.loads(json.dumps(metrics)), title="<i>")
    text = written(results, tmp_path / "report.html", 0)
    assert Page(text).open == []
    assert "<script>alert(1)" not in text
    assert "remark 7" in plain(text)
    assert "remark 8" not in plain(text)
    assert "and 22 more" in plain(text)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_reports_are_short_and_accessible(run, evaluation, tmp_path):
    pytest.importorskip("websocket")
    with browser(tmp_path / "profile") as tab:
        for results in (run, evaluation):
            written(results, tmp_path / "report.html", 3)
            tab.size(1280, 900)
            tab.open((tmp_path / "report.html").as_uri())
            assert tab.value("document.documentElement.scrollHeight") <= 5 * 900
            tab.check_accessibility()
            assert tab.problems == []
