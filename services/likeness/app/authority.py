"""An authority of one's own that issues certificates: for trying things out on one machine, and for tests."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SKEW = timedelta(minutes=5)
"""By which a new certificate is valid before now, for clocks that are late."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key, PEM; the key is not encrypted."""

    certificate: bytes
    key: bytes


class Authority:
    """Issues certificates with keys on the curve P-256.

    Args:
        name: its common name.
        lifetime: of its own certificate.
    """

    def __init__(self, name: str, lifetime: timedelta = timedelta(days=365)) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _common_name(name)
        now = datetime.now(UTC)
        self.ends = now + lifetime
        """When its own certificate expires."""
        made = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(self.ends)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, SHA256())
        )
        self.certificate = made.public_bytes(Encoding.PEM)
        """PEM."""

    def server(self, hosts: Iterable[str], **given: datetime) -> Issued:
        """A certificate for a server that is called at these names and addresses; see `_issue`."""
        names = [_host(host) for host in hosts]
        return self._issue("likeness server", names, ExtendedKeyUsageOID.SERVER_AUTH, **given)

    def client(self, *uris: str, **given: datetime) -> Issued:
        """A certificate for a client with these URIs among its names; see `_issue`."""
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        return self._issue("likeness client", names, ExtendedKeyUsageOID.CLIENT_AUTH, **given)

    def _issue(
        self,
        subject: str,
        names: Iterable[x509.GeneralName],
        purpose: x509.ObjectIdentifier,
        begins: datetime | None = None,
        ends: datetime | None = None,
    ) -> Issued:
        """A certificate, valid from now until that of the authority ends unless given otherwise."""
        key = ec.generate_private_key(ec.SECP256R1())
        own = self._key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(_common_name(subject))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins or datetime.now(UTC) - _SKEW)
            .not_valid_after(ends or self.ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False)
        )
        alternatives = list(names)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return Issued(
            builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
