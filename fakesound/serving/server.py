"""Server of the application: loopback only, with limits on connections and on waiting."""

import asyncio
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from fakesound.errors import InputError
from fakesound.inference import Detector
from fakesound.progress import print_line
from fakesound.serving.application import HOSTS, Limits, application

CONNECTIONS = 64  # open at the same time
HEAD_SECONDS = 10.0  # for the head of the first request
HEAD_BYTES = 16_384


class TimeoutProtocol(H11Protocol):
    """HTTP/1.1 that closes connections without a request after `HEAD_SECONDS`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout of the head of the first request."""
        super().connection_made(transport)
        self.loop.call_later(HEAD_SECONDS, self._close_if_silent)

    def _close_if_silent(self) -> None:
        # typed as never None there
        if not self.cycle and not self.transport.is_closing():
            self.transport.close()


def bound_socket(port: int) -> socket.socket:
    """Return a socket that listens on ``port`` of the loopback address.

    Raises:
        InputError: if the port cannot be opened.
    """
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOSTS[0], port))
        # now, so that the printed address can be opened before the server accepts connections
        bound.listen()
    except OSError as error:
        bound.close()
        raise InputError(
            f"--port={port}: cannot be opened ({error.strerror}); choose another, or 0"
        ) from None
    return bound


def server(detector: Detector, limits: Limits, port: int) -> uvicorn.Server:
    """Return the server of the application for a socket on ``port``."""
    config = uvicorn.Config(
        application(detector, limits, port),
        http=TimeoutProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=HEAD_BYTES,
    )
    return uvicorn.Server(config)


def serve(detector: Detector, limits: Limits, port: int) -> None:
    """Serve until the program is stopped."""
    bound = bound_socket(port)
    port = bound.getsockname()[1]
    print_line(f"http://{HOSTS[0]}:{port}/   stop with Ctrl-C")
    server(detector, limits, port).run(sockets=[bound])
