import json
import time

import pytest

from fakesound.metrics import read_scores
from tests.browser import CHROMIUM, browser

from .conftest import serving

pytest.importorskip("websocket")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
LOADED = (
    "!document.getElementById('trial').hidden && "
    "/[1-9]/.test(document.getElementById('clock').textContent)"
)
DASH, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"
OUTLINE = """(reached => getComputedStyle(
    reached.matches('.choice input') ? reached.nextElementSibling : reached
).outlineStyle)(document.activeElement)"""
REACHED = "(e => e.id || e.value || e.textContent)(document.activeElement)"


@pytest.fixture
def tab(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as result:
        yield result


def play(tab):
    tab.press(" ")
    tab.wait("document.getElementById('play-text').textContent === 'Pause'")
    time.sleep(0.2)
    tab.press(" ")
    tab.wait("document.getElementById('play-text').textContent === 'Play'")


def ready(tab, number):
    tab.wait(f"document.getElementById('where').textContent === 'Clip {number} of 6'")
    tab.wait(LOADED)
    # the ruler is drawn last
    time.sleep(0.1)


def test_a_listener_takes_the_test_by_keyboard(listening, tab):
    with serving(listening, reveal=True) as client:
        address = client.server.address
        tab.open(address)
        tab.wait("document.activeElement.id === 'name'")
        tab.value("document.getElementById('name').value = ''")
        tab.type("Zoë")
        tab.press("Enter")
        ready(tab, 1)
        # no answer counts before the clip was played and a verdict chosen
        tab.press("Enter")
        assert "Listen first" in tab.text("said")
        play(tab)
        tab.press("Enter")
        assert "Genuine or fake" in tab.text("said")
        tab.press("f", "Enter")
        assert "How sure" in tab.text("said")
        assert tab.text("where") == "Clip 1 of 6"
        # a part marked by keys, and one removed again
        tab.press("Home", *["ArrowRight"] * 2, "i", *["ArrowRight"] * 3, "o")
        tab.press("ArrowRight", "i", *["ArrowRight"] * 2, "o")
        assert tab.value("document.querySelectorAll('#marks li').length") == 2
        tab.press("Delete", "5")
        assert tab.text("marks") == f"0.20{DASH}0.50 s{TIMES}"
        # what is half done survives a reload
        tab.open(address)
        ready(tab, 1)
        assert tab.text("marks") == f"0.20{DASH}0.50 s{TIMES}"
        tab.press("Enter")
        # a part marked by dragging
        ready(tab, 2)
        play(tab)
        tab.drag("wave", 0.25, 0.5)
        tab.press("f", "2", "Enter")
        ready(tab, 3)
        play(tab)
        tab.press("f", "3", "Enter")
        # a changed mind; marks of a genuine clip do not count
        ready(tab, 4)
        tab.press("b")
        ready(tab, 3)
        tab.press("Home", "i", "ArrowRight", "o", "g", "4")
        assert "do not count" in tab.text("marks-note")
        tab.press("Enter")
        ready(tab, 4)
        first_half = client.post("join", {"listener": "zoë"})[1]["clips"]
    # another day, another server on the same folder
    with serving(listening, reveal=True) as client:
        tab.open(client.server.address)
        tab.wait("document.activeElement.id === 'name'")
        tab.value("document.getElementById('name').value = ''")
        tab.type("zoë")
        tab.press("Enter")
        for number in (4, 5, 6):
            ready(tab, number)
            play(tab)
            tab.press("g", "1", "Enter")
        tab.wait("!document.getElementById('end').hidden")
        assert "Thank you, Zoë." in tab.value("document.getElementById('end').innerText")
        tab.value("document.getElementById('reveal').click()")
        tab.wait("!document.getElementById('result').hidden")
        assert "right about" in tab.text("result")
        tab.check_accessibility()
        tab.value("document.getElementById('other').click()")
        tab.wait("document.activeElement.id === 'name' && !document.activeElement.value")
        addresses = {client.server.address, address}
    assert tab.problems == []
    origins = tuple(addresses) + tuple(f"blob:{where[:22]}" for where in addresses)
    assert [url for url in tab.requested if not url.startswith((*origins, "data:,"))] == []
    order = listening.order("Zoë")
    assert [clip["clip"] for clip in first_half] == order
    ids = [listening.clips[name].clip_id for name in order]
    rows = [
        json.loads(row) for row in (listening.folder / "answers.jsonl").read_text().splitlines()
    ]
    assert [row.get("clip_id") for row in rows] == [*ids[:3], *ids[2:], None]
    result = {
        clip.clip_id: clip for clip in read_scores(listening.folder / "scores" / "listeners.jsonl")
    }
    assert [result[name].score for name in ids] == [0.95, 0.65, 0.15, 0.45, 0.45, 0.45]
    marked = result[ids[0]].frame_scores > 0.5
    assert marked.nonzero()[0].tolist() == list(range(10, 25))
    ((start, end),) = rows[1]["regions"]
    seconds = result[ids[1]].duration
    assert (start / seconds, end / seconds) == pytest.approx((0.25, 0.5), abs=0.03)


def test_the_page_fits_a_phone_and_every_control_has_a_name(listening, tab):
    with serving(listening) as client:
        tab.size(360, 740, mobile=True)
        tab.open(client.server.address)
        tab.wait("document.activeElement.id === 'name'")
        wide = "document.documentElement.scrollWidth > innerWidth"
        assert not tab.value(wide)
        tab.press("Enter")
        ready(tab, 1)
        play(tab)
        tab.press("f", "3", "Home", "i", *["ArrowRight"] * 4, "o")
        assert not tab.value(wide)
        nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
        named = {
            (node["role"]["value"], node["name"]["value"])
            for node in nodes
            if not node["ignored"] and node["role"]["value"] in ("button", "radio", "progressbar")
        }
        assert all(name for _, name in named)
        assert {
            *(
                ("button", f"Play mark 1, 0.00{DASH}0.40 s"),
                ("button", f"Remove mark 1, 0.00{DASH}0.40 s"),
            ),
            *(("radio", "Genuine G"), ("radio", "Fake F"), ("progressbar", "Clips answered")),
        } <= named
        # in the order of the page, and where the focus is can be seen
        tab.value("document.getElementById('where').focus()")
        reached = []
        for _ in range(8):
            tab.press("Tab")
            reached.append(tab.value(REACHED))
            assert tab.value(OUTLINE) == "solid", reached
        marks = [f"0.00{DASH}0.40 s", TIMES]
        assert reached == ["leave", "play", "in", "out", *marks, "fake", "3"]


def test_the_first_screens_are_accessible(listening, tab):
    with serving(listening) as client:
        tab.open(client.server.address)
        tab.wait("document.activeElement.id === 'name'")
        tab.check_accessibility()
        tab.press("Enter")
        ready(tab, 1)
        play(tab)
        tab.press("f", "3", "Home", "i", *["ArrowRight"] * 4, "o")
        tab.check_accessibility()
        assert tab.problems == []
