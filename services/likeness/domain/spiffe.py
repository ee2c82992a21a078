"""Names of workloads as URIs, `spiffe://TRUST_DOMAIN/PATH`.

Source: SPIFFE-ID, sections 2.1 to 2.4
(https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md).
"""

from __future__ import annotations

import re

SCHEME = "spiffe://"
MAX_NAME = 2048
"""Bytes of a whole name."""
MAX_TRUST_DOMAIN = 255
"""Bytes of a trust domain."""

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]+")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")


def check_trust_domain(domain: str) -> str:
    """The trust domain itself.

    Raises:
        ValueError: it is none; the message says why.
    """
    if not _TRUST_DOMAIN.fullmatch(domain) or len(domain) > MAX_TRUST_DOMAIN:
        raise ValueError(
            f"'{domain[:MAX_TRUST_DOMAIN]}' is no trust domain: 1 to {MAX_TRUST_DOMAIN} of a-z, 0-9, '.', '-' "
            "and '_', for example likeness.example"
        )
    return domain


def trust_domain_of(uri: str) -> str:
    """The trust domain of the name of a workload.

    Raises:
        ValueError: the URI is no such name; the message says why.
    """
    shown = uri[:MAX_TRUST_DOMAIN]
    if not uri.startswith(SCHEME) or len(uri) > MAX_NAME:
        raise ValueError(f"'{shown}' does not begin with {SCHEME}, or has more than {MAX_NAME} bytes")
    domain, _, path = uri.removeprefix(SCHEME).partition("/")
    check_trust_domain(domain)
    segments = path.split("/")
    if any(not _SEGMENT.fullmatch(segment) or segment in {".", ".."} for segment in segments):
        raise ValueError(
            f"'{shown}' has no path of segments of letters, digits, '.', '-' and '_' after its trust domain"
        )
    return domain


def check_name(uri: str, trust_domain: str) -> str:
    """The name of a workload of a trust domain, as given.

    Raises:
        ValueError: the URI is no such name; the message says why.
    """
    domain = trust_domain_of(uri)
    if domain != trust_domain:
        raise ValueError(f"'{uri[:MAX_TRUST_DOMAIN]}' is of the trust domain {domain}, not of {trust_domain}")
    return uri
