import json
import re
from html.parser import HTMLParser

import pytest

from fakesound.reporting import read_run, write_report


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
