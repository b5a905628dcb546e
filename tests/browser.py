"""A headless Chromium, driven through the DevTools protocol."""

import base64
import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
CODES = {
    "Enter": ("Enter", 13, "\r"),
    " ": ("Space", 32, " "),
    "Tab": ("Tab", 9, ""),
    "Home": ("Home", 36, ""),
    "Delete": ("Delete", 46, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
}

# elements that break a rule, in few words
AXE = """axe.run({ runOnly: ["wcag2a", "wcag2aa"], resultTypes: ["violations"] }).then(
    found => found.violations
        .filter(rule => ["serious", "critical"].includes(rule.impact))
        .flatMap(rule => rule.nodes.map(node => [rule.id, node.html, node.failureSummary])))"""


class Browser:
    """One tab.

    Attributes:
        problems: errors and warnings of the console, among them refused styles and scripts.
        requested: addresses of all requests.
    """

    def __init__(self, socket):
        self.socket = socket
        self.numbers = itertools.count(1)
        self.problems, self.requested = [], []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            reply = json.loads(self.socket.recv())
            if reply.get("id") == number:
                assert "error" not in reply, reply
                return reply["result"]
            self._note(reply)

    def _note(self, event):
        what, about = event["method"], event["params"]
        if what == "Network.requestWillBeSent":
            self.requested.append(about["request"]["url"])
        elif what == "Runtime.exceptionThrown":
            self.problems.append(about["exceptionDetails"])
        elif what == "Log.entryAdded" and about["entry"]["level"] in ("warning", "error"):
            self.problems.append(about["entry"])

    def open(self, address):
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def value(self, expression):
        reply = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    def wait(self, expression, seconds=30):
        end = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < end, (expression, self.value("document.body.innerText"))
            time.sleep(0.05)

    def text(self, name):
        return self.value(f"document.getElementById({name!r}).textContent")

    def press(self, *keys, shift=False):
        for key in keys:
            code, number, text = CODES.get(key, (f"Key{key.upper()}", ord(key[0].upper()), key))
            shared = {
                "key": key,
                "code": code,
                "windowsVirtualKeyCode": number,
                "modifiers": 8 * shift,
            }
            kind = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
            self.call("Input.dispatchKeyEvent", **kind, **shared)
            self.call("Input.dispatchKeyEvent", type="keyUp", **shared)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def drag(self, element, start, end):
        """Drag over an element from one share of its width to another."""
        box = self.value(f"document.getElementById({element!r}).getBoundingClientRect().toJSON()")
        steps = [start + (end - start) * part / 8 for part in range(9)]
        y = box["y"] + box["height"] / 2
        for number, share in enumerate([*steps, end]):
            kind = {0: "mousePressed", len(steps): "mouseReleased"}.get(number, "mouseMoved")
            button = {"button": "left", "buttons": 1, "clickCount": int(kind != "mouseMoved")}
            x = box["x"] + share * box["width"]
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def click(self, selector):
        """Click on the first element of ``selector`` as a user does."""
        element = f"document.querySelector({selector!r})"
        self.value(f"{element}.scrollIntoView({{ block: 'center', behavior: 'instant' }})")
        box = self.value(f"{element}.getBoundingClientRect().toJSON()")
        where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            options = where | {"type": kind, "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", **options)

    def check_accessibility(self):
        """Fail on serious and critical faults that axe-core finds (WCAG 2 A, AA) and on overflow.

        The page as it is now is checked, with all details open, wide and narrow, light and dark.
        """
        known = len(self.problems)
        package = importlib.util.find_spec("axe_playwright_python").origin
        self.value(Path(package).with_name("axe.min.js").read_text(encoding="utf-8") + "; 0")
        self.value("for (const each of document.querySelectorAll('details')) each.open = true; 0")
        for width, dark in itertools.product((1280, 420), (False, True)):
            self.size(width, 900)
            self.dark(dark)
            reply = self.call(
                "Runtime.evaluate", expression=AXE, awaitPromise=True, returnByValue=True
            )
            assert reply["result"].get("value") == [], (width, dark, reply)
            page = "document.documentElement"
            assert self.value(f"{page}.scrollWidth <= {page}.clientWidth"), (width, "overflow")
        # strict pages refuse a style of axe itself
        del self.problems[known:]

    def size(self, width, height, mobile=False, scale=1):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=mobile,
        )

    def dark(self, dark):
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextmanager
def browser(profile):
    """Yield a tab of a new Chromium whose profile is in the folder ``profile``."""
    from websocket import create_connection

    quiet = ("--headless=new", "--no-first-run", "--disable-gpu", "--mute-audio")
    offline = ("--disable-background-networking", "--disable-component-update", "--disable-sync")
    root = ("--no-sandbox",) if os.name == "posix" and os.geteuid() == 0 else ()
    process = subprocess.Popen(
        [
            *(CHROMIUM, *quiet, *offline, *root, "--disable-dev-shm-usage"),
            *("--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port_file = profile / "DevToolsActivePort"
        end = time.monotonic() + 60
        while not (port_file.is_file() and port_file.read_text().count("\n")):
            assert process.poll() is None
            assert time.monotonic() < end, "Chromium did not start"
            time.sleep(0.1)
        port = port_file.read_text().split("\n")[0]
        with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=30) as reply:
            tab = next(tab for tab in json.load(reply) if tab["type"] == "page")
        socket = create_connection(tab["webSocketDebuggerUrl"], suppress_origin=True, timeout=60)
        try:
            yield Browser(socket)
        finally:
            socket.close()
    finally:
        process.terminate()
        process.wait(30)
