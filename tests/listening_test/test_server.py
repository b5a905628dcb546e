import json
import re
import socket
from dataclasses import replace
from importlib.resources import files

import pytest
from msgspec import structs

from fakesound.data.manifest import LABELS
from fakesound.listening_test.server import MAX_BYTES
from fakesound.timeline import Region

from .conftest import ATTACKS, secret, serving


def answered(client, listener="Ann"):
    """Answer every clip and return the answers by name of the clip."""
    _, reply = client.post("join", {"listener": listener})
    answers = {}
    for number, clip in enumerate(reply["clips"]):
        sent = {"listener": listener, "clip": clip["clip"], "sureness": number % 5 + 1}
        sent["verdict"] = LABELS[number % 2]
        status, answers[clip["clip"]] = client.post("answer", sent)
        assert status == 200
    return answers


def test_no_response_reveals_the_truth(listening, client):
    answers = answered(client)
    names = [
        *listening.clips,
        "",
        "page.js",
        "screens.js",
        "waveform.js",
        "page.css",
        "nothing",
    ]
    served = [json.dumps(client.post("join", {"listener": "Ann"})).encode()]
    served += [json.dumps(answers).encode()]
    for name in [*names, *(f"audio/{name}" for name in listening.clips)]:
        for headers in ({}, {"Range": "bytes=0-99"}, {"Range": "bytes=9999999-"}):
            _, reply_headers, body = client.get(name, **headers)
            served.append(str(reply_headers).encode() + body)
    for sent in ({}, {"listener": "Ann", "clip": "1"}, {"listener": "Ann", "clip": "99"}):
        for what in ("join", "answer", "result"):
            served.append(json.dumps(client.post(what, sent)).encode())
    everything = b"\n".join(served)
    for clip in listening.clips.values():
        for word in secret(clip):
            assert word.encode() not in everything, word
    assert not re.search(rb"take\d", everything)
    # replies have the same fields for all clips
    _, reply = client.post("join", {"listener": "Zoe"})
    assert {frozenset(clip) for clip in reply["clips"]} == {frozenset({"clip", "answer"})}


def test_responses_do_not_depend_on_the_truth(listening):
    def turned(clip):
        label, attack = ("genuine", None) if clip.is_fake else ("fake", "edit/other")
        regions = () if clip.is_fake else (Region(0, clip.duration),)
        return structs.replace(clip, label=label, attack=attack, regions=regions)

    def served(test):
        with serving(test) as client:
            yield client.post("join", {"listener": "Ann"})
            for name in test.clips:
                status, headers, body = client.get(f"audio/{name}")
                del headers["Date"]
                yield status, headers.items(), body
                sent = {"listener": "Ann", "clip": name, "verdict": "fake", "sureness": 2}
                yield client.post("answer", sent)

    other = replace(listening, clips={name: turned(clip) for name, clip in listening.clips.items()})
    first = list(served(listening))
    (listening.folder / "answers.jsonl").unlink()
    assert first == list(served(other))


def test_the_page_and_its_policy(client):
    status, headers, body = client.get("")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    nonce = policy.split("'nonce-")[1].split("'")[0]
    assert f'<style nonce="{nonce}">'.encode() in body
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    # the suggested name is escaped
    assert b'value="Ann &lt;b&gt;"' in body
    assert b"//" not in body.replace(b"<!doctype html>", b"")
    for name in ("page.css", "page.js", "wavesurfer/wavesurfer.esm.js", "wavesurfer/LICENSE"):
        status, headers, body = client.get(name)
        assert status == 200
        assert headers["X-Content-Type-Options"] == "nosniff"
        folder = "report" if "/" in name else "listening_test/page"
        assert body == files("fakesound").joinpath(folder, name).read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        *("../listening_test.json", "..%2flistening_test.json", "audio/../clips.jsonl", "audio/"),
        *("audio/..%2f..%2fclips.jsonl", "/etc/passwd", "//etc/passwd", "%2e%2e/clips.jsonl"),
        *("audio//etc/passwd", "audio/1.wav", "page.html.jinja", "wavesurfer/../page.html.jinja"),
        *("clips.jsonl", "answers.jsonl", ".lock", "audio/1%00", "page.js/", "wavesurfer", "\\.."),
        *("join", "answer", "audio/99"),
    ],
)
def test_only_listed_resources_are_served(client, name):
    status, _, body = client.get(name)
    assert status == 404
    assert len(body) < 200


