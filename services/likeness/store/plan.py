"""One transaction's worth of writes, decided one after the other and then written all at once.

Deciding touches only memory, on top of what was read from the database before the first of them, so that a write
that is refused leaves no trace and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from likeness.domain.changes import ChangeKind, Enrol, Expunge, LogEntry, Receipt, Update
from likeness.domain.errors import Conflict, InvalidInput, LikenessError, NotFound, Stale
from likeness.domain.references import Reference, Status
from likeness.store.backend import Backend
from likeness.store.canonical import to_micros
from likeness.store.chain import Head
from likeness.store.codec import decode_facets, encode_facets, facet_columns
from likeness.store.log import BY_REQUEST, kind_and_object, receipt_at, repeats, request_id_reused
from likeness.store.prepare import PreparedWrite
from likeness.store.rows import Row, check_body, checked, fetch_rows
from likeness.store.schema import log, membership, reference, source, subject, template
from likeness.store.sealing import Seals, place, tag

SATELLITES = {"template": template, "subject": subject, "source": source}

_IS_HELD = sa.select(reference.c.key).where(reference.c.reference_id == sa.bindparam("identity"))


class WritePlan:
    """Decides writes in order and collects the rows that they make.

    `enrols_not` makes the refusal of every enrolment that was not done before; None lets them be done.
    """

    def __init__(
        self,
        backend: Backend,
        connection: sa.Connection,
        seals: Seals,
        head: Head,
        at: datetime,
        *,
        enrols_not: Callable[[], LikenessError] | None = None,
    ) -> None:
        self.head = head
        self._enrols_not = enrols_not
        self.entries: list[LogEntry] = []
        self.erases = False
        self._backend = backend
        self._connection = connection
        self._seals = seals
        self._at = at
        self._micros = to_micros(at)
        self._stored: dict[str, sa.Row[Any]] = {}
        self._held: set[str] = set()
        self._stored_requests: dict[tuple[str, str], int] = {}
        self._receipts: dict[tuple[str, str], tuple[bytes, LogEntry]] = {}
        self._rows: dict[str, Row] = {}
        self._log: list[dict[str, Any]] = []
        self._born: set[str] = set()
        self._touched: dict[str, None] = {}  # in order, so that inserts append
        self._bodies: dict[str, dict[int, bytes]] = {name: {} for name in SATELLITES}
        self._erased: set[int] = set()
        self._moved: set[int] = set()

    def load(self, writes: Sequence[PreparedWrite]) -> None:
        """Read what the batch will need to know."""
        changed = [write.reference_id for write in writes if not isinstance(write.change, Enrol)]
        if changed:
            self._stored = fetch_rows(self._connection, changed)
        for write in writes:
            entity, request_id = key = write.key.entity, write.key.request_id
            for name in self._seals.request_names(entity, request_id):
                found = self._backend.first(self._connection, BY_REQUEST, {"entity": entity, "name": name})
                if found is not None:
                    self._stored_requests[key] = found[0]
                    break
            if isinstance(write.change, Enrol) and self._is_stored(write.reference_id):
                self._held.add(write.reference_id)

    def _is_stored(self, reference_id: str) -> bool:
        return self._backend.first(self._connection, _IS_HELD, {"identity": reference_id}) is not None

    def decide(self, write: PreparedWrite) -> Receipt | LikenessError:
        """Do a write in memory, or say why not."""
        try:
            replay = self._replay(write)
            if replay is not None:
                return replay
            change = write.change
            if isinstance(change, Enrol):
                return self._enrol(write, change)
            if isinstance(change, Update):
                return self._update(write, change)
            return self._expunge(write, change)
        except LikenessError as error:
            return error

    def _replay(self, write: PreparedWrite) -> Receipt | None:
        key = write.key
        known = self._receipts.get((key.entity, key.request_id))
        if known is None:
            position = self._stored_requests.get((key.entity, key.request_id))
            if position is None:
                return None
            return receipt_at(self._connection, self._seals, position, key, *kind_and_object(write.change))
        digest, entry = known
        if digest != key.digest or not repeats(*kind_and_object(write.change), entry):
            raise request_id_reused(key)
        return Receipt(entry.reference_id, entry.position, entry.at, replayed=True)

    def _enrol(self, write: PreparedWrite, change: Enrol) -> Receipt:
        if self._enrols_not is not None:
            raise self._enrols_not()
        identity = write.reference_id
        if identity in self._rows or identity in self._held:
            raise Conflict(
                f"Reference {identity} already exists; an id is never used twice, not even after Expunge.",
                metadata={"reference_id": identity},
            )
        self._check_expiry(change.reference, None)
        key = self.head.position + 1
        self._rows[identity] = {
            "key": key,
            "created_at": self._micros,
            "reason": None,
            "source_tag": None,
            **write.columns,
        }
        self._born.add(identity)
        for satellite, body in write.blobs.items():
            self._bodies[satellite][key] = body
        return self._append(write, ChangeKind.ENROL, change)

    def _update(self, write: PreparedWrite, change: Update) -> Receipt:
        row = self._current(write.reference_id, change.expected_position)
        if change.reference.modality not in ("", row["modality"]):
            raise InvalidInput(
                f"Reference {write.reference_id} is of modality {row['modality']}; it cannot become "
                f"{change.reference.modality}.",
                field="modality",
            )
        self._check_expiry(change.reference, decode_facets(row["facets"]).expires_at)
        moved = {}
        if change.reference.facets.owner != row["owner"]:
            moved = self._under_key_of(change.reference.facets.owner, row)
        row.update(write.columns)
        row.update(moved)
        self._bodies["subject"][row["key"]] = write.blobs["subject"]
        return self._append(write, ChangeKind.UPDATE, change)

    def _under_key_of(self, owner: str, row: Row) -> Row:
        """Seal under a new owner's key what the reference has; returns the columns that change.

        Raises:
            Corrupt: a part of it cannot be opened.
        """
        key, name, seals = row["key"], row["reference_id"], self._seals
        columns, bodies = Row(), dict[str, bytes]()
        for satellite, vault in (("template", seals.templates), ("source", seals.sources)):
            body = self._bodies[satellite].get(key)
            if body is None:
                body = self._connection.execute(_BODY[satellite], {"of": key}).scalar()
            check_body(row, satellite, body)
            if body is not None:
                bodies[satellite] = vault.reseal_for(owner, body, aad=place(satellite, name))
                columns[f"{satellite}_tag"] = tag(bodies[satellite])
        aad = place("reference", name, "quality")
        columns["quality"] = seals.subjects.reseal_for(owner, row["quality"], aad=aad)
        for satellite, body in bodies.items():
            self._bodies[satellite][key] = body
        self._moved.add(key)
        self.erases = True
        return columns

    def _expunge(self, write: PreparedWrite, change: Expunge) -> Receipt:
        row = self._current(write.reference_id, change.expected_position)
        row["reason"] = self._seals.seal_reason(row["owner"], change.reason, write.reference_id)
        facets = replace(decode_facets(row["facets"]), status=Status.EXPUNGED)
        row.update(facet_columns(facets, encode_facets(facets)))
        row.update(quality=None, template_tag=None, subject_tag=None, source_tag=None)
        for bodies in self._bodies.values():
            bodies.pop(row["key"], None)
        self._erased.add(row["key"])
        self.erases = True
        return self._append(write, ChangeKind.EXPUNGE, change)

    def _check_expiry(self, reference: Reference, current: int | None) -> None:
        """Refuse an expiry that has passed: here, where a write that was done in time is known to be a replay.

        An update may leave the expiry of a reference as it is, also after that time.
        """
        expires = reference.facets.expires_at
        if expires is not None and expires != current and expires * _MICROS <= self._micros:
            raise InvalidInput(
                f"The expiry of the reference, {_moment(expires)}, has passed, so it could never be found; give a "
                "later time, or none. To take a reference out of searches, suspend or expunge it.",
                field="metadata.expire_time",
                reason="EXPIRY_HAS_PASSED",
            )

    def _current(self, identity: str, expected_position: int) -> Row:
        row = self._rows.get(identity)
        if row is None:
            stored = self._stored.get(identity)
            row = None if stored is None else checked(stored, self._seals)
        if row is None or row["status"] == Status.EXPUNGED:
            raise NotFound(
                f"There is no reference {identity}; it may have been expunged.",
                metadata={"reference_id": identity},
            )
        if expected_position not in (0, row["position"]):
            raise Stale(
                f"Reference {identity} was changed at log position {row['position']}, after position "
                f"{expected_position} at which it was read; read it again and retry.",
                metadata={"reference_id": identity, "position": str(row["position"])},
            )
        self._rows[identity] = row
        return row

    def _append(self, write: PreparedWrite, kind: ChangeKind, change: Enrol | Update | Expunge) -> Receipt:
        """Add the log entry of a change that has just been made to its row, and seal both."""
        row, position = self._rows[write.reference_id], self.head.position + 1
        row.update(updated_at=self._micros, position=position)
        self._touched[write.reference_id] = None
        entry = {
            "position": position,
            "at": self._micros,
            "kind": kind.value,
            "modality": row["modality"],
            "reference_id": write.reference_id,
            "facets": None if kind is ChangeKind.EXPUNGE else row["facets"],
            "entity": write.key.entity,
            "request_id": self._seals.request_names(write.key.entity, write.key.request_id)[0],
            "request_digest": self._seals.sign_request(write.key.digest),
        }
        entry["digest"] = self._seals.chain(self.head.digest, tuple(entry.values()))
        self.head = Head(position, entry["digest"])
        self._log.append(entry)
        self.entries.append(
            LogEntry(
                position=position,
                kind=kind,
                modality=row["modality"],
                reference_id=write.reference_id,
                at=self._at,
                facets=None if kind is ChangeKind.EXPUNGE else decode_facets(row["facets"]),
                template=change.template if isinstance(change, Enrol) else None,
            )
        )
        self._receipts[write.key.entity, write.key.request_id] = (write.key.digest, self.entries[-1])
        return Receipt(write.reference_id, position, self._at)

    def execute(self) -> None:
        """Write everything that was decided, in the connection's transaction."""
        for name in self._touched:
            self._rows[name]["seal"] = self._seals.sign_row(self._rows[name])
        new = [self._rows[name] for name in self._touched if name in self._born]
        changed = [self._rows[name] for name in self._touched if name not in self._born]
        outdated = dict.fromkeys(SATELLITES, self._erased | self._moved)
        outdated["subject"] = self._erased | {row["key"] for row in changed}
        self._insert(log, self._log)
        self._insert(reference, new)
        if changed:
            self._connection.execute(_UPDATE, [{f"new_{name}": row[name] for name in row} for row in changed])
            self._connection.execute(_LEAVE, [{"key_left": row["key"]} for row in changed])
        self._insert(membership, _memberships([*new, *changed]))
        for name, table in SATELLITES.items():
            if outdated[name]:
                self._connection.execute(_FORGET[name], [{"gone": key} for key in sorted(outdated[name])])
            self._insert(table, [{"key": k, "body": b} for k, b in self._bodies[name].items()])

    def _insert(self, table: sa.Table, rows: Sequence[Row]) -> None:
        self._backend.insert(self._connection, table, rows)


_MICROS = 1_000_000


def _moment(seconds: int) -> str:
    """The time of Unix seconds as people write it, or the seconds where the calendar does not reach."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return f"{seconds} s"


_UPDATE = (
    reference.update()
    .where(reference.c.key == sa.bindparam("new_key"))
    .values({c.name: sa.bindparam(f"new_{c.name}") for c in reference.columns if c.name != "key"})
)
_BODY = {
    name: sa.select(table.c.body).where(table.c.key == sa.bindparam("of"))
    for name, table in SATELLITES.items()
}
_LEAVE = membership.delete().where(membership.c.key == sa.bindparam("key_left"))
_FORGET = {
    name: table.delete().where(table.c.key == sa.bindparam("gone")) for name, table in SATELLITES.items()
}


def _memberships(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [
        {"gallery": gallery, "key": row["key"]}
        for row in rows
        for gallery in decode_facets(row["facets"]).galleries
    ]
