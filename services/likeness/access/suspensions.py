"""Which entities are cut off: a file beside the directory, so that cutting one off is one small change."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from likeness.access.directory import MAX_PRINCIPAL, EntityName
from likeness.domain.errors import Denied, InvalidInput
from likeness.domain.files import write_whole

MAX_BYTES = 4 << 20
_ROW_BYTES = 16 << 10
"""More than one suspension takes in the file."""


class Suspension(BaseModel):
    """Since when an entity is cut off, by whom, and why.

    `audit` is the position of the entry of that act in the audit; 0 where it could not be put on record. `caller`
    is the entity in whose name its bureau did it; empty where an operator of the service did, who alone undoes it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: datetime
    reason: Annotated[str, StringConstraints(max_length=256)] = ""
    by: Annotated[str, StringConstraints(max_length=MAX_PRINCIPAL)] = ""
    audit: Annotated[int, Field(ge=0)] = 0
    caller: EntityName | Literal[""] = ""

    def prevails_over(self, other: Suspension) -> bool:
        """Whether this is an operator's and the other a bureau's."""
        return bool(other.caller) and not self.caller

    def renewed(self, by: Suspension) -> Suspension:
        """What holds once this entity was cut off again: since the same time, for the new reason.

        What a bureau did an operator takes over, and not the other way round.
        """
        if self.prevails_over(by):
            return self
        if by.prevails_over(self):
            return by.model_copy(update={"since": self.since})
        return self.model_copy(update={"reason": by.reason, "audit": self.audit or by.audit})


_FILE = TypeAdapter(dict[EntityName, Suspension])


def read_suspensions(content: bytes, name: str) -> Mapping[str, Suspension]:
    """The entities of a file that are cut off; none where it is empty.

    Args:
        content: JSON.
        name: of the file, for messages.

    Raises:
        InvalidInput: it is too large or malformed.
    """
    if len(content) > MAX_BYTES:
        raise _invalid(name, f"has {len(content):,} bytes; the limit is {MAX_BYTES:,}")
    if not content.strip():
        return {}
    try:
        return _FILE.validate_json(content)
    except ValidationError as error:
        raise _invalid(name, f"has at {_where(error)}") from error


def load_suspensions(path: Path) -> Mapping[str, Suspension]:
    """The entities that are cut off by a file that need not exist.

    Raises:
        InvalidInput: it is too large or malformed.
        OSError: it cannot be read.
    """
    return read_suspensions(path.read_bytes() if path.exists() else b"", str(path))


def merged(rows: Mapping[str, Suspension], others: Mapping[str, Suspension]) -> dict[str, Suspension]:
    """The suspensions of two files; none is lost, and what an operator did takes over what a bureau did."""
    every = dict(rows)
    for entity, row in others.items():
        if entity not in every or row.prevails_over(every[entity]):
            every[entity] = row
    return every


def suspend(
    path: Path,
    entity: str,
    reason: str,
    *,
    by: str = "",
    like: Path | None = None,
    caller: str = "",
    record: Callable[[], int] = lambda: 0,
) -> Suspension:
    """Cut an entity off; of one that is cut off already see `Suspension.renewed`.

    Args:
        path: the file of what is cut off; made where there is none.
        entity: its name.
        reason: why.
        by: who does it.
        like: the directory's file. Whoever reads that, the service first of all, must be able to read this one.
        caller: the entity of the same bureau that asks for it; empty for an operator.
        record: puts the act on record, at the position that it returns, or 0 for none; called before the file is
            changed, while nobody else can change it, and once it is found that it can be written. What it raises
            stops the change.

    Returns:
        What stands in the file now.

    Raises:
        Denied: `caller` is cut off itself.
        InvalidInput: the file, or what is to be written, is malformed.
        OSError: the file cannot be written.
    """

    def changed(rows: dict[str, Suspension]) -> None:
        _check_may_change(caller, rows)
        now = _suspension(entity, reason, by, caller).model_copy(update={"audit": record()})
        rows[entity] = rows[entity].renewed(now) if entity in rows else now

    return _edited(path, like, changed)[entity]


