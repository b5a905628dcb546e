import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest

from fakesound.metrics import fold_blocks
from fakesound.report import read_run, write_report


class Page(HTMLParser):
    """Counts elements, keeps links, and minds that every element is closed."""

    VOID = ("br", "col", "hr", "img", "input", "link", "meta", "source", "path", "rect", "line")

    def __init__(self, text):
        super().__init__()
        self.open, self.count, self.links = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.links += [value for name, value in attrs if name in ("src", "href") and value]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(run, path, 3)
    return path.read_text()


def test_the_page_is_whole_and_needs_nothing_else(page):
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.links
    assert all(link.startswith(("data:", "#")) for link in parsed.links)


def test_each_example_can_be_heard_and_seen(page):
    parsed = Page(page)
    assert parsed.count["audio"] == 3
    assert parsed.count["img"] >= 3


def test_the_page_tells_the_held_out_attack_and_the_figures(page, run):
    assert "vocoder/world" in page
    shown = f"{run.metrics['test']['unseen']['clip/auc']:.3f}".lstrip("0")
    assert shown in page
    assert "calling everything fake" in page


def test_families_are_shown_where_a_head_names_them(page, run, tmp_path):
    block = {
        "families": ["codec", "edit"], "seen_fakes": 8, "accuracy": 0.75, "macro_f1": 0.7,
        "auc_new_family": None,
        "by_attack": {"edit/splice": {"edit": 6, "unknown": 2}, "<b>/new": {"unknown": 3}},
    }  # fmt: skip
    told = replace(run, metrics=run.metrics | {"attribution": block})
    write_report(told, tmp_path / "report.html", 0)
    text = (tmp_path / "report.html").read_text()
    assert Page(text).open == []
    (section,) = re.findall(r'id="attribution".*?</table>', text, re.S)
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in section.split("<tr>")[2:]]
    told_of = [[" ".join(unescape(cell).split()) for cell in row] for row in rows]
    assert told_of == [
        ["edit/splice", "8", "edit", "75 %", "25 %"],
        ["<b>/new", "3", "unknown", "100 %", "100 %"],
    ]
    assert "new families" not in section
    assert 'id="attribution"' not in page


def test_nothing_undefined_is_shown(page):
    words = re.sub(r"<(script|style)[^>]*>.*?</\1>|data:[^\"')]*", "", page, flags=re.DOTALL)
    assert not re.search(r"\b(nan|None|undefined|inf)\b", words)


def test_a_clip_id_cannot_break_the_page(make_run, tmp_path):
    folder = make_run(tmp_path / "run", first_id="<script>alert(1)</script>")
    write_report(read_run(folder), tmp_path / "report.html", 20)
    assert "<script>alert(1)" not in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("fields", [{"clip_task": False}, {"frame_task": False}, {"audio": False}])
def test_runs_without_a_task_or_audio_have_a_page_too(fields, make_run, tmp_path):
    folder = make_run(tmp_path / "run", **fields)
    write_report(read_run(folder), tmp_path / "report.html", 2)
    assert Page((tmp_path / "report.html").read_text()).open == []


def test_an_installed_package_without_a_commit_has_a_page_too(make_run, tmp_path):
    folder = make_run(tmp_path / "run")
    found = json.loads((folder / "metrics.json").read_text())
    found["provenance"]["git"] = None
    (folder / "metrics.json").write_text(json.dumps(found))
    write_report(read_run(folder), tmp_path / "report.html", 1)
    assert "Again, from a checkout" in (tmp_path / "report.html").read_text()


def written(results, path, examples=2):
    write_report(results, path, examples)
    return path.read_text(encoding="utf-8")


