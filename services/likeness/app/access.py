"""Who judges the calls of a process, by its settings."""

from __future__ import annotations

import logging

from likeness.access.judging import CedarAccess
from likeness.access.sources import Sources
from likeness.app.settings import Settings
from likeness.domain.access import Access, TrustEveryone
from likeness.domain.errors import LikenessError, Precondition
from likeness.telemetry import logs, metrics

SUSPENSIONS = "suspended.json"
"""The name of the file of entities that are cut off, where the settings name none, and in a backup."""

_logger = logging.getLogger(__name__)


class _Reports:
    """Implements `likeness.access.judging.Observer`: log and metrics."""

    def taken(self, digest: str) -> None:
        """Rules are in force."""
        metrics.policy_changes("taken").inc()
        metrics.policy_stale().set(0)
        logs.event(_logger, logging.INFO, "policy in force", policy=digest)

    def refused(self, digest: str, error: LikenessError) -> None:
        """Changed files were not taken."""
        del digest
        metrics.policy_changes("refused").inc()
        metrics.policy_stale().set(1)
        logs.event(_logger, logging.ERROR, "policy refused", reason=error.reason, problem=error.message)

    def suspensions_taken(self, digest: str) -> None:
        """Other entities are cut off, by the rules in force."""
        metrics.policy_changes("taken").inc()
        logs.event(_logger, logging.INFO, "suspensions in force", policy=digest)

    def failed(self, errors: tuple[str, ...]) -> None:
        """Policies could not be evaluated for a call."""
        metrics.policy_failures().inc()
        logs.event(_logger, logging.ERROR, "policy failed", problem="; ".join(errors))


def access_of(settings: Settings) -> Access:
    """By policies over mutual TLS; without it nobody is proven, and everyone who reaches the service is trusted.

    Raises:
        Precondition: TLS without a directory, or a directory without TLS.
        InvalidInput: a file of `[access]` cannot be read, or what it says cannot be taken.
    """
    if not settings.tls.is_on:
        if settings.access.directory is not None:
            raise Precondition(
                "access.directory is set, and without TLS nobody proves to be in it; set [tls] too, or leave it "
                "out.",
                reason="TLS_REQUIRED",
            )
        return TrustEveryone()
    return CedarAccess(sources_of(settings), _Reports())


def sources_of(settings: Settings) -> Sources:
    """The files that the settings name.

    Raises:
        Precondition: they name no directory.
    """
    named = settings.access
    if named.directory is None:
        raise Precondition(
            "The settings name no directory of who may call; set access.directory to one, or name the settings "
            "file that has it with --config. `likeness certs dev` makes an example of both.",
            reason="DIRECTORY_MISSING",
        )
    directory = named.directory.expanduser()
    suspensions = named.suspensions.expanduser() if named.suspensions else directory.with_name(SUSPENSIONS)
    return Sources(directory, named.policies.expanduser() if named.policies else None, suspensions)
