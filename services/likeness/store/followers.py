"""How far each named follower has come, moved in the transaction that writes what it derived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from likeness.domain.errors import Corrupt, InvalidInput, Stale
from likeness.domain.storage import Derived
from likeness.store.audit import encode_entry
from likeness.store.canonical import canonical_row
from likeness.store.chain import LOG
from likeness.store.schema import follower
from likeness.store.sealing import Seals

MAX_NAME_BYTES = 512

_ONE = sa.select(follower).where(follower.c.name == sa.bindparam("of"))
_MOVE = (
    follower.update()
    .where(follower.c.name == sa.bindparam("of"), follower.c.position == sa.bindparam("after"))
    .values(position=sa.bindparam("to"), seal=sa.bindparam("new_seal"))
)
_RESEAL = follower.update().where(follower.c.name == sa.bindparam("of")).values(seal=sa.bindparam("new_seal"))


@dataclass(frozen=True, slots=True)
class PreparedStep:
    """A step of a follower with what it derived encoded."""

    name: str
    after: int
    position: int
    bodies: Sequence[bytes] = field(default_factory=tuple)


def prepare_step(derived: Derived) -> PreparedStep:
    """Check and encode what a follower derived.

    Raises:
        InvalidInput: the name, a position or an act is none.
    """
    name = derived.follower
    if not name or len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidInput(f"The name of a follower has 1 to {MAX_NAME_BYTES} bytes.", field="follower")
    if not 0 <= derived.after < derived.position:
        raise InvalidInput(
            f"Follower {name!r} cannot go from log position {derived.after} to {derived.position}.",
            field="position",
        )
    bodies = tuple(encode_entry(act) for act in derived.acts)
    return PreparedStep(name, derived.after, derived.position, bodies)


def read_position(connection: sa.Connection, seals: Seals, name: str) -> int:
    """The log position that a follower has come to; 0 for one that never moved.

    Raises:
        Corrupt: it does not match its seal.
    """
    row = connection.execute(_ONE, {"of": name}).first()
    return 0 if row is None else _checked(row, seals)


def move(connection: sa.Connection, seals: Seals, step: PreparedStep, end: int) -> None:
    """Move a follower, in the connection's transaction; a refusal leaves no trace there.

    Raises:
        Stale: it is elsewhere than where the step begins.
        InvalidInput: the step leads past the end of the log.
        Corrupt: its position is damaged.
    """
    if step.position > end:
        raise InvalidInput(
            f"Follower {step.name!r} cannot be at log position {step.position}: the log ends at {end}.",
            field="position",
        )
    found = read_position(connection, seals, step.name)
    if found != step.after:
        raise Stale(
            f"Follower {step.name!r} is at log position {found}, not at {step.after}: another has taken this step. "
            "Go on from where it is.",
            metadata={"follower": step.name, "position": str(found)},
        )
    seal = _sign(seals, step.name, step.position)
    if found:
        values = {"of": step.name, "after": found, "to": step.position, "new_seal": seal}
        connection.execute(_MOVE, values)
    else:
        connection.execute(follower.insert(), {"name": step.name, "position": step.position, "seal": seal})


def check_followers(connection: sa.Connection, seals: Seals) -> None:
    """Whether every follower is where it was left, within the log.

    Raises:
        Corrupt: one is not.
    """
    end = LOG.head(connection).position
    for row in connection.execute(sa.select(follower)):
        if _checked(row, seals) > end:
            raise Corrupt(
                f"Follower {row.name!r} is at log position {row.position}, but the log ends at {end}; restore the "
                "database from a backup."
            )


def reseal_followers(connection: sa.Connection, seals: Seals) -> None:
    """Seal the positions under the active key.

    Raises:
        Corrupt: one does not match its seal.
    """
    for row in connection.execute(sa.select(follower)).all():
        seal = _sign(seals, row.name, _checked(row, seals))
        connection.execute(_RESEAL, {"of": row.name, "new_seal": seal})


def _checked(row: sa.Row[Any], seals: Seals) -> int:
    name, position, seal = row.name, row.position, row.seal
    if not isinstance(seal, bytes) or not seals.rows.matches(_content(name, position), seal):
        raise Corrupt(
            f"The position of follower {name!r} does not match its seal; restore the database from a backup."
        )
    return int(position)


def _sign(seals: Seals, name: str, position: int) -> bytes:
    return seals.rows.sign(_content(name, position))


def _content(name: object, position: object) -> bytes:
    return b"follower" + canonical_row([name, position])
