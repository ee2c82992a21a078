"""How calls reach the service: over mutual TLS, or without it on this machine alone."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import grpc

from likeness.app.sections import split_address
from likeness.app.settings import Settings
from likeness.domain.errors import Precondition
from likeness.rpc.certificates import Certificates
from likeness.rpc.identity import Prove, nobody
from likeness.rpc.proofs import CertificateProof
from likeness.rpc.tokens import PersonProof, Tokens


@dataclass(frozen=True, slots=True)
class Transport:
    """How calls come in.

    Args:
        prove: who the peer of a call is.
        certificates: of mutual TLS; None without.
        is_loopback: whether nobody from another machine reaches it.
        tokens: of persons; None where none are taken.
    """

    prove: Prove
    certificates: Certificates | None
    is_loopback: bool
    tokens: Tokens | None = None

    @classmethod
    def of(cls, settings: Settings) -> Transport:
        """The transport of a server's settings.

        Raises:
            Precondition: `[tls]` or `[token]` is incomplete or unfit, or an address that other machines reach is to
                be served without TLS.
        """
        loopback = is_loopback(split_address(settings.grpc.address)[0])
        tls = settings.tls
        if tls.is_on:
            if tls.missing:
                raise Precondition(
                    f"TLS needs tls.{', tls.'.join(tls.missing)} too; set all four, or nothing of [tls].",
                    reason="TLS_INCOMPLETE",
                )
            certificates = Certificates(tls)
            tokens = Tokens(settings.token) if settings.token.is_on else None
            proof = CertificateProof(lambda: certificates.trust)
            prove = PersonProof(proof, tokens, required=settings.token.required)
            return cls(prove, certificates, loopback, tokens)
        if settings.token.is_on:
            raise Precondition(
                "Tokens are taken over TLS alone, where nobody else reads them; set [tls] too, or nothing of "
                "[token].",
                reason="TLS_REQUIRED",
            )
        if not loopback and not settings.grpc.insecure_trust_everyone:
            raise Precondition(
                f"Other machines reach {settings.grpc.address}, and without TLS nobody proves who they are. Set "
                "tls.certificate, tls.key, tls.authorities and tls.trust_domain, or listen on 127.0.0.1.",
                reason="TLS_REQUIRED",
            )
        return cls(nobody, None, loopback)

    @property
    def trusts_everyone(self) -> bool:
        """Whether peers from other machines come in who have proven nothing."""
        return self.certificates is None and not self.is_loopback

    @property
    def words(self) -> str:
        """What it is, for the log."""
        if self.certificates is not None:
            return "mutual TLS"
        return "plaintext, this machine alone" if self.is_loopback else "plaintext, everyone is trusted"

    def refresh(self) -> None:
        """Take changed files of authorities; calls on open connections are held against them from now on."""
        if self.certificates is not None:
            self.certificates.refresh()

    def close(self) -> None:
        """End what runs in the background."""
        if self.tokens is not None:
            self.tokens.close()

    def listen(self, server: grpc.aio.Server, address: str) -> int:
        """Let a server listen on an address, and give its port.

        Raises:
            RuntimeError: it cannot be listened on.
        """
        if self.certificates is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, self.certificates.credentials)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
