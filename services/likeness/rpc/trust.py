"""Which authorities are believed names of which trust domain.

Source: SPIFFE Federation, section 2, and SPIFFE Trust Domain and Bundle, section 3
(https://github.com/spiffe/spiffe/tree/main/standards): a bundle vouches for the names of its own trust domain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from likeness.domain.spiffe import MAX_TRUST_DOMAIN, trust_domain_of


@dataclass(frozen=True, slots=True, eq=False)
class Trust:
    """The trust domains of clients and their authorities.

    gRPC connects clients of any authority and does not say of which. Where there is one trust domain that is
    enough; where there are several the certificate is checked again, against those of the domain that it names.

    Args:
        domain: of the service.
        issuers: of each trust domain, those that issue certificates of clients; empty where `domain` is the only
            one, and gRPC's own check is enough.
    """

    domain: str
    issuers: Mapping[str, Sequence[x509.Certificate]] = field(default_factory=dict)

    def check(self, name: str, certificate: x509.Certificate) -> datetime:
        """Hold a name against who issued the certificate that has it; the answer holds until the time returned.

        That is when the first certificate from this one up to the authority ends; where gRPC's own check is enough,
        when this one does.

        Raises:
            ValueError: it is no name, of a foreign trust domain, or issued by none of the authorities of its own.
        """
        domain = trust_domain_of(name)
        if domain != self.domain and domain not in self.issuers:
            raise ValueError(f"'{name[:MAX_TRUST_DOMAIN]}' is of the foreign trust domain {domain}")
        return self._check_issuer(domain, certificate) if self.issuers else certificate.not_valid_after_utc

    def _check_issuer(self, domain: str, certificate: x509.Certificate) -> datetime:
        verifier = (
            PolicyBuilder()
            .store(Store(list(self.issuers[domain])))
            .time(datetime.now(UTC))
            .build_client_verifier()
        )
        try:
            chain = verifier.verify(certificate, []).chain
        except VerificationError as error:
            raise ValueError(f"no authority of the trust domain {domain} issued it") from error
        return min(one.not_valid_after_utc for one in chain)
