"""A peer that speaks HTTP/2 by hand and does what no gRPC library would."""

from __future__ import annotations

import socket
from itertools import count

DATA, HEADERS, SETTINGS, PING, GOAWAY = 0, 1, 4, 6, 7
END_STREAM, END_HEADERS = 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_WINDOW_OF_0 = (4).to_bytes(2, "big") + bytes(4)
"""The setting INITIAL_WINDOW_SIZE: nothing may be sent to this peer, RFC 9113, section 6.5.2."""


def frame(kind: int, body: bytes, *, flags: int = 0, stream: int = 0) -> bytes:
    """An HTTP/2 frame, RFC 9113, section 4.1."""
    return len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + body


class Deaf:
    """A connection over which calls are sent in full and no answer can come back."""

    def __init__(self, address: str, seconds: float) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=seconds)
        self._socket.sendall(PREFACE + frame(SETTINGS, _WINDOW_OF_0) + frame(SETTINGS, b"", flags=1))
        self._streams = count(1, 2)

    def __enter__(self) -> Deaf:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(self, path: str, message: bytes) -> None:
        """Send a call with one message."""
        stream = next(self._streams)
        pairs = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "localhost",
            "te": "trailers",
            "content-type": "application/grpc",
        }
        block = b"".join(b"\0" + _text(name) + _text(value) for name, value in pairs.items())
        body = b"\0" + len(message).to_bytes(4, "big") + message
        self._socket.sendall(
            frame(HEADERS, block, flags=END_HEADERS, stream=stream)
            + frame(DATA, body, flags=END_STREAM, stream=stream)
        )


def _text(value: str) -> bytes:
    return bytes((len(value),)) + value.encode()
