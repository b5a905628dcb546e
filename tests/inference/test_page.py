"""The page of detections, as HTML and in a browser."""

import numpy as np
import pytest
import soundfile

from fakesound.inference import Detection, FakeRegion
from fakesound.inference.formats import Result
from fakesound.inference.page import recording_view, write_page
from fakesound.inference.record import Record
from tests.browser import CHROMIUM, browser

RATE = 16_000
RECORD = Record(
    "mine", "ab" * 32, "cd" * 32, "onnx", 0.5, 0.5, 0.6, 0.5, "2026-01-31T12:00:00+00:00"
)
NAME = '<img src=x onerror="alert(1)">.wav'


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Write the page of a fake, a genuine recording and a file that could not be read."""
    folder = tmp_path_factory.mktemp("page")
    rng = np.random.default_rng(0)
    results = []
    for name, score, regions in (
        (NAME, 0.9, (FakeRegion(0.5, 1.0, 0.95), FakeRegion(1.5, 1.6, 0.8))),
        ("b.wav", 0.2, ()),
    ):
        soundfile.write(folder / name, rng.normal(0, 0.1, 2 * RATE), RATE)
        frames = np.full(100, 0.1, np.float32)
        for region in regions:
            frames[round(region.onset / 0.02) : round(region.offset / 0.02)] = region.score
        verdict = "fake" if regions else "genuine"
        results.append(
            Result(str(folder / name), Detection(verdict, score, regions, 2.0, 0.02, frames))
        )
    results.append(Result("x.wav", error="x.wav: not audio"))
    write_page(results, folder / "page.html", RECORD)
    return folder / "page.html"


def test_the_page_shows_detections_and_escapes_names(page):
    text = page.read_text("utf-8")
    assert text.count('class="recording"') == 2
    assert text.count("data:audio/flac") == 2
    assert NAME not in text
    assert "x.wav: not audio" in text
    assert "default-src 'none'" in text


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_parts_play_and_probabilities_follow_the_prior(page, tmp_path):
    pytest.importorskip("websocket")
    with browser(tmp_path) as tab:
        tab.open(page.as_uri())
        tab.wait("document.querySelectorAll('.recording[data-ready]').length === 2")
        tab.click(".regions button")
        # it plays the part, and stops at its end
        tab.wait("document.querySelector('audio').currentTime >= 0.99")
        tab.wait("document.querySelector('audio').paused")
        assert tab.value("document.querySelector('audio').currentTime") == pytest.approx(1, abs=0.2)
        # 90 % at even odds are 8 % where one in a hundred is fake
        tab.value(
            "(slider => { slider.value = 3; slider.dispatchEvent(new Event('input')); })"
            "(document.getElementById('prior'))"
        )
        assert tab.text("prior-share") == "1\N{NO-BREAK SPACE}%"
        posterior = tab.value("document.querySelector('.recording .posterior').textContent")
        assert posterior == "8\N{NO-BREAK SPACE}%"
        wide = "document.querySelector('.wave').firstElementChild.shadowRoot"
        wide += ".querySelector('.wrapper').clientWidth"
        before = tab.value(wide)
        tab.value(
            "(zoom => { zoom.value = 60; zoom.dispatchEvent(new Event('input')); })"
            "(document.querySelector('.zoom'))"
        )
        tab.wait(f"{wide} > 1.5 * {before}")
        # sorted by score, ascending
        tab.value("document.querySelectorAll('.sortable button')[2].click()")
        assert tab.value("document.querySelector('.sortable tbody th').textContent").endswith(
            "b.wav"
        )
        for width in (1280, 420):
            tab.size(width, 800, mobile=width < 600)
            assert not tab.value("document.documentElement.scrollWidth > innerWidth")
        nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
        named = {
            node["name"]["value"]
            for node in nodes
            if not node["ignored"] and node["role"]["value"] in ("button", "slider")
        }
        assert "" not in named
        assert any(name.startswith("Share of fakes") for name in named)
        assert tab.problems == []


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_the_page_is_accessible(page, tmp_path):
    pytest.importorskip("websocket")
    with browser(tmp_path) as tab:
        tab.open(page.as_uri())
        tab.wait("document.querySelectorAll('.recording[data-ready]').length === 2")
        tab.check_accessibility()


@pytest.mark.parametrize(
    ("verdict", "kind", "whole"),
    [("fake", "whole", True), ("fake", "part", False), ("uncertain", "whole", False)],
)
def test_kind_and_similar_attacks_are_stated_of_fakes_only(tmp_path, verdict, kind, whole):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(RATE), RATE)
    frames = np.full(50, 0.9, np.float32)
    detection = Detection(
        verdict, 0.9, (FakeRegion(0.2, 0.6, 0.9),), 1.0, 0.02, frames,
        kind=kind, attack_family="vc",
    )  # fmt: skip
    view = recording_view(path, detection, RECORD)
    assert view.whole == whole
    similar = view.facts.get("most similar attacks")
    assert similar == ("voice conversion" if verdict == "fake" else None)
