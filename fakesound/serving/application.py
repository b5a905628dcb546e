"""Web application with a page for recordings and the endpoint ``POST /detect``.

Requests must name this machine as host and come from its own page: otherwise another site could
reach the server through the user's browser. A body is written to a temporary file as it arrives,
and one recording is scored at a time, so memory does not grow with the number or size of requests.
"""

import asyncio
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fakesound.data.audio import audio_info
from fakesound.data.containers import has_decoder
from fakesound.errors import InputError
from fakesound.inference import Detection, Detector
from fakesound.inference.formats import Result, plain
from fakesound.inference.page import page_context, recording_view
from fakesound.report.style import render

HOSTS = ("127.0.0.1", "localhost")
NAME = 200  # characters of a file name
SAFE = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; img-src data:; "
    "media-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Limits:
    """Limits of requests.

    Attributes:
        megabytes: size of a recording.
        minutes: duration of a recording.
        waiting: number of recordings that wait while one is scored.
        silence: seconds between two parts of a body.
        upload: seconds until a body must be complete.
    """

    megabytes: float = 200
    minutes: float = 120
    waiting: int = 8
    silence: float = 10
    upload: float = 120


class _Recordings:
    """Receives recordings and scores them one at a time."""

    def __init__(self, detector: Detector, limits: Limits) -> None:
        self.detector, self.limits = detector, limits
        self.scoring = asyncio.Semaphore(1)
        self.free_slots = limits.waiting + 1

    async def answer(
        self, request: Request, work: Callable[[Path, Detection], Response]
    ) -> Response:
        """Score the recording in the body of ``request`` and return the response of ``work``.

        Raises:
            HTTPException: if the request is refused.
        """
        self._check_headers(request.headers)
        if self.free_slots == 0:
            raise HTTPException(503, "busy; try again later", {"retry-after": "5"})
        self.free_slots -= 1
        try:
            with tempfile.TemporaryDirectory(prefix="fakesound-") as folder:
                path = Path(folder, _name(request))
                await self._receive(request, path)
                async with self.scoring:
                    return await anyio.to_thread.run_sync(self._score, path, work)
        finally:
            self.free_slots += 1

    def _check_headers(self, headers: Headers) -> None:
        if headers.get("content-type", "").startswith("multipart/"):
            raise HTTPException(415, "send the file itself as the body (curl --data-binary @FILE)")
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise HTTPException(400, "content-length is not a number")
        if len(length) > 15 or int(length) > self.limits.megabytes * 1e6:
            raise self._too_large()

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"larger than {self.limits.megabytes:g} MB (--max-megabytes)")

    async def _receive(self, request: Request, path: Path) -> None:
        size, body = 0, request.stream()
        end = time.monotonic() + self.limits.upload
        with path.open("wb") as file:
            while True:
                left = min(self.limits.silence, end - time.monotonic())
                try:
                    with anyio.fail_after(max(left, 0)):
                        part = await anext(body, None)
                except TimeoutError:
                    raise HTTPException(408, "the body arrived too slowly") from None
                if part is None:
                    break
                size += len(part)
                if size > self.limits.megabytes * 1e6:
                    raise self._too_large()
                file.write(part)
        if not size:
            raise HTTPException(400, "no body; send the file as the body of the request")

    def _score(self, path: Path, work: Callable[[Path, Detection], Response]) -> Response:
        try:
            if audio_info(path).duration > 60 * self.limits.minutes:
                raise HTTPException(
                    413, f"longer than {self.limits.minutes:g} minutes (--max-minutes)"
                )
            return work(path, self.detector.detect(path))
        except InputError as error:
            raise HTTPException(422, str(error).replace(str(path), path.name)) from None


def application(detector: Detector, limits: Limits, port: int) -> ASGIApp:
    """Return the application.

    Args:
        detector: trained detector.
        limits: limits of requests.
        port: port of the server, which the Host header must name.
    """
    recordings = _Recordings(detector, limits)

    async def start(request: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        context = page_context([], detector.record()) | {
            "nonce": nonce,
            "limits": limits,
            "containers": has_decoder(),
        }
        policy = {"content-security-policy": POLICY.format(nonce=nonce)}
        return HTMLResponse(render("serve.html.jinja", context), headers=policy)

    async def detect(request: Request) -> Response:
        for key in request.query_params:
            if key not in ("name", "frames"):
                raise HTTPException(400, f"{key[:NAME]}: no such parameter; there are name, frames")
        frames = request.query_params.get("frames", "false")
        if frames not in ("true", "false"):
            raise HTTPException(400, "frames must be true or false")

        def row(path: Path, detection: Detection) -> Response:
            result = plain(Result(path.name, detection), frames == "true")
            return JSONResponse(detector.record().document([result]))

        return await recordings.answer(request, row)

    async def view(request: Request) -> Response:
        def section(path: Path, detection: Detection) -> Response:
            record = detector.record()
            seen = recording_view(path, detection, record)
            context = page_context([seen], record) | {"number": secrets.token_hex(4)}
            return HTMLResponse(render("serve_recording.html.jinja", context))

        return await recordings.answer(request, section)

    routes = [
        Route("/", start, methods=["GET"]),
        Route("/detect", detect, methods=["POST"]),
        Route("/view", view, methods=["POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refuse})
    app.router.redirect_slashes = False
    return _Guard(app, port)


class _Guard:
    """Refuses requests for other hosts and from other pages, and adds security headers."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.app = app
        self.hosts = {f"{name}:{port}" for name in HOSTS}
        self.origins = {f"http://{host}" for host in self.hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                defaults = SAFE | {"content-security-policy": "default-src 'none'"}
                message["headers"] += [
                    (name.encode(), value.encode())
                    for name, value in defaults.items()
                    if name.encode() not in present
                ]
            await send(message)

        # several Host headers are ambiguous
        hosts, origins = headers.getlist("host"), set(headers.getlist("origin"))
        if len(hosts) != 1 or hosts[0] not in self.hosts or not origins <= self.origins:
            refused = JSONResponse({"error": "not a host or page of this server"}, 403)
            await refused(scope, receive, send_safe)
            return
        try:
            await self.app(scope, receive, send_safe)
        except ClientDisconnect:
            return


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    # the body may be unread, so the connection cannot be used again
    headers = {**(error.headers or {}), "connection": "close"}
    return JSONResponse({"error": error.detail}, error.status_code, headers)


def _name(request: Request) -> str:
    """Return the file name in ``?name=``, without folders and unprintable characters."""
    given = request.query_params.get("name", "recording")
    last = given.replace("\\", "/").rpartition("/")[2]
    name = "".join(letter for letter in last if letter.isprintable())[-NAME:].strip(". ")
    while len(name.encode()) > NAME:
        name = name[1:]
    return name or "recording"
