"""Web server of a listening test, on loopback only, with a fixed list of resources.

Pages of other sites could try to reach it through the listener's browser. A random token in the
URL, and checks of Host and Origin against DNS rebinding, prevent this.
"""

import json
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fakesound.data.location import read_bytes
from fakesound.errors import InputError
from fakesound.listening_test.pages import STATIC, page
from fakesound.listening_test.session import ClosedError, Session, UnknownClipError

HOST = "127.0.0.1"
MAX_BYTES = 16_384  # of an answer; 100 marks need 4,000
TIMEOUT = 30  # seconds until a silent connection is closed
RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
SAFE = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# wavesurfer.js adds an inline style, which needs the nonce
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src data:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Reply:
    """Response with status, content type, body and headers."""

    status: int
    kind: str
    body: bytes
    headers: Mapping[str, str]


class Refusal(Exception):  # noqa: N818 - not an error of the program
    """Refused request: the status is the reason, the text names the fix."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class ListeningServer(ThreadingHTTPServer):
    """Server of one session; its threads end with the process.

    Args:
        session: running test.
        port: number of the port; 0 for any free port.
        listener: name that the page suggests.

    Raises:
        InputError: if the port cannot be opened.
    """

    daemon_threads = True

    def __init__(self, session: Session, port: int, listener: str = "") -> None:
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise InputError(
                f"--port={port}: cannot be opened ({error.strerror}); choose another, or 0"
            ) from None
        self.session, self.listener = session, listener
        self.token = secrets.token_urlsafe(24)
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}

    @property
    def address(self) -> str:
        """URL of the page."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore connections that a browser closed early; report other errors."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server: ListeningServer
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT

    def do_GET(self) -> None:
        self._serve(self._get)

    def do_HEAD(self) -> None:
        self._serve(self._get)

    def do_POST(self) -> None:
        self._serve(self._post)

    def _serve(self, work: Callable[[str], Reply]) -> None:
        try:
            self._check_origin()
            self._send(work(self._below_token()))
        except Refusal as refusal:
            self._refuse(refusal.status, str(refusal))

    def _check_origin(self) -> None:
        # several Host headers are ambiguous
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0] not in self.server.hosts:
            raise Refusal(403, "not a host of this test")
        allowed = {f"http://{host}" for host in self.server.hosts}
        if not set(self.headers.get_all("Origin", [])) <= allowed:
            raise Refusal(403, "not a page of this test")

    def _below_token(self) -> str:
        """Return the part of the path after the token, without decoding it."""
        before, *parts = self.path.partition("?")[0].split("/", 2)
        token = parts[0] if len(parts) == 2 and not before else ""
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            raise Refusal(404, "not found; open the complete URL that the terminal shows")
        return parts[1]

    def _get(self, name: str) -> Reply:
        if name == "":
            nonce = secrets.token_urlsafe(16)
            test = self.server.session.test
            text = page(nonce, self.server.listener, len(test.clips), test.settings.thirds)
            policy = {"Content-Security-Policy": POLICY.format(nonce=nonce)}
            return Reply(200, "text/html; charset=utf-8", text.encode(), policy)
        if name in STATIC:
            kind, body = STATIC[name]
            return Reply(200, kind, body, {})
        if name.startswith("audio/"):
            return self._audio(name.removeprefix("audio/"))
        raise Refusal(404, "not found")

    def _audio(self, name: str) -> Reply:
        clip = self.server.session.test.clips.get(name)
        if clip is None:
            raise Refusal(404, "no such clip in this test")
        try:
            data = read_bytes(clip.location)
        except (InputError, OSError):
            raise Refusal(500, "the clip cannot be read") from None
        byte_range = RANGE.fullmatch(self.headers.get("Range", ""))
        if byte_range is None or byte_range.groups() == ("", ""):
            return Reply(200, "audio/wav", data, {"Accept-Ranges": "bytes"})
        first, last = _part(byte_range[1], byte_range[2], len(data))
        if first > last:
            headers = {"Content-Range": f"bytes */{len(data)}", "Accept-Ranges": "bytes"}
            return Reply(416, "audio/wav", b"", headers)
        headers = {"Content-Range": f"bytes {first}-{last}/{len(data)}", "Accept-Ranges": "bytes"}
        return Reply(206, "audio/wav", data[first : last + 1], headers)

    def _post(self, name: str) -> Reply:
        session = self.server.session
        works = {"join": session.join, "answer": session.answer, "result": session.result}
        if name not in works:
            raise Refusal(404, "not found")
        try:
            return _json(200, works[name](self._sent()))
        except InputError as error:
            raise Refusal(400, str(error)) from None
        except UnknownClipError as error:
            raise Refusal(404, str(error)) from None
        except ClosedError as error:
            raise Refusal(409, str(error)) from None
        except OSError as error:
            raise Refusal(500, f"the answer could not be written ({error})") from None

    def _sent(self) -> Mapping[str, Any]:
        if self.headers.get_content_type() != "application/json":
            raise Refusal(415, "send application/json")
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            raise Refusal(411, "give the length in Content-Length")
        if len(length) > len(str(MAX_BYTES)) or int(length) > MAX_BYTES:
            raise Refusal(413, f"more than {MAX_BYTES} bytes")
        body = self.rfile.read(int(length))
        try:
            sent = json.loads(body)
        except (ValueError, RecursionError):
            raise InputError("the request is not JSON") from None
        if not isinstance(sent, dict):
            raise InputError("the request is not a JSON object")
        return sent

    def _refuse(self, status: int, text: str) -> None:
        # the body may be unread, so the connection cannot be used again
        self.close_connection = True
        self._send(_json(status, {"error": text}))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        headers = {"Content-Type": reply.kind, "Content-Length": str(len(reply.body))}
        policy = {"Content-Security-Policy": "default-src 'none'"}
        for key, value in (headers | SAFE | policy | dict(reply.headers)).items():
            self.send_header(key, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse malformed requests and other methods with JSON."""
        self._refuse(code, message or "not served")

    def version_string(self) -> str:
        """Return the name of the server, without versions."""
        return "fakesound"

    def log_message(self, format: str, *args: object) -> None:
        """Log no requests: the terminal shows only the URL and the summary."""


def _part(first: str, last: str, length: int) -> tuple[int, int]:
    """Return the first and last byte of a range; an empty range has first > last."""
    if not first:
        return max(0, length - int(last)), length - 1 if int(last) else -1
    return int(first), min(int(last or length), length - 1)


def _json(status: int, content: object) -> Reply:
    body = json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    return Reply(status, "application/json", body, {})