def test_requests_without_the_token_are_refused(client):
    token = client.server.token
    for path in (
        "/",
        "/page.js",
        f"/{token[:-1]}/",
        f"/{token}x/",
        f"/{token}",
        "*",
    ):
        status, _, body = client.ask("GET", path)
        assert status == 404, path
        assert token.encode() not in body
    assert client.ask("GET", f"/{token}/?query=1")[0] == 200
    # the absolute form is for proxies
    own = {"Host": f"localhost:{client.server.server_port}"}
    assert client.ask("GET", client.server.address, headers=own)[0] == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": "0.0.0.0"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1"},
    ],
)
def test_other_hosts_and_origins_are_refused(client, headers):
    assert client.get("", **headers)[0] == 403
    assert client.post("join", {"listener": "Ann"}, **headers)[0] == 403


def test_own_hosts_and_origins_are_served(client):
    for host in ("127.0.0.1", "localhost"):
        own = f"{host}:{client.server.server_port}"
        assert client.get("", Host=own, Origin=f"http://{own}")[0] == 200


def test_the_server_binds_to_loopback_only(client):
    assert client.server.server_address[0] == "127.0.0.1"


def raw(client, text):
    """Return the first line of the reply to bytes that no client would send."""
    where = ("127.0.0.1", client.server.server_port)
    with socket.create_connection(where, timeout=10) as connection:
        connection.sendall(text)
        return connection.makefile("rb").readline()


def test_posts_that_are_too_large_or_without_length_are_refused(client):
    assert client.post("join", b'{"a": "' + b"x" * MAX_BYTES + b'"}')[0] == 413
    own = f"Host: localhost:{client.server.server_port}\r\n"
    start = f"POST /{client.server.token}/join HTTP/1.1\r\n{own}Content-Type: application/json\r\n"
    for header, status in (
        ("", 411),
        ("Content-Length: -5", 411),
        ("Content-Length: 5, 5", 411),
        ("Content-Length: " + "0" * 30 + "99999999", 413),
        ("Content-Length: 99999999999999999999", 413),
        ("Content-Length: ²", 411),
        ("Transfer-Encoding: chunked", 411),
    ):
        line = header + "\r\n" if header else ""
        assert f" {status} ".encode() in raw(client, (start + line + "\r\n").encode("latin1")), (
            header
        )
    assert b" 501 " in raw(client, b"PUT / HTTP/1.1\r\n\r\n")
    assert b"Bad request" in raw(client, b"nonsense here and there\r\n\r\n")
    two = f"GET / HTTP/1.1\r\n{own}Host: evil\r\n\r\n"
    assert b" 403 " in raw(client, two.encode())
    # and it still serves
    assert client.get("")[0] == 200


def test_posts_of_another_type_or_shape(client):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        status, _ = client.post("join", {"listener": "Ann"}, **{"Content-Type": kind})
        assert status == 415
    for body in (b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"[" * 10_000):
        status, reply = client.post("join", body)
        assert status == 400
        assert "JSON" in reply["error"]


