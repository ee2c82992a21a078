"""Which entities are cut off: a file beside the directory, so that cutting one off is one small change."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from likeness.access.directory import EntityName
from likeness.domain.errors import InvalidInput
from likeness.domain.files import write_whole

MAX_BYTES = 4 << 20


class Suspension(BaseModel):
    """Since when an entity is cut off, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: datetime
    reason: Annotated[str, StringConstraints(max_length=256)] = ""


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
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the beginning"
        raise _invalid(name, f"has at {place}: {first['msg']}") from error


def suspend(path: Path, entity: str, reason: str, *, like: Path | None = None) -> Suspension:
    """Cut an entity off; one that is cut off already keeps its time and gets the reason.

    Args:
        path: the file of what is cut off; made where there is none.
        entity: its name.
        reason: why.
        like: the directory's file. Whoever reads that, the service first of all, must be able to read this one.

    Returns:
        What stands in the file now.

    Raises:
        InvalidInput: the file or the name is malformed.
        OSError: the file cannot be written.
    """

    def changed(rows: dict[str, Suspension]) -> None:
        since = rows[entity].since if entity in rows else datetime.now(UTC).replace(microsecond=0)
        rows[entity] = Suspension(since=since, reason=reason)

    return _edited(path, like, changed)[entity]


def resume(path: Path, entity: str, *, like: Path | None = None) -> bool:
    """Let an entity call again; whether it was cut off. `like` is as in `suspend`.

    Raises:
        InvalidInput: the file is malformed.
        OSError: it cannot be written.
    """
    found = False

    def changed(rows: dict[str, Suspension]) -> None:
        nonlocal found
        found = rows.pop(entity, None) is not None

    _edited(path, like, changed)
    return found


def _edited(
    path: Path, like: Path | None, change: Callable[[dict[str, Suspension]], None]
) -> Mapping[str, Suspension]:
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        there = read_suspensions(path.read_bytes() if path.exists() else b"", str(path))
        rows = dict(there)
        change(rows)
        if rows == there:
            return there
        content = _FILE.dump_json(dict(sorted(rows.items())), indent=1) + b"\n"
        checked = read_suspensions(content, str(path))
        write_whole(path, content, like=like)
    finally:
        os.close(lock)
    return checked


def _invalid(name: str, what: str) -> InvalidInput:
    return InvalidInput(f"The suspensions {name} {what}; mend the file.", reason="SUSPENSIONS_INVALID")
