"""Which entities are cut off by what the audit says of it, whatever the file of suspensions has."""

from __future__ import annotations

import sqlalchemy as sa

from likeness.domain.audit import TARGET
from likeness.domain.operators import HostAct
from likeness.store.audit_search import AuditFilter, find
from likeness.store.chain import AUDIT
from likeness.store.sealing import Seals

_ACTS = AuditFilter(outcome="OK")
"""A bureau's acts and an operator's have the same names."""


def suspended_on_record(connection: sa.Connection, seals: Seals) -> list[str]:
    """The entities that were cut off and not resumed since, by name. Reads every entry.

    Raises:
        Corrupt: an entry is missing or damaged.
    """
    found: set[str] = set()
    for record in find(connection, seals, _ACTS, 0, AUDIT.head(connection).position):
        entity = record.entry.details.get(TARGET)
        if not isinstance(entity, str):
            continue
        if record.entry.rpc == HostAct.SUSPEND_ENTITY:
            found.add(entity)
        elif record.entry.rpc == HostAct.RESUME_ENTITY:
            found.discard(entity)
    return sorted(found)
