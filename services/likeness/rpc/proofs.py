"""Who the peer of a call is proven to be, by its certificate."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache

from cryptography import x509

from likeness.domain.access import Principal
from likeness.domain.errors import Unproven
from likeness.rpc.identity import AuthContext, Metadata
from likeness.rpc.pem_files import UNREADABLE
from likeness.rpc.trust import Trust

_CERTIFICATE = "x509_pem_cert"
_VERSION = "ssl_tls_version"
"""Given by grpcio from 1.8x on; before, TLS 1.2 is not distinguished from 1.3, and so is not refused."""
_MAX_CACHED = 4096
"""Certificates, by their bytes, of which the name is remembered."""


class CertificateProof:
    """Takes the name of a peer from the only URI of the certificate that it proved to hold.

    That the certificate is of an authority in force was checked when the connection began; here, at every call,
    that neither it nor its authority has expired since, and that those who may issue its name are those who did.
    Where there is one trust domain the authority is gRPC's to check.

    Args:
        trust: gives what is in force.
    """

    def __init__(self, trust: Callable[[], Trust]) -> None:
        self._trust = trust
        self._read = lru_cache(_MAX_CACHED)(self._named)

    def __call__(self, auth_context: AuthContext, metadata: Metadata) -> Principal:
        """The principal that the certificate names.

        Raises:
            Unproven: no certificate, one that has expired, one without exactly one URI, or whose URI is no name of
                a trust domain whose authority issued it; or a connection of an older TLS than 1.3.
        """
        del metadata
        version = next(iter(auth_context.get(_VERSION, ())), b"TLSv1.3")
        if version != b"TLSv1.3":
            raise Unproven(
                f"The connection is {version.decode('ascii', 'replace')}; this service takes calls over TLS 1.3.",
                reason="TLS_TOO_OLD",
            )
        certificate = next(iter(auth_context.get(_CERTIFICATE, ())), b"")
        if not certificate:
            raise Unproven("The connection proves nobody; connect with a certificate.")
        trust = self._trust()
        principal, until = self._read(certificate, trust)
        if until <= time.time():  # another authority in force may have issued it too
            principal, _ = self._named(certificate, trust)
        return principal

    def _named(self, pem: bytes, trust: Trust) -> tuple[Principal, float]:
        """The principal of a certificate, and until when that holds, in seconds of Unix time."""
        try:
            certificate = x509.load_pem_x509_certificate(pem)
            expires = certificate.not_valid_after_utc
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        except x509.ExtensionNotFound:
            uris = []
        except UNREADABLE as error:
            raise _unfit("cannot be read") from error
        if len(uris) != 1:
            raise _unfit(f"has {len(uris)} URIs among its names; it must have one")
        if expires.timestamp() <= time.time():
            raise Unproven(
                "The certificate of this connection has expired; connect again with a new one.",
                reason="CERTIFICATE_EXPIRED",
            )
        try:
            until = trust.check(uris[0], certificate)
        except UNREADABLE as error:
            raise _unfit(f"names nobody whom this service trusts: {error}") from error
        return Principal(name=uris[0]), until.timestamp()


def _unfit(why: str) -> Unproven:
    return Unproven(f"The certificate {why}.", reason="CERTIFICATE_NAMES_NOBODY")