def plain(page):
    """The text of a page, without what nobody reads."""
    page = re.sub(r"<(script|style)[^>]*>.*?</\1>|data:[^\"')]*", "", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


@pytest.fixture(scope="module")
def evaluated(evaluation, tmp_path_factory):
    return written(evaluation, tmp_path_factory.mktemp("evaluation") / "report.html")


def test_an_evaluation_has_every_section_and_a_way_to_each(evaluated):
    parsed = Page(evaluated)
    assert parsed.open == []
    ways = [link[1:] for link in parsed.links if link.startswith("#")]
    assert ways == re.findall(r'<h2 id="([^"]+)"', evaluated)
    assert ways == [
        *("held-out", "figures", "paired", "attacks", "where", "localisation"),
        *("robustness", "probabilities", "abstention", "examples", "curves", "made"),
    ]
    words = plain(evaluated)
    assert "12 genuine clips occur in two manifests and count once" in words
    assert "ours against theirs" in words
    assert "Thresholds are from the checkpoint." in words
    assert "they are different numbers" in words
    assert not re.search(r"\b(nan|None|undefined|inf)\b", words)


def test_an_evaluation_says_its_own_command_and_nothing_of_a_training(evaluated):
    words = plain(evaluated)
    assert "python -m fakesound.evaluate --scores scores.jsonl --out 'my results'" in words
    assert "fakesound.run" not in words
    assert "Configuration" not in words
    assert "Training, epoch by epoch" not in words
    assert "kept out of training, out of the choice" not in words
    assert "two detectors" in words


def test_abstention_is_told_in_words(evaluated, evaluation):
    block = evaluation.metrics["abstention"]["unseen"]
    assert (
        f"it answers {100 * block['answered']:.0f} % of the clips and "
        f"{100 * block['accuracy']:.0f} % of its answers are right"
    ) in plain(evaluated)


@pytest.mark.parametrize(
    ("fold", "words"),
    [
        (None, "The scores do not say which attacks were in the training of the detector."),
        ("seen", "The scores say that every attack of the test was in the training"),
        ("unseen", "The scores say that the attacks codec/gsm, edit/splice and vocoder/world were"),
    ],
)
def test_what_is_new_to_a_detector_is_what_the_scores_say(fold, words, evaluation, tmp_path):
    scores = [replace(clip, fold=fold if clip.fake else None) for clip in evaluation.test_scores]
    metrics = {"test": fold_blocks(scores, draws=0)}
    results = replace(evaluation, metrics=metrics, test_scores=scores)
    assert words in plain(written(results, tmp_path / "report.html"))


def test_the_least_that_an_evaluation_has_makes_a_page(evaluation, tmp_path):
    scores = [
        replace(clip, fold=None, frame_scores=np.zeros(0, np.float32))
        for clip in evaluation.test_scores
    ]
    metrics = {
        "test": fold_blocks(scores, draws=0),
        "thresholds": {"clip": None, "frame": None, "origin": "the score file"},
        **dict.fromkeys(("validation", "partition", "localisation", "calibration", "abstention")),
        **dict.fromkeys(("robustness", "paired", "remarks", "provenance", "audit", "baseline")),
    }
    results = replace(evaluation, metrics=metrics, test_scores=scores, command=None, title=None)
    page = written(results, tmp_path / "report.html", examples=5)
    assert Page(page).open == []
    words = plain(page)
    assert "Each clip has thresholds of its own." in words
    assert "Clip by clip" in words
    assert "95 %" not in words
    assert not re.search(r"\b(nan|None|undefined|inf)\b", words)


def test_clips_whose_audio_is_gone_are_shown_without_it(run, evaluation, tmp_path):
    gone = {name: replace(clip, path=tmp_path / "gone.wav") for name, clip in run.clips.items()}
    page = written(replace(evaluation, clips=gone), tmp_path / "report.html", 3)
    assert "audio" not in Page(page).count
    assert page.count('class="example"') == 3


def test_many_remarks_are_cut_short(evaluation, tmp_path):
    metrics = evaluation.metrics | {"remarks": [f"remark {n}" for n in range(30)]}
    words = plain(written(replace(evaluation, metrics=metrics), tmp_path / "report.html", 0))
    assert "remark 7" in words
    assert "remark 8" not in words
    assert "and 22 more" in words


def test_names_of_systems_cannot_break_the_page(evaluation, tmp_path):
    paired = evaluation.metrics["paired"] | {"names": ["<b>a", "<script>alert(1)</script>"]}
    results = replace(evaluation, metrics=evaluation.metrics | {"paired": paired}, title="<i>")
    page = written(results, tmp_path / "report.html", 1)
    assert Page(page).open == []
    assert "<script>alert(1)" not in page
