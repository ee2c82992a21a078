"""The server's certificate, its key and the authorities of clients: read, checked, read again on change."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from likeness.app.identity_sections import TlsSettings
from likeness.domain.errors import Precondition
from likeness.rpc.authorities import Authorities, files_of
from likeness.rpc.pem_files import UNREADABLE, certificates_of, content_of, not_taken, unfit
from likeness.rpc.trust import Trust
from likeness.telemetry import logs, metrics

_logger = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int, int] | None, ...]
"""Inode, size and time of change of each file; None of one that is not there."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What a server proves itself with, PEM, and when its certificate ends."""

    certificate: bytes
    key: bytes
    expires: datetime

    @classmethod
    def read(cls, settings: TlsSettings) -> Pair:
        """Read and check the files.

        Raises:
            Precondition: a file cannot be read or is not what it should be, the key is not the certificate's, or
                the certificate has expired.
        """
        certificate = content_of(settings.certificate, "tls.certificate")
        key = content_of(settings.key, "tls.key")
        own = certificates_of(certificate, settings.certificate, "tls.certificate")[0]
        try:
            public, expires = _public(own.public_key()), own.not_valid_after_utc
        except UNREADABLE as error:
            raise unfit(
                settings.certificate, "tls.certificate", "has a key of a kind that is not taken"
            ) from error
        if public != _public_of_key(key, settings.key):
            raise unfit(settings.key, "tls.key", f"is not the key of the certificate {settings.certificate}")
        if expires <= datetime.now(UTC):
            raise unfit(
                settings.certificate, "tls.certificate", f"expired at {expires:%Y-%m-%dT%H:%MZ}; renew it"
            )
        metrics.certificate_expires(expires.timestamp())
        return cls(certificate, key, expires)


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a server proves itself with, and what it checks its clients against."""

    pair: Pair
    authorities: Authorities
    trust: Trust

    @property
    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """As gRPC takes it."""
        return grpc.ssl_server_certificate_configuration(
            [(self.pair.key, self.pair.certificate)], self.authorities.pem
        )


class Certificates:
    """What `[tls]` names, read again for the next connection after one of the files has changed.

    While certificate and key are being replaced they may not belong together; those read before are in force until
    they do. Authorities are taken apart from them, and each file by itself: see `Authorities.read_again`.
    Safe to use from many threads, as gRPC does.

    Args:
        settings: with all that is needed.

    Raises:
        Precondition: see `Pair.read` and `Authorities.read`.
    """

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._stamp = self._stamped()
        self._material = self._given = self._taken(Pair.read(settings), Authorities.read(settings))

    @property
    def trust(self) -> Trust:
        """Whose names are believed, as last read."""
        return self._material.trust

    @property
    def credentials(self) -> grpc.ServerCredentials:
        """For the port: a client must prove itself by a certificate of one of the authorities."""
        return grpc.dynamic_ssl_server_credentials(
            self._given.configuration,
            self.changed,  # type: ignore[arg-type]  # None, where nothing changed, is missing from the stubs
            require_client_authentication=True,
        )

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """What new connections are to use from now on, where it is not what gRPC has; else None. Raises nothing."""
        with self._lock:
            self._read_again()
            if self._given is self._material:
                return None
            self._given = self._material
            return self._given.configuration

    def refresh(self) -> None:
        """Take what stands in the files now, where they have changed and are fit. Raises nothing."""
        with self._lock:
            self._read_again()

    def _read_again(self) -> None:
        stamp = self._stamped()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        pair = self._material.pair
        try:
            pair = Pair.read(self._settings)
        except Precondition as error:
            not_taken(_logger, error, self._settings.certificate)
        self._material = self._taken(pair, self._material.authorities.read_again(self._settings))

    def _taken(self, pair: Pair, authorities: Authorities) -> Material:
        logs.event(_logger, logging.INFO, "certificates taken", path=str(self._settings.certificate))
        return Material(pair, authorities, authorities.trust)

    def _stamped(self) -> Stamp:
        own = (self._settings.certificate, self._settings.key, self._settings.authorities)
        folder = self._settings.federated
        try:
            federated = files_of(folder) if folder is not None else []
        except Precondition:
            federated = []  # reading it says why
        return tuple(_stamp_of(path) for path in (*own, folder, *federated) if path is not None)


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None  # reading it says why
    return found.st_ino, found.st_size, found.st_mtime_ns


def _public_of_key(data: bytes, path: Path | None) -> bytes:
    try:
        return _public(load_pem_private_key(data, password=None).public_key())
    except (TypeError, *UNREADABLE) as error:
        raise unfit(path, "tls.key", "holds no private key in PEM without a password") from error


def _public(key: object) -> bytes:
    write: Callable[..., bytes] = key.public_bytes  # type: ignore[attr-defined]  # of every kind of public key
    return write(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
