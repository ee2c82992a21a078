"""Whether a client's certificate and key can be of use, found before a connection is opened.

gRPC would say no more of them than that the connection failed.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import grpc

from likeness.client import handshake
from likeness.client.errors import Unavailable

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_VERSION, _UTC_TIME = 0xA0, 0x17
_BEFORE_VALIDITY = 3
"""Fields of a certificate before its validity: serial number, algorithm, issuer (RFC 5280, 4.1)."""


def check_pair(certificate: Path, key: Path) -> None:
    """Check that the key is the certificate's, and that the certificate has not expired.

    Raises:
        OSError: a file cannot be read.
        Unavailable: they are of no use together.
    """
    text = certificate.read_text(encoding="ascii", errors="replace")
    if _BEGIN not in text:
        raise _unfit(
            f"{certificate} holds no certificate in PEM{_or_a_key(text)}; name the certificate that {key} is the "
            "key of."
        )
    if "PRIVATE KEY-----" not in key.read_text(encoding="ascii", errors="replace"):
        raise _unfit(f"{key} holds no private key in PEM; name the key of the certificate {certificate}.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:@SECLEVEL=0")  # which keys are long enough is for the service to say
    try:
        # A key under a password is refused as unreadable; without one OpenSSL would ask for it at the terminal.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            raise _unfit(
                f"{key} is not the key of the certificate {certificate}; name the two that were issued together."
            ) from error
        raise _unfit(
            f"The certificate {certificate} and its key {key} cannot be read ({error.reason or error}); name files "
            "in PEM, the key without a password."
        ) from error
    ends = _ends(text)
    if ends <= datetime.now(UTC):
        raise _unfit(
            f"The certificate {certificate} expired at {ends:%Y-%m-%d %H:%M} UTC; have a new one issued, with its "
            "key."
        )


def _or_a_key(text: str) -> str:
    return ", but a private key" if "PRIVATE KEY-----" in text else ""


def _unfit(message: str) -> Unavailable:
    return Unavailable(message, code=grpc.StatusCode.UNAVAILABLE, reason=handshake.REASON)


def _ends(text: str) -> datetime:
    """When the first certificate of a file that OpenSSL has read ends (RFC 5280, 4.1.2.5)."""
    first = text[text.index(_BEGIN) : text.index(_END) + len(_END)]
    certificate = _fields(ssl.PEM_cert_to_DER_cert(first))[0][1]
    stated = _fields(_fields(certificate)[0][1])
    validity = stated[_BEFORE_VALIDITY + (stated[0][0] == _VERSION)][1]
    tag, written = _fields(validity)[1]
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(written.decode("ascii"), form).replace(tzinfo=UTC)


def _fields(data: bytes) -> list[tuple[int, bytes]]:
    """What stands one after the other in DER: each tag, of one octet, and its content (X.690, 8.1)."""
    found, at = [], 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            octets = length & 0x7F
            length, at = int.from_bytes(data[at : at + octets], "big"), at + octets
        found.append((tag, data[at : at + length]))
        at += length
    return found
