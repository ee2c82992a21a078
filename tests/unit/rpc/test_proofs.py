"""Who a certificate proves its holder to be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from likeness.app.authority import Authority
from likeness.domain.access import Principal
from likeness.domain.errors import Unproven
from likeness.rpc.proofs import CertificateProof
from likeness.rpc.trust import Trust
from tests.certificates import EXAMINER, TRUST_DOMAIN, authority

PROVE = CertificateProof(lambda: Trust(TRUST_DOMAIN))


def test_the_only_uri_of_the_certificate_is_the_name_of_the_principal() -> None:
    certificate = authority().client(EXAMINER).certificate
    assert PROVE({"x509_pem_cert": [certificate]}, ()) == Principal(name=EXAMINER)


def test_a_connection_does_not_outlive_the_certificate_that_it_was_made_with() -> None:
    now = datetime.now(UTC)
    past = authority().client(EXAMINER, begins=now - timedelta(days=2), ends=now - timedelta(seconds=1))
    with pytest.raises(Unproven) as caught:
        PROVE({"x509_pem_cert": [past.certificate]}, ())
    assert caught.value.reason == "CERTIFICATE_EXPIRED"


class Clock(datetime):
    """A clock that is `ahead` of the usual one."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.now(tz) + cls.ahead

    @classmethod
    def time(cls) -> float:  # type: ignore[override]
        return cls.now(UTC).timestamp()  # type: ignore[no-any-return]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    monkeypatch.setattr(Clock, "ahead", timedelta())
    monkeypatch.setattr("likeness.rpc.trust.datetime", Clock)
    monkeypatch.setattr("likeness.rpc.proofs.time", Clock)
    return Clock


def test_a_connection_does_not_outlive_the_authority_of_its_trust_domain(clock: type[Clock]) -> None:
    issuer = Authority("elsewhere", timedelta(hours=1))
    own = x509.load_pem_x509_certificates(authority().certificate)
    theirs = x509.load_pem_x509_certificates(issuer.certificate)
    trust = Trust(TRUST_DOMAIN, {TRUST_DOMAIN: own, "elsewhere.test": theirs})
    prove = CertificateProof(lambda: trust)
    name = "spiffe://elsewhere.test/examiner"
    client = issuer.client(name, ends=issuer.ends + timedelta(days=1))
    proven = {"x509_pem_cert": [client.certificate]}
    assert prove(proven, ()).name == name
    clock.ahead = timedelta(hours=2)
    with pytest.raises(Unproven) as caught:
        prove(proven, ())
    assert caught.value.reason == "CERTIFICATE_NAMES_NOBODY"
    clock.ahead = timedelta(days=2)
    with pytest.raises(Unproven) as caught:
        prove(proven, ())
    assert caught.value.reason == "CERTIFICATE_EXPIRED"


def test_a_certificate_with_a_name_of_an_unknown_kind_proves_nobody() -> None:
    """An x400Address (RFC 5280, 4.2.1.6), which no library reads."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "odd")])
    x400_address = bytes.fromhex("3004a3023000")  # SEQUENCE { [3] { SEQUENCE {} } }
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, x400_address), critical=False
        )
        .sign(key, SHA256())
    )
    with pytest.raises(Unproven) as caught:
        PROVE({"x509_pem_cert": [made.public_bytes(Encoding.PEM)]}, ())
    assert caught.value.reason == "CERTIFICATE_NAMES_NOBODY"


def test_a_connection_of_an_older_tls_is_refused() -> None:
    certificate = authority().client(EXAMINER).certificate
    proven = {"x509_pem_cert": [certificate]}
    assert PROVE({**proven, "ssl_tls_version": [b"TLSv1.3"]}, ()).name == EXAMINER
    with pytest.raises(Unproven) as caught:
        PROVE({**proven, "ssl_tls_version": [b"TLSv1.2"]}, ())
    assert caught.value.reason == "TLS_TOO_OLD"


@pytest.mark.parametrize("context", [{}, {"x509_pem_cert": []}, {"x509_pem_cert": [b"-----BEGIN"]}])
def test_what_is_no_certificate_proves_nobody(context: dict[str, list[bytes]]) -> None:
    with pytest.raises(Unproven):
        PROVE(context, ())
