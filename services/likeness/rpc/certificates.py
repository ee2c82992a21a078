"""The server's certificate, its key and the authorities of clients: read, checked, read again on change."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from likeness.app.identity_sections import TlsSettings
from likeness.domain.errors import Precondition
from likeness.domain.spiffe import check_trust_domain
from likeness.rpc.trust import Trust
from likeness.telemetry import logs, metrics

MAX_FILE_BYTES = 1 << 20
"""Of a file of certificates; all authorities of the world's browsers take a quarter of that."""

SUFFIX = ".crt"
"""Of a file with the authorities of a trust domain, after its name."""

_logger = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int, int], ...]
"""Inode, size and time of change of each file."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a server proves itself with and checks its clients against, PEM, and when its certificate ends.

    Args:
        certificate, key: of the server.
        authorities: of all trust domains.
        trust: which of them vouches for which names.
        expires: when the certificate does.
    """

    certificate: bytes
    key: bytes
    authorities: bytes
    trust: Trust
    expires: datetime

    @classmethod
    def read(cls, settings: TlsSettings) -> Material:
        """Read and check the files.

        Raises:
            Precondition: a file cannot be read or is not what it should be, the key is not the certificate's, or
                the certificate has expired.
        """
        certificate = _content(settings.certificate, "tls.certificate")
        key = _content(settings.key, "tls.key")
        authorities = _content(settings.authorities, "tls.authorities")
        own = _certificates(certificate, settings.certificate, "tls.certificate")[0]
        issuers = _certificates(authorities, settings.authorities, "tls.authorities")
        federated = _federated(settings)
        if federated is not None:
            trust = Trust(settings.trust_domain, {settings.trust_domain: issuers} | federated)
            authorities = b"".join(
                one.public_bytes(Encoding.PEM) for each in trust.issuers.values() for one in each
            )
        else:
            trust = Trust(settings.trust_domain)
        if _public(own.public_key()) != _public_of_key(key, settings.key):
            raise _unfit(settings.key, "tls.key", f"is not the key of the certificate {settings.certificate}")
        expires = own.not_valid_after_utc
        if expires <= datetime.now(UTC):
            raise _unfit(
                settings.certificate, "tls.certificate", f"expired at {expires:%Y-%m-%dT%H:%MZ}; renew it"
            )
        return cls(certificate, key, authorities, trust, expires)

    @property
    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """As gRPC takes it."""
        return grpc.ssl_server_certificate_configuration([(self.key, self.certificate)], self.authorities)


class Certificates:
    """What `[tls]` names, read again for the next connection after one of the files has changed.

    While files are being replaced they may not belong together; what was read before is in force until they do.
    Safe to use from many threads, as gRPC does.

    Args:
        settings: with all that is needed.

    Raises:
        Precondition: see `Material.read`.
    """

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._stamp = self._stamped()
        self._material = self._given = self._taken()

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
        try:
            stamp = self._stamped()
            if stamp != self._stamp:
                self._stamp = stamp
                self._material = self._taken()
        except Precondition as error:
            logs.event(_logger, logging.ERROR, "certificates not taken", reason=error.reason)

    def _taken(self) -> Material:
        material = Material.read(self._settings)
        metrics.certificate_expires(material.expires.timestamp())
        logs.event(_logger, logging.INFO, "certificates taken", path=str(self._settings.certificate))
        return material

    def _stamped(self) -> Stamp:
        files = (self._settings.certificate, self._settings.key, self._settings.authorities)
        try:
            found = [path.stat() for path in (*files, *_files_of(self._settings.federated)) if path]
        except OSError:
            return ()  # reading them says which one, and why
        return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in found)


def _files_of(folder: Path | None) -> list[Path]:
    """The files of a folder of trust domains, in the order of their names."""
    return [] if folder is None else sorted(folder.glob(f"*{SUFFIX}"))


def _federated(settings: TlsSettings) -> dict[str, list[x509.Certificate]] | None:
    """The authorities of each further trust domain; None where none is to be trusted beside the service's own."""
    folder, setting = settings.federated, "tls.federated"
    if folder is None:
        return None
    if not folder.is_dir():
        raise _unfit(folder, setting, "is no folder")
    found = {}
    for path in _files_of(folder):
        try:
            domain = check_trust_domain(path.name.removesuffix(SUFFIX))
        except ValueError as error:
            raise _unfit(path, setting, f"is not named for a trust domain: {error}") from error
        if domain == settings.trust_domain:
            raise _unfit(path, setting, "is of the service's own trust domain; see tls.authorities")
        found[domain] = _certificates(_content(path, setting), path, setting)
    return found


def _content(path: Path | None, setting: str) -> bytes:
    if path is None:
        raise Precondition(f"{setting} is not set.", reason="TLS_INCOMPLETE")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _unfit(path, setting, f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise _unfit(path, setting, f"has more than {MAX_FILE_BYTES} bytes")
    return data


def _certificates(data: bytes, path: Path | None, setting: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise _unfit(path, setting, "holds no certificates in PEM, or a damaged one") from error


def _public_of_key(data: bytes, path: Path | None) -> bytes:
    try:
        key = load_pem_private_key(data, password=None)
    except (TypeError, ValueError) as error:
        raise _unfit(path, "tls.key", "holds no private key in PEM without a password") from error
    return _public(key.public_key())


def _public(key: object) -> bytes:
    write: Callable[..., bytes] = key.public_bytes  # type: ignore[attr-defined]  # of every kind of public key
    return write(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _unfit(path: Path | None, setting: str, why: str) -> Precondition:
    return Precondition(
        f"{path} ({setting}) {why}.", reason="CERTIFICATE_UNFIT", metadata={"setting": setting}
    )
