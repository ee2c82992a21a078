"""What was used of quotas, counted in the transaction that puts the act on record.

A row is a number under a keyed digest: nothing in it says who did what, with which probe or of whom. It has no
seal: whoever can change it can take it out as well, and gains no more than to begin counting again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import sqlalchemy as sa

from likeness.domain.errors import Corrupt
from likeness.domain.quotas import Charge, QuotaReached
from likeness.store.backend import Backend
from likeness.store.schema import quota
from likeness.store.sealing import Seals
from likeness.store.vault import ID_BYTES

KEY_BYTES = 16
"""Of the digest that something is counted under."""

PRUNED_ROWS = 10_000
"""At most so many are deleted in one transaction, which takes some tens of milliseconds."""

READ_TOGETHER = 24
"""Counts that one statement reads: those of a search for ten candidates, and a few more."""

_USED = sa.select(quota.c.ends, quota.c.key, quota.c.used).where(
    sa.or_(
        *(
            sa.and_(quota.c.ends == sa.bindparam(f"ends{i}"), quota.c.key == sa.bindparam(f"key{i}"))
            for i in range(READ_TOGETHER)
        )
    )
)

Key = tuple[int, bytes]


@dataclass(frozen=True)
class PreparedCharge:
    """A charge in its window, its names digested."""

    charge: Charge
    ends: int
    keys: tuple[Key, ...]


def prepare_charges(charges: Sequence[Charge], seals: Seals, now: float) -> tuple[PreparedCharge, ...]:
    """The charges in the windows of a time, in Unix seconds."""
    secret = seals.probes.sign(b"quota")[ID_BYTES:]
    return tuple(_prepared(charge, secret, charge.ends(now)) for charge in charges)


def _prepared(charge: Charge, secret: bytes, ends: int) -> PreparedCharge:
    about = (charge.kind.value, charge.seconds, ends)
    # As Python writes a tuple, which no other tuple is written as; JSON would take most of the time of a charge.
    names = (repr((*about, *name)).encode() for name in charge.names)
    digests = (blake2b(name, digest_size=KEY_BYTES, key=secret).digest() for name in names)
    return PreparedCharge(charge, ends, tuple((ends, digest) for digest in digests))


class QuotaPlan:
    """One transaction's worth of charges; nothing else may commit between its reading and its writing."""

    def __init__(self, backend: Backend, connection: sa.Connection) -> None:
        self._backend = backend
        self._connection = connection
        self._used: dict[Key, int] = {}
        self._changed: set[Key] = set()

    def take(self, charges: Sequence[PreparedCharge]) -> QuotaReached | None:
        """Count one use of each; where one is used up none is counted, and all are named that are of its kind.

        One that is there several times is several uses: it may be used up by those before it.

        Those that are counted beyond their limit are counted where they are used up, too.

        Raises:
            Corrupt: what is stored is no count.
        """
        self._load([key for charge in charges for key in charge.keys])
        spent, uses = list[PreparedCharge](), Counter[Key]()
        for charge in charges:
            if self._is_spent(charge, uses):
                spent.append(charge)
            else:
                uses.update(charge.keys)
        if not spent:
            self._add(uses)
            return None
        self._add(Counter(key for one in spent if one.charge.beyond for key in one.keys))
        first = spent[0]
        named = [one.charge for one in spent if one.charge.kind is first.charge.kind]
        further = self._used[first.keys[0]] - first.charge.limit if first.charge.beyond else 0
        return QuotaReached(named, first.ends, further)

    def _add(self, uses: Mapping[Key, int]) -> None:
        for key, count in uses.items():
            self._used[key] += count
            self._changed.add(key)

    def execute(self) -> None:
        """Write the counts in the connection's transaction."""
        rows = [{"ends": ends, "key": key, "used": self._used[ends, key]} for ends, key in self._changed]
        self._backend.upsert(self._connection, quota, rows)

    def _is_spent(self, one: PreparedCharge, uses: Mapping[Key, int]) -> bool:
        used_up = sum(self._used[key] + uses.get(key, 0) >= one.charge.limit for key in one.keys)
        return used_up >= min(one.charge.agreeing, len(one.keys))

    def _load(self, keys: Sequence[Key]) -> None:
        """Read the counts that are not known yet, many in a statement: one by one they would cost the most."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._used]
        for first in range(0, len(missing), READ_TOGETHER):
            some = missing[first : first + READ_TOGETHER]
            asked: dict[str, int | bytes] = {}
            for place in range(READ_TOGETHER):
                asked[f"ends{place}"], asked[f"key{place}"] = some[min(place, len(some) - 1)]
            self._used.update(dict.fromkeys(some, 0))
            for ends, key, used in self._backend.rows(self._connection, _USED, asked):
                self._used[ends, key] = _checked(used)


def _checked(used: object) -> int:
    if not isinstance(used, int):
        raise Corrupt("A count of a quota is damaged; restore the database from a backup.")
    return used


def prune(connection: sa.Connection, now: float) -> int:
    """Delete counts of windows that have ended; returns how many were, at most `PRUNED_ROWS`."""
    over = sa.select(quota.c.ends, quota.c.key).where(quota.c.ends <= int(now)).limit(PRUNED_ROWS)
    found = connection.execute(quota.delete().where(sa.tuple_(quota.c.ends, quota.c.key).in_(over)))
    return found.rowcount
