"""A socket in the home, on which the process that has the store open takes acts of operators for the record.

No second process may write to the audit. So a command of an operator asks the one that does; which user of the
system it runs as, the kernel says. An act is a line of JSON, and so is its answer.
"""

from __future__ import annotations

import json
import logging
import os
import pwd
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from likeness.domain.audit import AuditEntry, JsonValue
from likeness.domain.errors import InvalidInput, LikenessError, Unavailable
from likeness.domain.operators import HostAct, HostUser, entry_of
from likeness.domain.storage import AuditReceipt
from likeness.domain.text import unprintable_at
from likeness.store.places import ACTS

MAX_OPERATOR = 256
"""Characters of the name that an operator gives."""

MAX_LINE_BYTES = 64 << 10
READ_SECONDS = 5.0
"""Within which an act must have been sent."""

_CREDENTIALS = struct.Struct("3i")
_NO_LOGIN = 2**32 - 1

logger = logging.getLogger(__name__)

Record = Callable[[AuditEntry], AuditReceipt]


def user_of(process: int, user: int) -> HostUser:
    """A user of this system by number, and who logged in, of whom a process of theirs is."""
    try:
        login = int(Path(f"/proc/{process}/loginuid").read_text(encoding="ascii"))
    except (OSError, ValueError):  # the kernel does not audit, or the process has ended
        login = _NO_LOGIN
    return HostUser(_name_of(user), "" if login in {user, _NO_LOGIN} else _name_of(login))


def check_operator(name: str) -> None:
    """Check the name that an operator gives.

    Raises:
        InvalidInput: it is too long or holds a control character.
    """
    if len(name) > MAX_OPERATOR or unprintable_at(name) is not None:
        raise InvalidInput(
            f"The operator's name must have at most {MAX_OPERATOR} characters and no control character."
        )


class ActSocket:
    """Takes acts for the record until it is closed. Only the user of this process and root can reach it."""

    def __init__(self, home: Path, record: Record) -> None:
        """Listen in a home that this process has locked.

        Raises:
            OSError: that is not possible there.
        """
        self._path = home / ACTS
        self._path.unlink(missing_ok=True)  # of a process that was killed
        with _address(home) as address:
            self._server = _Server(address, record)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="likeness-act-socket", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Take no more; answers those that were begun."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


def hand_over(
    home: Path,
    act: HostAct,
    operator: str,
    *,
    filters: Mapping[str, JsonValue],
    details: Mapping[str, JsonValue],
    seconds: float,
) -> AuditReceipt | None:
    """Have the process that has the store of a home open put an act on record; None where none takes acts.

    Args:
        home: of the store.
        act, operator, filters, details: as of `entry_of`.
        seconds: that it may take.

    Raises:
        LikenessError: it was refused, or not answered in time.
    """
    asked = {"filters": dict(filters), "details": dict(details)}
    line = json.dumps({"act": act, "operator": operator, **asked})
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(seconds)
        try:
            with _address(home) as address:
                peer.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise Unavailable(
                f"The service that has {home} open cannot be asked to put the act on record: {error.strerror}. Run "
                "the command as the service's user, or as root."
            ) from error
        try:
            peer.sendall(line.encode() + b"\n")
            with peer.makefile("rb") as file:
                answer = dict(json.loads(file.readline(MAX_LINE_BYTES)))
        except (OSError, ValueError, TypeError) as error:
            raise Unavailable(
                f"The service that has {home} open did not say that the act is on record. See whether it is "
                "(`likeness audit show`) before the command is run again."
            ) from error
    if "reason" in answer:
        raise Unavailable(str(answer["message"]), reason=str(answer["reason"]))
    return AuditReceipt(int(answer["position"]), bytes.fromhex(answer["digest"]))


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = False  # an act that was begun is answered before the store is closed

    def __init__(self, address: str, record: Record) -> None:
        super().__init__(address, _Taking, bind_and_activate=False)
        self.record = record
        try:
            self.server_bind()
            Path(address).chmod(0o600)  # before anybody can connect
            self.server_activate()
        except BaseException:
            self.server_close()
            raise

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log that a peer went away."""
        logger.warning("An act for the record was not answered.", exc_info=True)


class _Taking(socketserver.StreamRequestHandler):
    """One act."""

    timeout = READ_SECONDS
    server: _Server

    def handle(self) -> None:
        """Put it on record, and say where."""
        process, user, _ = _CREDENTIALS.unpack(
            self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        try:
            line = self.rfile.readline(MAX_LINE_BYTES + 1)
            receipt = self.server.record(_parsed(line, user_of(process, user)))
            answer = {"position": receipt.position, "digest": receipt.digest.hex()}
        except LikenessError as error:
            answer = {"reason": error.reason, "message": error.message}
        self.wfile.write(json.dumps(answer).encode() + b"\n")


def _parsed(line: bytes, user: HostUser) -> AuditEntry:
    """The entry of an act that was sent.

    Raises:
        InvalidInput: it is none.
    """
    try:
        if len(line) > MAX_LINE_BYTES:
            raise ValueError(f"more than {MAX_LINE_BYTES} bytes")
        sent = json.loads(line)
        act, operator = HostAct(sent["act"]), str(sent["operator"])
        filters, details = dict(sent["filters"]), dict(sent["details"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInput(f"This is not an act of an operator: {error}.") from error
    check_operator(operator)
    return entry_of(act, user, operator, filters=filters, details=details)


@contextmanager
def _address(home: Path) -> Iterator[str]:
    """The socket's path by an open folder: an address has room for 107 bytes, and a path may have more."""
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{ACTS}"
    finally:
        os.close(folder)


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # as in a container whose user has no name
        return str(user)
