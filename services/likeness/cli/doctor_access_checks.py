"""What `likeness doctor` looks at of who may call: what `serve` takes before it starts, by the same code."""

from __future__ import annotations

from likeness.access.judging import CedarAccess
from likeness.app.access import access_of
from likeness.app.settings import Settings
from likeness.cli.doctor_checks import Result, green, yellow
from likeness.rpc.certificates import Pair
from likeness.rpc.transport import Transport


def transport(settings: Settings) -> Result:
    """Certificate, key and authorities are there, belong together and have not expired; tokens can be checked.

    Raises:
        Precondition: see `Transport.of`.
    """
    name, tls = "tls", settings.tls
    found = Transport.of(settings)
    try:
        if found.trusts_everyone:
            return yellow(
                name, found.words, "set [tls] and access.directory, or let no other machine reach it"
            )
        if not tls.is_on:
            return green(name, found.words)
        ends = Pair.read(tls).expires
        federated = f", with further trust domains from {tls.federated}" if tls.federated else ""
        return green(name, f"mutual TLS, by a certificate until {ends:%Y-%m-%d}{federated}")
    finally:
        found.close()


def access(settings: Settings) -> Result:
    """Directory, policies and suspensions are such as the service takes.

    Raises:
        Precondition, InvalidInput: see `access_of`.
    """
    found = access_of(settings)
    if not isinstance(found, CedarAccess):
        return green("access", "no policies: whoever reaches the service may do everything")
    ruling = found.ruling
    return green(
        "access",
        f"policies and a directory with {len(ruling.directory.entities)} entities and "
        f"{len(ruling.directory.principals)} principals, {len(ruling.suspended)} cut off",
    )
