"""The sections of the settings that say who is believed to call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from likeness.domain.spiffe import check_trust_domain
from likeness.engine.entry import Section


def _trust_domain_or_none(value: str) -> str:
    return check_trust_domain(value) if value else value


class TlsSettings(Section):
    """`[tls]`: mutual TLS on the address of gRPC. Set the first four, or nothing."""

    certificate: Path | None = Field(
        default=None,
        description="The server's certificate and those between it and its authority, PEM. Read again when it "
        "changes, as the other two files are: new connections see the new one.",
    )
    key: Path | None = Field(
        default=None, description="The private key of the certificate, PEM, not encrypted."
    )
    authorities: Path | None = Field(
        default=None,
        description="Certificates of the authorities that clients' certificates must come from, PEM. A client "
        "without one is not connected.",
    )
    trust_domain: Annotated[str, AfterValidator(_trust_domain_or_none)] = Field(
        default="",
        description="The trust domain that clients' certificates must name in their only URI, "
        "spiffe://TRUST_DOMAIN/PATH.",
    )
    federated: Path | None = Field(
        default=None,
        description="A folder with the authorities of further trust domains, PEM, each domain's in the file "
        "TRUST_DOMAIN.crt. With it every authority is believed names of its own trust domain alone, so each file, "
        "and authorities, must hold those that issue clients' certificates themselves.",
    )

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of what is needed and not set."""
        return tuple(name for name in _NEEDED if not getattr(self, name))

    @property
    def is_on(self) -> bool:
        """Whether anything of it is set."""
        return len(self.missing) < len(_NEEDED) or self.federated is not None


_NEEDED = ("certificate", "key", "authorities", "trust_domain")


class TokenSettings(Section):
    """`[token]`: bearer tokens of persons (OpenID Connect), behind mutual TLS."""

    issuer: str = Field(
        default="", description="Who issues the tokens, as their claim `iss` has it; empty takes no tokens."
    )
    audience: str = Field(default="", description="What the claim `aud` of a token must name: this service.")
    keys: str = Field(
        default="",
        description="The issuer's public keys, a JSON Web Key Set: a file, read again when it changes, or an "
        "https URL, asked every five minutes and for a key that is not known.",
    )
    clock_skew: float = Field(
        default=30.0,
        ge=0,
        le=300,
        description="Seconds by which the issuer's clock may differ from this one.",
    )
    required: bool = Field(
        default=False,
        description="Refuse calls without a token. Whose calls need one is else for the policy.",
    )
    operator_claim: str = Field(
        default="name",
        min_length=1,
        description="The claim with the person's name for the record, else `sub`.",
    )
    roles_claim: str = Field(default="roles", min_length=1, description="The claim with the person's roles.")

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of what a service that takes tokens needs and is not set."""
        return tuple(name for name in ("issuer", "audience", "keys") if not getattr(self, name))

    @property
    def is_on(self) -> bool:
        """Whether tokens are taken, or are meant to be."""
        return len(self.missing) < 3 or self.required
