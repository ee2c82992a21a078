"""Options that say which entries of the audit are wanted."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
import typer

from likeness.cli.files import MAX_FILE_BYTES
from likeness.cli.words import filters_words
from likeness.domain.audit import JsonValue
from likeness.domain.errors import InvalidInput
from likeness.domain.operators import HostAct
from likeness.domain.text import printable
from likeness.protocol import OVERSIGHT, SERVICES
from likeness.store.audit_search import AuditFilter, has_reference, owners_of_references
from likeness.store.sealing import Seals
from likeness.v1 import reasons_pb2

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]

Case = Annotated[str, typer.Option(help="Of this case.", show_default=False)]
Entity = Annotated[str, typer.Option(help="Asked for by this entity.", show_default=False)]
Operator = Annotated[
    str, typer.Option(help="Asked for by this person, as the entries name the operator.", show_default=False)
]
Principal = Annotated[
    str,
    typer.Option(
        help="By who was proven to call: the name in the certificate, or ISSUER#SUBJECT of the token.",
        show_default=False,
    ),
]
Since = Annotated[
    datetime | None,
    typer.Option(
        "--from",
        formats=_FORMATS,
        metavar="TIME",
        help="Not before this time: 2026-01-31 or 2026-01-31T08:00:00, in UTC or with an offset as +0100.",
        show_default=False,
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(
        "--to",
        formats=_FORMATS,
        metavar="TIME",
        help="Before this time, written as --from.",
        show_default=False,
    ),
]
ReferenceId = Annotated[
    str, typer.Option(metavar="ID", help="That name or answer this reference.", show_default=False)
]
Owner = Annotated[str, typer.Option(help="That answered a reference of this owner.", show_default=False)]
Method = Annotated[str, typer.Option(help="Of this method, such as Search.", show_default=False)]
Outcome = Annotated[
    str,
    typer.Option(help="OK, or the reason of a refusal, such as NOT_PERMITTED_BY_POLICY.", show_default=False),
]
Probe = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, help="Done with this sample, byte for byte.", show_default=False
    ),
]

_OPTIONS = {
    "case": "--case",
    "entity": "--entity",
    "operator": "--operator",
    "principal": "--principal",
    "owner": "--owner",
    "rpc": "--method",
    "outcome": "--outcome",
}


def moment(given: datetime | None) -> datetime | None:
    """A time as it was given, in UTC where it does not say."""
    return given.replace(tzinfo=UTC) if given is not None and given.tzinfo is None else given


def filters_named(wanted: AuditFilter, further: Mapping[str, object]) -> str:
    """The options by which entries were asked for, as they are typed.

    Args:
        wanted: what they say.
        further: by option, what was given of others.
    """
    given = {option: getattr(wanted, name) for name, option in _OPTIONS.items()}
    times = {"--from": wanted.since, "--to": wanted.until}
    moments = {option: at.isoformat() if at else None for option, at in times.items()}
    return filters_words(given | moments | {"--reference": sorted(wanted.references or ())} | dict(further))


def mistyped(connection: sa.Connection, wanted: AuditFilter) -> Iterator[str]:
    """Of a filter that no entry matches, what may be a slip of the pen: owners and references that are not known.

    Raises:
        InvalidInput: there is no such method or outcome.
    """
    _check_known("--method", wanted.rpc, _methods())
    _check_known("--outcome", wanted.outcome, _outcomes())
    if wanted.owner and wanted.owner not in (known := owners_of_references(connection)):
        yield f"The store holds no reference of an owner {wanted.owner}{_nearest(wanted.owner, known)}."
    for one in sorted(wanted.references or ()):
        if not has_reference(connection, one):
            yield f"The store has never held a reference {one}."


def _check_known(option: str, given: str, known: Collection[str]) -> None:
    """Only of what no entry says: those of other releases are found by whatever they say."""
    if given and given not in known:
        near = _nearest(given, known)
        raise InvalidInput(f"{option}: there is no {printable(given)}, and no entry has it{near}.")


def _nearest(given: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    return f"; the nearest name is {near[0]}" if near else ""


def _methods() -> frozenset[str]:
    services = (*SERVICES, OVERSIGHT)
    return frozenset(method.name for one in services for method in one.descriptor.methods) | set(HostAct)


def _outcomes() -> frozenset[str]:
    return frozenset({"OK", *(name.removeprefix("REASON_") for name in reasons_pb2.Reason.keys()[1:])})


def facts_of(wanted: AuditFilter, seals: Seals) -> Mapping[str, JsonValue]:
    """What is looked for, for the record of who looked; of a sample its keyed digest."""
    found: dict[str, JsonValue] = {}
    for name in (field.name for field in fields(wanted)):
        value = getattr(wanted, name)
        if isinstance(value, datetime):
            found[name] = value.isoformat()
        elif isinstance(value, bytes):
            found[name] = seals.probes.sign(hashlib.sha256(value).digest()).hex()
        elif value:
            found[name] = sorted(value) if isinstance(value, frozenset) else value
    return found


def probe_bytes(path: Path) -> bytes:
    """The bytes of a sample.

    Raises:
        InvalidInput: it is longer than any sample.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise InvalidInput(f"{path} has more than {MAX_FILE_BYTES} bytes; no service takes such a sample.")
    return data
