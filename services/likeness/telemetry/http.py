"""The metrics page, on a port of its own so that it can be reached without reaching the service."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from prometheus_client.exposition import choose_encoder

from likeness.domain.errors import Precondition
from likeness.telemetry.metrics import REGISTRY

PATH = "/metrics"

MAX_CONNECTIONS = 16
"""Connections that are answered at once, each by a thread of its own; the next is closed."""

MAX_SECONDS = 10.0
"""That one connection may last: a scrape takes milliseconds, and half a request must not hold a thread."""


class MetricsPage:
    """Serves /metrics over plain HTTP until closed.

    Args:
        host: the address to listen on.
        port: the port; 0 takes a free one.

    Raises:
        Precondition: the address is taken or not this machine's.
    """

    def __init__(self, host: str, port: int) -> None:
        try:
            self._server = _Server(host, port)
        except OSError as error:
            raise Precondition(
                f"The metrics page cannot listen on {host}:{port} ({error.strerror}); stop what holds the port "
                "or set metrics.address to another one.",
                reason="ADDRESS_UNAVAILABLE",
                metadata={"address": f"{host}:{port}"},
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="likeness-metrics", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop listening and wait for the thread to end."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Page(BaseHTTPRequestHandler):
    """Answers one request and closes the connection (HTTP/1.0)."""

    server_version = "likeness"
    sys_version = ""

    def do_GET(self) -> None:
        """The metrics, or that there is nothing else here."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """As `do_GET`, without the body."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        if self.path.partition("?")[0] != PATH:
            self._send(
                HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", f"only {PATH}\n".encode(), with_body
            )
            return
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        self._send(HTTPStatus.OK, content_type, encode(REGISTRY), with_body)

    def _send(self, status: HTTPStatus, content_type: str, body: bytes, with_body: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  as the library calls it
        """Nothing: a scrape is no event, and what a peer sends belongs in no log."""


class _Server(ThreadingHTTPServer):
    """A thread for each connection, of which there are few and none lasts."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int) -> None:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family = found[0][0]
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__((host, port), _Page)

    def server_bind(self) -> None:
        """Bind, without asking a name server for our own name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer on a thread, where there is a place."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, within the time that a connection has."""
        end = threading.Timer(MAX_SECONDS, _cut, (request,))
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: the peer went away, or was cut off."""


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
