"""What is in force of the files of `[tls]` while some of them are wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.app.authority import Authority
from likeness.app.identity_sections import TlsSettings
from likeness.domain.errors import Precondition, Unproven
from likeness.rpc.certificates import Certificates
from likeness.rpc.proofs import CertificateProof
from tests.certificates import TRUST_DOMAIN, ServerFiles, authority

FIRST, SECOND = "first.test", "second.test"
ON_SECP112R1 = b"""
-----BEGIN CERTIFICATE-----
MIIBIjCB7qADAgECAhQ+pW9x5TaX6F51SQF8srk4bh+5hDAKBggqhkjOPQQDAjAM
MQowCAYDVQQDDAFzMCAXDTI2MTEyODE4MDU0MFoYDzIxMjYxMTA0MTgwNTQwWjAM
MQowCAYDVQQDDAFzMDIwEAYHKoZIzj0CAQYFK4EEAAYDHgAEtnbT5RcXzQhEOujX
MNJ9VFbDHOqUZTAwqAOycaNTMFEwHQYDVR0OBBYEFO11hV0Oxd0UN7fup6m7rFhA
FBbOMB8GA1UdIwQYMBaAFO11hV0Oxd0UN7fup6m7rFhAFBbOMA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDIwAwIAIOSv0k0ewBAAEr5QhGQNoCDnrjTJzskAHR
HrJZSP04
-----END CERTIFICATE-----
"""
"""A certificate whose key is on a curve that OpenSSL knows and cryptography does not."""


class Federation:
    """Files of a server that trusts two domains beside its own, and clients of these."""

    def __init__(self, folder: Path) -> None:
        self.files = ServerFiles(folder / "own").write()
        self.folder = folder / "federated"
        self.folder.mkdir()
        for domain in (FIRST, SECOND):
            self.file(domain).write_bytes(authority(domain).certificate)
        own = self.files.folder
        self.settings = TlsSettings(
            certificate=own / "tls.crt",
            key=own / "tls.key",
            authorities=own / "ca.crt",
            trust_domain=TRUST_DOMAIN,
            federated=self.folder,
        )
        self.certificates = Certificates(self.settings)
        self._prove = CertificateProof(lambda: self.certificates.trust)

    def file(self, domain: str) -> Path:
        return self.folder / f"{domain}.crt"

    def trusts(self, domain: str, issuer: Authority | None = None) -> bool:
        """Whether a client of the domain is believed, once changed files were looked at."""
        self.certificates.refresh()
        usual = authority() if domain == TRUST_DOMAIN else authority(domain)
        client = (issuer or usual).client(f"spiffe://{domain}/examiner")
        try:
            return self._prove({"x509_pem_cert": [client.certificate]}, ()).name.endswith("/examiner")
        except Unproven:
            return False


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    made = Federation(tmp_path)
    assert made.trusts(FIRST)
    assert made.trusts(SECOND)
    return made


def foreign_key(federation: Federation) -> None:
    (federation.files.folder / "tls.key").write_bytes(authority().client().key)


def no_certificate(federation: Federation) -> None:
    (federation.files.folder / "tls.crt").unlink()


def no_authorities(federation: Federation) -> None:
    (federation.files.folder / "ca.crt").write_bytes(b"none")


def damaged(federation: Federation) -> None:
    federation.file(SECOND).write_bytes(b"none")


def misnamed(federation: Federation) -> None:
    (federation.folder / "Third.crt").write_bytes(authority().certificate)


def own_domain(federation: Federation) -> None:
    federation.file(TRUST_DOMAIN).write_bytes(authority("impostor").certificate)


FAULTS = [foreign_key, no_certificate, no_authorities, damaged, misnamed, own_domain]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_trust_domain_that_is_taken_away_is_gone_whatever_else_is_wrong(
    federation: Federation, fault: Callable[[Federation], None]
) -> None:
    fault(federation)
    federation.certificates.refresh()
    federation.file(FIRST).unlink()
    assert not federation.trusts(FIRST)
    assert federation.trusts(SECOND), "what is unfit counts as it did before"
    assert federation.trusts(TRUST_DOMAIN)
    assert not federation.trusts(TRUST_DOMAIN, authority("impostor"))
    assert federation.certificates.changed() is not None, "nor does it connect again"


@pytest.mark.parametrize("fault", FAULTS)
def test_an_authority_is_replaced_whatever_else_is_wrong(
    federation: Federation, fault: Callable[[Federation], None]
) -> None:
    fault(federation)
    new = Authority("new")
    federation.file(FIRST).write_bytes(new.certificate)
    assert federation.trusts(FIRST, new)
    assert not federation.trusts(FIRST)


def test_a_folder_that_is_taken_away_takes_its_trust_domains_with_it(federation: Federation) -> None:
    federation.folder.rename(federation.folder.with_name("elsewhere"))
    assert not federation.trusts(FIRST)
    assert federation.trusts(TRUST_DOMAIN)
    federation.folder.with_name("elsewhere").rename(federation.folder)
    assert federation.trusts(FIRST)


def test_a_certificate_on_a_curve_that_is_not_known_is_not_taken(federation: Federation) -> None:
    own = federation.files.folder
    (own / "tls.crt").write_bytes(ON_SECP112R1)
    before = federation.certificates._given.pair
    federation.certificates.refresh()
    federation.certificates.changed()
    assert federation.certificates._given.pair is before
    with pytest.raises(Precondition) as caught:
        Certificates(federation.settings)
    assert caught.value.reason == "CERTIFICATE_UNFIT"
