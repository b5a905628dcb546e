"""The server answers good requests and refuses all others, with bounded memory."""

import asyncio
import base64
import io
import random
import re
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from fakesound import serve
from fakesound.errors import InputError
from fakesound.serving.server import bound_socket
from tests.browser import CHROMIUM, browser


def post(server, body, path="/detect", timeout=120, **options):
    return httpx.post(f"{server.url}{path}", content=body, timeout=timeout, **options)


def raw(server, request, seconds=30):
    """Return the reply of the server to bytes, until it closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        connection.sendall(request)
        answer = b""
        try:
            while part := connection.recv(65_536):
                answer += part
                if b"\r\n\r\n" in answer and b"connection: close" not in answer.lower():
                    break
        except ConnectionResetError:
            pass
        return answer


def status(answer):
    return int(answer.split(b" ")[1])


def test_a_recording_is_answered_as_detect_answers_it(server, example):
    reply = post(server, example, "/detect?name=a/b.flac&frames=true")
    assert reply.status_code == 200
    document = reply.json()
    (row,) = document["results"]
    assert document["schema"] == 1
    assert document["model"]["name"] == "default"
    assert (row["path"], row["verdict"], row["error"]) == ("b.flac", "fake", None)
    assert [round(region["onset"], 1) for region in row["regions"]] == [0.6, 2.7]
    assert len(row["frame_scores"]) == 161
    view = post(server, example, "/view?name=<b>.flac")
    assert view.status_code == 200
    assert "data:audio/flac" in view.text
    assert "<b>" not in view.text


@pytest.mark.parametrize("frames", ["maybe", "True", "1", ""])
def test_frames_other_than_true_and_false_are_refused(server, example, frames):
    reply = post(server, example, f"/detect?frames={frames}")
    assert (reply.status_code, reply.json()["error"]) == (400, "frames must be true or false")


def test_unknown_parameters_are_refused(server, example):
    reply = post(server, example, "/detect?name=a.wav&channels=1")
    assert reply.status_code == 400
    assert reply.json()["error"].startswith("channels: no such parameter")


def test_the_page_allows_its_own_script_alone(server):
    reply = httpx.get(server.url, timeout=60)
    policy = reply.headers["content-security-policy"]
    (nonce,) = re.findall(r"script-src 'nonce-([^']+)'", policy)
    assert f'<script nonce="{nonce}">' in reply.text
    assert httpx.get(server.url, timeout=60).headers["content-security-policy"] != policy
    assert reply.headers["x-frame-options"] == "DENY"
    assert "server" not in reply.headers


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
    ],
    ids=str,
)
def test_foreign_and_odd_requests_are_refused(server, headers, code):
    reply = post(server, b"x", headers=headers)
    assert reply.status_code == code
    assert set(reply.json()) == {"error"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 400),
        (b"RIFF, or so it begins", 422),
        (b"\x00" * 900_000, 422),
        (b"x" * 1_000_001, 413),
    ],
    ids=["empty", "no audio", "zeros", "large"],
)
def test_bodies_that_are_no_recording_are_refused(server, body, code):
    reply = post(server, body, "/detect?name=c.wav")
    assert reply.status_code == code
    assert "/tmp" not in reply.text


def test_long_recordings_are_refused_before_they_are_scored(server):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(16_000 * 60), 16_000, format="FLAC")
    reply = post(server, buffer.getvalue())
    assert reply.status_code == 413
    assert "minute" in reply.json()["error"]


def test_a_body_larger_than_it_declares_or_without_length_is_cut_off(server):
    head = f"POST /detect HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n".encode()
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    answer = raw(server, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 40)
    assert not answer or status(answer) == 413
    assert status(raw(server, head + b"Content-Length: 9" + b"9" * 20 + b"\r\n\r\n")) in (400, 413)
    assert status(raw(server, head + b"Content-Length: -1\r\n\r\n")) == 400
    assert status(raw(server, b"NONSENSE\r\n\r\n")) == 400
    long = b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n"
    assert not (answer := raw(server, long)) or status(answer) in (400, 403, 414)


def test_silent_connections_are_closed(server):
    head = f"POST /detect HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    begun = [b"", head.encode(), f"{head}Content-Length: 100000\r\n\r\nabc".encode()]
    start = time.monotonic()
    with ThreadPoolExecutor(len(begun)) as pool:
        answers = list(pool.map(lambda text: raw(server, text, seconds=60), begun))
    assert time.monotonic() - start < 50
    for answer in answers:
        assert not answer or status(answer) == 408


NAMES = (
    *("../../etc/passwd", "..\\..\\x.wav", "a\x00b", "\u202egnp.exe", "x" * 5000, "", "."),
    *("<script>alert(1)</script>", "%2e%2e%2f", "\U0001f600" * 300, "con", "-rf"),
)


def hostile(rng, server, example):
    """Return a request with one of many faults, and its possible replies."""
    kind = rng.randrange(6)
    path, headers, body = "/detect", {}, bytes(rng.randrange(256) for _ in range(200))
    if kind == 0:
        headers = {"host": rng.choice(["evil.example", f"localhost.evil:{server.port}", ""])}
    elif kind == 1:
        headers = {"origin": rng.choice(["https://evil.example", "null", "file://"])}
    elif kind == 2:
        path = "/detect?" + str(httpx.QueryParams({"name": rng.choice(NAMES)}))
    elif kind == 3:
        cut = rng.randrange(1, len(example) // 2)
        body = b"fLaC" + example[cut : cut + 50_000]
    elif kind == 4:
        body = b"x" * (1_000_000 + rng.randrange(1, 100_000))
    else:
        path = rng.choice(["/detect/..", "/%00", "/view/", "/static/x", "/detectx"])
    return path, headers, body


async def attack(server, example, count):
    """Send ``count`` hostile requests, many at once, and good ones among them."""
    rng, limit = random.Random(0), asyncio.Semaphore(24)
    codes = []
    async with httpx.AsyncClient(base_url=server.url, timeout=300) as client:

        async def bad():
            path, headers, body = hostile(rng, server, example)
            async with limit:
                try:
                    reply = await client.post(path, content=body, headers=headers)
                    codes.append(reply.status_code)
                except httpx.TransportError:  # closed before all was sent
                    codes.append(0)

        async def good():
            for _ in range(200):
                async with limit:
                    reply = await client.post("/detect", content=example)
                if reply.status_code != 503:
                    return reply
                await asyncio.sleep(0.3)
            return reply

        tasks = [bad() for _ in range(count)] + [good() for _ in range(max(2, count // 100))]
        rng.shuffle(tasks)
        answers = await asyncio.gather(*tasks)
    return codes, [answer for answer in answers if answer is not None]


def resident(server):
    text = Path(f"/proc/{server.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_hostile_requests_change_nothing(server, example, count):
    expected = post(server, example).json()["results"][0]["score"]
    before = resident(server)
    codes, answers = asyncio.run(attack(server, example, count))
    assert len(codes) == count
    assert set(codes) <= {0, 400, 403, 404, 405, 413, 415, 422, 503}
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert {answer.json()["results"][0]["score"] for answer in answers} == {expected}
    assert server.process.poll() is None
    assert resident(server) - before < 150e6


DROP = """((name, text) => {
    const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name));
    document.dispatchEvent(new DragEvent("drop", { dataTransfer, cancelable: true }));
})"""


def drop(tab, name, data):
    tab.value(f"{DROP}({name!r}, {base64.b64encode(data).decode()!r})")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_dropped_file_ends_in_a_part_that_plays(server, example, tmp_path):
    pytest.importorskip("websocket")
    with browser(tmp_path) as tab:
        tab.open(server.url)
        tab.check_accessibility()
        drop(tab, "example.flac", example)
        tab.wait("document.querySelectorAll('.recording[data-ready]').length === 1", 120)
        tab.check_accessibility()
        tab.click(".regions button")
        tab.wait("document.querySelector('audio').currentTime > 0.7")
        drop(tab, "broken.wav", b"no audio")
        tab.wait("document.getElementById('status').className === 'unseen'")
        assert tab.text("status").startswith("broken.wav")
        assert all(url.startswith((server.url, "data:", "blob:")) for url in tab.requested)
        assert [problem for problem in tab.problems if "422" not in str(problem)] == []


@pytest.mark.parametrize(
    "arguments", [["--port", "70000"], ["--max-megabytes", "0"], ["--max-waiting", "-1"]]
)
def test_wrong_options_name_themselves(arguments):
    with pytest.raises(InputError, match=arguments[0]):
        serve._check(serve.build_parser().parse_args(arguments))


def test_connections_wait_until_the_server_runs():
    with bound_socket(0) as bound:
        socket.create_connection(bound.getsockname(), timeout=5).close()
        with pytest.raises(InputError, match="cannot be opened"):
            bound_socket(bound.getsockname()[1])
