"""The public keys of an issuer of tokens: of a file, or fetched from its address without holding up a call."""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import jwt
from cryptography.exceptions import UnsupportedAlgorithm

from likeness.domain.errors import Precondition, Unavailable
from likeness.telemetry import logs

MAX_BYTES = 1 << 20
"""Of a set of keys; a large issuer has a dozen keys, some kilobytes."""
REFRESH_SECONDS = 300.0
"""After which the keys of an address are fetched again: a key that was withdrawn is not taken for longer."""
LEAST_SECONDS = 10.0
"""Between two fetches that an unknown key asks for, so that strange tokens cannot make us ask all the time."""
FETCH_SECONDS = 10.0
"""That one fetch may take."""
MAX_AGE_SECONDS = 3600.0
"""Since keys were last found at their place, after which none of them is taken: whoever keeps us from the issuer,
or damages a file, must not keep a withdrawn key in force. Few tokens live longer than that."""

_logger = logging.getLogger(__name__)

Keys = Mapping[str, jwt.PyJWK]


class TokenKeys(Protocol):
    """Finds the key that a token names."""

    def find(self, identifier: str) -> jwt.PyJWK | None:
        """The key; without an identifier, the only one that there is. None where there is none.

        Raises:
            Unavailable: that is not known yet; the same call may succeed a little later.
        """

    def close(self) -> None:
        """End what runs in the background."""


def keys_of(place: str) -> TokenKeys:
    """The keys of a file, or of an address.

    Raises:
        Precondition: the file cannot be read or is no set of keys, or the address is not of https.
    """
    address = urlsplit(place)
    if address.scheme in {"http", "https"}:
        if address.scheme == "http" and address.hostname not in {"127.0.0.1", "localhost", "::1"}:
            raise Precondition(
                f"token.keys {place} can be changed by whoever is on the way to it; give an https URL or a file.",
                reason="TOKEN_KEYS_UNFIT",
            )
        return KeysOfAddress(place)
    return KeysOfFile(Path(place))


class KeysOfFile:
    """A file of keys, read again when it has changed.

    While what stands in it is unfit, what was read before is in force, for `MAX_AGE_SECONDS`; a file that is gone
    was withdrawn, and so are its keys.

    Raises:
        Precondition: it cannot be read, or is no set of keys.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = self._taken = self._stamped()
        self._keys = self._read()
        self._confirmed = time.monotonic()

    def find(self, identifier: str) -> jwt.PyJWK | None:
        """See `TokenKeys`."""
        stamp = self._stamped()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._keys = self._read()
                self._taken = stamp
            except Precondition as error:
                logs.event(_logger, logging.ERROR, "keys of tokens not taken", reason=error.reason)
        if stamp == self._taken:
            self._confirmed = time.monotonic()
        if stamp is None or _is_old(self._confirmed):
            raise Unavailable(
                "The file of the keys that tokens are checked with is gone or unfit; ask the operator of this "
                "service, who finds what is wrong in its log.",
                reason="TOKEN_KEYS_UNAVAILABLE",
            )
        return _found(self._keys, identifier)

    def close(self) -> None:
        """Nothing runs."""

    def _read(self) -> Keys:
        try:
            with self._path.open("rb") as file:
                return parse(file.read(MAX_BYTES + 1), str(self._path))
        except OSError as error:
            raise Precondition(
                f"token.keys {self._path} cannot be read: {error.strerror}.", reason="TOKEN_KEYS_UNFIT"
            ) from error

    def _stamped(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns


class KeysOfAddress:
    """Keys that a thread of its own fetches, first at once; they are in force for `MAX_AGE_SECONDS`."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._taken: tuple[Keys, float] | None = None  # and when they were fetched
        self._tried = -LEAST_SECONDS
        self._closed = False
        self._wake = threading.Condition()
        self._asked = False
        self._thread = threading.Thread(target=self._run, name="likeness-token-keys", daemon=True)
        self._thread.start()

    def find(self, identifier: str) -> jwt.PyJWK | None:
        """See `TokenKeys`; a key that is not known is asked for."""
        taken = self._taken
        keys = taken[0] if taken is not None and not _is_old(taken[1]) else None
        found = _found(keys, identifier) if keys is not None else None
        if found is None and (keys is None or time.monotonic() - self._tried >= LEAST_SECONDS):
            with self._wake:
                self._asked = True
                self._wake.notify()
            raise Unavailable(
                "The keys that tokens are checked with are being fetched; send the call again in a moment.",
                reason="TOKEN_KEYS_UNAVAILABLE",
            )
        return found

    def close(self) -> None:
        """Let the thread end after what it is at."""
        with self._wake:
            self._closed = True
            self._wake.notify()

    def _run(self) -> None:
        while not self._closed:
            try:
                self._taken = parse(_fetch(self._address), self._address), time.monotonic()
            except Exception as error:  # the thread must outlive whatever an issuer answers
                logs.event(_logger, logging.ERROR, "keys of tokens not taken", error=error)
            self._tried = time.monotonic()
            with self._wake:
                self._asked = False
                if not self._closed:
                    self._wake.wait_for(lambda: self._asked or self._closed, REFRESH_SECONDS)
                pause = self._tried + LEAST_SECONDS - time.monotonic()
                if not self._closed and pause > 0:
                    self._wake.wait_for(lambda: self._closed, pause)


def parse(data: bytes, place: str) -> Keys:
    """The public keys of a JSON Web Key Set by their identifiers.

    Those for other uses, of kinds that are not known here, or without what their kind needs are left out (RFC 7517,
    section 5).

    Raises:
        Precondition: it is none, or has no key to check signatures with.
    """
    try:
        if len(data) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES} bytes")
        rows: Any = json.loads(data)["keys"]
        found: dict[str, jwt.PyJWK] = {}
        for row in rows:
            # A secret key would let whoever can read it, this service too, issue tokens.
            if row.get("kty") in {"RSA", "EC", "OKP"} and row.get("use", "sig") == "sig":
                with suppress(ValueError, TypeError, KeyError, UnsupportedAlgorithm, jwt.PyJWTError):
                    found[str(row.get("kid", ""))] = jwt.PyJWK(row)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _unfit(place, f"is no JSON Web Key Set ({type(error).__name__})") from error
    if not found:
        raise _unfit(place, "has no public key to check signatures with")
    return found


def _found(keys: Keys, identifier: str) -> jwt.PyJWK | None:
    if not identifier and len(keys) == 1:
        return next(iter(keys.values()))
    return keys.get(identifier)


def _is_old(since: float) -> bool:
    return time.monotonic() - since > MAX_AGE_SECONDS


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Lets a redirect fail as the error that it then is: it could lead to where anybody may answer."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


def _fetch(address: str) -> bytes:
    request = urllib.request.Request(address, headers={"Accept": "application/json"})  # noqa: S310  see keys_of
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=FETCH_SECONDS) as answer:
        content: bytes = answer.read(MAX_BYTES + 1)
    return content


def _unfit(place: str, why: str) -> Precondition:
    return Precondition(f"token.keys {place} {why}.", reason="TOKEN_KEYS_UNFIT")
