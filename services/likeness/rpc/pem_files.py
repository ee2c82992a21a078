"""Files of certificates and keys: read within bounds, and refused with what is wrong."""

from __future__ import annotations

import logging
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from likeness.domain.errors import Precondition
from likeness.telemetry import logs

MAX_FILE_BYTES = 1 << 20
"""Of a file of certificates; all authorities of the world's browsers take a quarter of that."""

UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises of certificates and keys that are damaged, or have what it does not know."""


def content_of(path: Path | None, setting: str) -> bytes:
    """What stands in the file that a setting names.

    Raises:
        Precondition: none is named, or it cannot be read, or is too large.
    """
    if path is None:
        raise Precondition(f"{setting} is not set.", reason="TLS_INCOMPLETE")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise unfit(path, setting, f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise unfit(path, setting, f"has more than {MAX_FILE_BYTES} bytes")
    return data


def certificates_of(data: bytes, path: Path | None, setting: str) -> list[x509.Certificate]:
    """The certificates of a PEM file, at least one.

    Raises:
        Precondition: it holds none, or a damaged one.
    """
    try:
        return x509.load_pem_x509_certificates(data)
    except UNREADABLE as error:
        raise unfit(path, setting, "holds no certificates in PEM, or a damaged one") from error


def unfit(path: Path | None, setting: str, why: str) -> Precondition:
    """That a file is not what it should be."""
    return Precondition(
        f"{path} ({setting}) {why}.", reason="CERTIFICATE_UNFIT", metadata={"setting": setting}
    )


def not_taken(logger: logging.Logger, error: Precondition, path: Path | None) -> None:
    """Log that a file is unfit, and what was read of it before is in force."""
    logs.event(logger, logging.ERROR, "certificates not taken", reason=error.reason, path=str(path))
