"""The authorities of clients, by the trust domains that they vouch for: read, checked, read again file by file."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from likeness.app.identity_sections import TlsSettings
from likeness.domain.errors import Precondition
from likeness.domain.spiffe import check_trust_domain
from likeness.rpc.pem_files import certificates_of, content_of, not_taken, unfit
from likeness.rpc.trust import Trust

SUFFIX = ".crt"
"""Of a file with the authorities of a trust domain, after its name."""

_FEDERATED = "tls.federated"

_logger = logging.getLogger(__name__)

Issuers = Sequence[x509.Certificate]


@dataclass(frozen=True, slots=True, eq=False)
class Authorities:
    """Those of the service's own trust domain, and of each further one.

    Args:
        domain: of the service.
        own: its authorities.
        federated: of each further trust domain; None where none is to be trusted beside the service's own.
    """

    domain: str
    own: Issuers
    federated: Mapping[str, Issuers] | None

    @classmethod
    def read(cls, settings: TlsSettings) -> Authorities:
        """Read and check all files.

        Raises:
            Precondition: a file cannot be read or is not what it should be.
        """
        federated = None
        if settings.federated is not None:
            files = files_of(settings.federated)
            federated = dict(_read(path, settings.trust_domain) for path in files)
        return cls(settings.trust_domain, _own(settings), federated)

    def read_again(self, settings: TlsSettings) -> Authorities:
        """What stands in the files now. A file that is unfit counts as it did before, whatever the others are; one
        that is gone counts no more, and so do all where the folder is. What is unfit is logged."""
        try:
            own = _own(settings)
        except Precondition as error:
            not_taken(_logger, error, settings.authorities)
            own = self.own
        if settings.federated is None:
            return Authorities(self.domain, own, None)
        return Authorities(self.domain, own, self._federated_again(settings.federated))

    def _federated_again(self, folder: Path) -> Mapping[str, Issuers]:
        before = self.federated or {}
        try:
            files = files_of(folder)
        except Precondition as error:
            not_taken(_logger, error, folder)
            return before if folder.exists() else {}
        found: dict[str, Issuers] = {}
        for path in files:
            try:
                domain, issuers = _read(path, self.domain)
            except Precondition as error:
                not_taken(_logger, error, path)
                domain = path.name.removesuffix(SUFFIX)
                if domain not in before or not path.exists():
                    continue
                issuers = before[domain]
            found[domain] = issuers
        return found

    @property
    def trust(self) -> Trust:
        """Which of them vouches for which names."""
        if self.federated is None:
            return Trust(self.domain)
        return Trust(self.domain, {self.domain: self.own, **self.federated})

    @property
    def pem(self) -> bytes:
        """All of them."""
        every = [self.own, *(self.federated or {}).values()]
        return b"".join(one.public_bytes(Encoding.PEM) for issuers in every for one in issuers)


def files_of(folder: Path) -> list[Path]:
    """The files of a folder of trust domains, in the order of their names.

    Raises:
        Precondition: it is no folder, or cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIX))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise unfit(folder, _FEDERATED, "is no folder") from error
    except OSError as error:
        raise unfit(folder, _FEDERATED, f"cannot be read: {error.strerror}") from error


def _own(settings: TlsSettings) -> Issuers:
    setting = "tls.authorities"
    return certificates_of(content_of(settings.authorities, setting), settings.authorities, setting)


def _read(path: Path, own: str) -> tuple[str, Issuers]:
    """The trust domain that a file is of, and its authorities.

    Raises:
        Precondition: it cannot be read, is not named for a foreign trust domain, or holds no certificates.
    """
    try:
        domain = check_trust_domain(path.name.removesuffix(SUFFIX))
    except ValueError as error:
        raise unfit(path, _FEDERATED, f"is not named for a trust domain: {error}") from error
    if domain == own:
        raise unfit(path, _FEDERATED, "is of the service's own trust domain; see tls.authorities")
    return domain, certificates_of(content_of(path, _FEDERATED), path, _FEDERATED)
