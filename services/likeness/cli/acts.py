"""Acts of operators go on record before they are done: by the service that has the store open, or here."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

import typer

from likeness.app.composition import expected_head, key_file
from likeness.app.settings import Settings
from likeness.cli.local_store import has_store, is_of_older_release, read_only
from likeness.cli.output import heartbeat, note
from likeness.domain.audit import JsonValue
from likeness.domain.errors import Precondition, WrongKey
from likeness.domain.operators import HostAct, HostUser, entry_of
from likeness.domain.storage import AuditReceipt
from likeness.store.act_socket import check_operator, hand_over, user_of
from likeness.store.choice import backend_of
from likeness.store.inspection import check_keys
from likeness.store.sealing import Seals
from likeness.store.store import Store
from likeness.store.vault import KeyRing

PATIENCE = 30.0
"""Seconds that a process which has the store open is waited for, until it takes an act or ends."""

_PAUSE = 0.1
"""Seconds between two attempts."""

VARIABLE = "LIKENESS_OPERATOR"

Operator = Annotated[
    str,
    typer.Option(
        "--operator",
        envvar=VARIABLE,
        show_envvar=True,
        help="Your name, for the record; the user of this system is on it in any case.",
    ),
]

Facts = Mapping[str, JsonValue]
_NOTHING: Facts = MappingProxyType({})


def this_user() -> HostUser:
    """As whom this process runs."""
    return user_of(os.getpid(), os.geteuid())


def put_on_record(
    settings: Settings,
    act: HostAct,
    operator: str,
    *,
    filters: Facts = _NOTHING,
    details: Facts = _NOTHING,
    patience: float | None = None,
) -> AuditReceipt:
    """Put an act on record that is about to be done; returns once the entry is durable.

    Args:
        settings: name the home.
        act: what is done.
        operator: the name that the person gives.
        filters: what is asked for, of an act that reads.
        details: what it touches.
        patience: seconds that a process which has the store open is waited for; None means `PATIENCE`.

    Raises:
        LikenessError: that is not possible, so the act must not be done.
    """
    check_operator(operator)
    _check_store(settings)
    seconds = PATIENCE if patience is None else patience
    deadline = time.monotonic() + seconds
    while True:
        taken = hand_over(
            settings.home, act, operator, filters=filters, details=details, seconds=max(1.0, seconds)
        )
        if taken is not None:
            return taken
        try:
            with store_alone(settings) as store:
                return store.audit(entry_of(act, this_user(), operator, filters=filters, details=details))
        except Precondition as error:
            if error.reason != "STORE_IN_USE":
                raise
            if time.monotonic() >= deadline:
                raise Precondition(
                    f"Process {holder(settings)} has {settings.home} and takes no acts for the record: it is "
                    "starting, ending or another command. Nothing was done; run this again.",
                    reason=error.reason,
                ) from error
        time.sleep(_PAUSE)


def record_of_ring(
    settings: Settings, act: HostAct, operator: str, *, details: Facts = _NOTHING
) -> AuditReceipt | None:
    """Put an act on a key ring on record in the store that is sealed with it; None where that store is elsewhere.

    Raises what `put_on_record` raises.
    """
    check_operator(operator)
    if not has_ring_of_store(settings):
        note(f"not on record: the store of this key ring is not in {settings.home}")
        return None
    return put_on_record(settings, act, operator, details=details)


def has_ring_of_store(settings: Settings) -> bool:
    """Whether the home has a store that the key ring is of; one that `--key-ring` names may be another's.

    Raises:
        WrongKey: the ring of the settings is not that of the store.
    """
    if not has_store(settings):
        return False
    try:
        with read_only(settings) as connection:
            check_keys(connection, Seals(KeyRing.load(key_file(settings))))
    except WrongKey:
        if settings.origins["store.key_ring"] != "command line":
            raise
        return False
    return True


def store_alone(settings: Settings) -> Store:
    """The store, for this process alone.

    Raises:
        Precondition: another process has it.
        LikenessError: see `Store.open`.
    """
    with heartbeat("checking the store"):
        return Store.open(
            settings.home,
            key_file=key_file(settings),
            expected=expected_head(settings),
            reserve_bytes=settings.audit.reserve_bytes,  # or it would be given up until the next start
        )


def holder(settings: Settings) -> str:
    """The process that has the store, for a message."""
    return backend_of(settings.home).holder() or "unknown"


def _check_store(settings: Settings) -> None:
    """Whether there is an audit that takes entries.

    Raises:
        Precondition: there is not.
    """
    if not has_store(settings):
        raise Precondition(
            f"There is no store at {settings.home} to put this on record in; name its folder with --home or "
            "LIKENESS_HOME."
        )
    if is_of_older_release(settings):
        raise Precondition(
            f"The store at {settings.home} was written by an older release, and its audit takes no entries of this "
            "one before the service has started with it. Start that, or use the release that wrote the store.",
        )