def test_invalid_answers_are_refused_and_not_stored(listening, client):
    good = {"listener": "Ann", "clip": "1", "verdict": "fake", "sureness": 3, "regions": []}
    for change, status, message in (
        ({"clip": "99"}, 404, "clip: '99' is not in this test"),
        ({"clip": ["1"]}, 404, "is not in this test"),
        ({"verdict": "maybe"}, 400, "verdict: 'maybe'"),
        ({"sureness": 11}, 400, "sureness: 11"),
        ({"regions": [[0, 1e9]]}, 400, "regions: [0.0, 1000000000.0]"),
        ({"listener": "x" * 99}, 400, "listener: give a name"),
    ):
        code, reply = client.post("answer", good | change)
        assert code == status
        assert message in reply["error"]
    assert not (listening.folder / "answers.jsonl").exists()
    assert client.post("answer", good)[0] == 200
    assert len((listening.folder / "answers.jsonl").read_text().splitlines()) == 1


def test_audio_whole_and_in_parts(listening, client):
    data = (listening.folder / "audio" / "1.wav").read_bytes()
    status, headers, body = client.get("audio/1")
    assert (status, headers["Accept-Ranges"], body) == (200, "bytes", data)
    for asked, first, last in (
        ("bytes=0-1", 0, 1),
        ("bytes=44-", 44, len(data) - 1),
        ("bytes=-10", len(data) - 10, len(data) - 1),
        ("bytes=5-99999999", 5, len(data) - 1),
        ("bytes=-99999999", 0, len(data) - 1),
    ):
        status, headers, body = client.get("audio/1", Range=asked)
        assert status == 206
        assert body == data[first : last + 1]
        assert headers["Content-Range"] == f"bytes {first}-{last}/{len(data)}"
    for asked in (f"bytes={len(data)}-", "bytes=9-3", "bytes=-0"):
        status, headers, body = client.get("audio/1", Range=asked)
        assert (status, body) == (416, b"")
        assert headers["Content-Range"] == f"bytes */{len(data)}"
    # an invalid range is ignored (RFC 9110)
    for asked in ("bytes=0-1,4-5", "bytes=-", "frames=0-1", "bytes=a-b", f"bytes={'9' * 5000}-"):
        assert client.get("audio/1", Range=asked)[2] == data
    status, headers, body = client.ask("HEAD", f"/{client.server.token}/audio/1")
    assert (status, headers["Content-Length"], body) == (200, str(len(data)), b"")


def test_a_listener_continues_under_the_same_name(client):
    answers = answered(client, "Ann Lee")
    status, reply = client.post("join", {"listener": " ann  lee "})
    assert status == 200
    assert reply["listener"] == "Ann Lee"
    assert {clip["clip"]: clip["answer"] for clip in reply["clips"]} == answers
    assert all(
        clip["answer"] is None for clip in client.post("join", {"listener": "B"})[1]["clips"]
    )


def test_results_are_hidden_by_default(client):
    answered(client)
    assert client.post("result", {"listener": "Ann"})[0] == 409


def test_a_result_is_shown_at_the_end_and_closes_the_answers(listening):
    with serving(listening, reveal=True) as client:
        first = client.post("join", {"listener": "Ann"})[1]["clips"][0]["clip"]
        change = {"listener": "Ann", "clip": first, "verdict": "fake", "sureness": 1}
        assert client.post("answer", change)[0] == 200
        status, reply = client.post("result", {"listener": "Ann"})
        assert (status, reply["error"]) == (409, "5 clips are still to be answered")
        answered(client)
        status, reply = client.post("result", {"listener": "Ann"})
        assert status == 200
        truth = {name: clip.label for name, clip in listening.clips.items()}
        assert {clip["clip"]: clip["truth"] for clip in reply["clips"]} == truth
        assert {clip["attack"] for clip in reply["clips"]} <= {None, *ATTACKS}
        assert client.post("answer", change)[0] == 409
    # and they stay closed
    with serving(listening) as client:
        assert client.post("answer", change)[0] == 409
        assert client.post("join", {"listener": "Ann"})[1]["finished"]
        assert client.post("answer", change | {"listener": "Bob"})[0] == 200
