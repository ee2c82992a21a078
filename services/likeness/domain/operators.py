"""Acts of operators on the host of a service: they go on record as calls do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from likeness.domain.audit import AuditEntry, JsonValue
from likeness.domain.references import Caller

OPERATOR = "(operator)"
"""Stands for the entity where none calls; no entity may have the name."""

_NOTHING: Mapping[str, JsonValue] = MappingProxyType({})


class HostAct(StrEnum):
    """What an operator does by a command; its name on record, where a call has that of its method."""

    SUSPEND_ENTITY = "SuspendEntity"
    RESUME_ENTITY = "ResumeEntity"
    ROTATE_KEYS = "RotateKeys"
    REMOVE_KEY = "RemoveKey"
    RESEAL = "Reseal"
    ERASE_OWNER = "EraseOwner"
    REPLACE_SIGNING_KEY = "ReplaceSigningKey"
    BACKUP = "Backup"
    RESTORE = "Restore"
    SHOW_AUDIT = "ShowAudit"
    EXPORT_AUDIT = "ExportAudit"
    PROVE_ENTRY = "ProveEntry"
    ADD_MODEL = "AddModel"


@dataclass(frozen=True, slots=True)
class HostUser:
    """Who acts, as the operating system knows.

    Args:
        name: of the user as whom the command runs.
        login: of the user who logged in, where that is another one, such as whoever became root; empty where it is
            the same one or is not known.
    """

    name: str
    login: str = ""

    @property
    def principal(self) -> str:
        """The principal on record."""
        return f"local:{self.name}"


def entry_of(
    act: HostAct,
    user: HostUser,
    operator: str = "",
    *,
    filters: Mapping[str, JsonValue] = _NOTHING,
    details: Mapping[str, JsonValue] = _NOTHING,
) -> AuditEntry:
    """The entry of an act that is about to be done.

    Args:
        act: what is done.
        user: who does it.
        operator: the name that the person gives; empty where none is given.
        filters: what is asked for, of an act that reads.
        details: what it touches.
    """
    login = {"login": user.login} if user.login else {}
    return AuditEntry(
        act.value,
        Caller(OPERATOR, operator=operator),
        "OK",
        filters=dict(filters),
        details={**details, **login},
        principal=user.principal,
    )
