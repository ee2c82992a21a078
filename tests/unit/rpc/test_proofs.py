"""Who a certificate proves its holder to be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

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