def note_record(path: Path, entity: str, position: int, *, like: Path | None = None) -> None:
    """Note where in the audit it stands that an entity was cut off; the first such entry stays noted.

    Raises:
        InvalidInput: the file is malformed.
        OSError: it cannot be written.
    """

    def changed(rows: dict[str, Suspension]) -> None:
        if entity in rows and not rows[entity].audit:  # or it was let in again meanwhile
            rows[entity] = rows[entity].model_copy(update={"audit": position})

    _edited(path, like, changed)


def resume(
    path: Path,
    entity: str,
    *,
    like: Path | None = None,
    caller: str = "",
    record: Callable[[bool], None] = lambda _: None,
) -> bool:
    """Let an entity call again; whether it was cut off, with which `record` is called. The rest is as in `suspend`.

    Raises:
        Denied: `caller` is cut off itself, or an operator cut the entity off.
        InvalidInput: the file is malformed.
        OSError: it cannot be written.
    """
    found = False

    def changed(rows: dict[str, Suspension]) -> None:
        nonlocal found
        _check_may_change(caller, rows)
        row = rows.pop(entity, None)
        if caller and row is not None and not row.caller:
            raise Denied(
                f"The entity '{entity}' was cut off by an operator of this service; ask there to resume it.",
                reason="SUSPENDED_BY_OPERATOR",
                metadata={"entity": entity},
            )
        found = row is not None
        record(found)

    _edited(path, like, changed)
    return found


def add(path: Path, rows: Mapping[str, Suspension], *, like: Path | None = None) -> Mapping[str, Suspension]:
    """Add suspensions of another file, such as a backup's, as `merged` does.

    Args:
        path: the file; made where there is none.
        rows: what to add, by entity.
        like: as in `suspend`.

    Returns:
        Those that the file did not have.

    Raises:
        InvalidInput: the file is malformed.
        OSError: it cannot be written.
    """
    added: dict[str, Suspension] = {}

    def changed(there: dict[str, Suspension]) -> None:
        added.update((entity, row) for entity, row in rows.items() if entity not in there)
        there.update(merged(there, rows))

    _edited(path, like, changed)
    return added


def _suspension(entity: str, reason: str, by: str, caller: str) -> Suspension:
    since = datetime.now(UTC).replace(microsecond=0)
    row = {"since": since, "by": by, "reason": reason, "caller": caller}
    try:
        return _FILE.validate_python({entity: row})[entity]
    except ValidationError as error:
        raise InvalidInput(
            f"The entity cannot be cut off so: at {_where(error)}.", reason="SUSPENSIONS_INVALID"
        ) from error


def _check_may_change(caller: str, rows: Mapping[str, Suspension]) -> None:
    """Of two entities that cut each other off at once only one succeeds, or nobody were left to resume them."""
    if caller in rows:
        raise Denied(
            f"The entity '{caller}' is cut off from this service itself; nothing was changed.",
            reason="ENTITY_SUSPENDED",
            metadata={"entity": caller},
        )


def _edited(
    path: Path, like: Path | None, change: Callable[[dict[str, Suspension]], None]
) -> Mapping[str, Suspension]:
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.geteuid() == 0:  # or the service could not change what root has changed
            folder = path.parent.stat()
            os.fchown(lock, folder.st_uid, folder.st_gid)
        fcntl.flock(lock, fcntl.LOCK_EX)
        there = load_suspensions(path)
        rows = dict(there)
        _check_room(path)
        change(rows)
        if rows == there:
            return there
        content = _FILE.dump_json(dict(sorted(rows.items())), indent=1) + b"\n"
        checked = read_suspensions(content, str(path))
        write_whole(path, content, like=like)
    finally:
        os.close(lock)
    return checked


def _check_room(path: Path) -> None:
    """Find out that the folder takes no file of the new length before the change is on record as done.

    Raises:
        OSError: it does not.
    """
    length = path.stat().st_size if path.exists() else 0
    with tempfile.TemporaryFile(dir=path.parent, buffering=0) as file:
        file.write(bytes(length + _ROW_BYTES))


def _where(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the beginning"
    return f"{place}: {first['msg']}"


def _invalid(name: str, what: str) -> InvalidInput:
    return InvalidInput(f"The suspensions {name} {what}; mend the file.", reason="SUSPENSIONS_INVALID")
