"""The journal of bulk enrolment: what was sent, and what became of it, so that a run can be resumed.

An append-only file of JSON lines, one per outcome, found again by a key over the sample's SHA-256 and all that
is sent about it. The same key makes the request id, so that whatever the journal lost in a crash (it is made
durable in groups) is sent again under the same id and answered by the server with its first result: no
duplicates, and no line here is ever needed for that.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from likeness.domain.errors import InvalidInput, LikenessError

SYNC_EVERY = 64
"""Outcomes per fsync; a crash loses at most the record of this many, never the enrolments themselves."""

MAX_LINE_BYTES = 64 << 10
"""A longer line is not one of ours."""

KEY_BYTES = 16
"""Bytes of a key held in memory per entry; 2^64 entries before a collision is likely."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """The outcome for one file.

    `key`: 32 hexadecimal digits over the SHA-256 of the file and what was sent about it. `reference_id` is
    empty for a rejected file, `reason` and `message` for an enrolled one. `box`: x, y, width, height of the
    enrolled face in pixels.
    """

    key: str
    sha256: str
    path: str
    reference_id: str = ""
    log_position: int = 0
    reason: str = ""
    message: str = ""
    box: tuple[float, float, float, float] | None = None

    @property
    def enrolled(self) -> bool:
        """Whether the file became a reference."""
        return bool(self.reference_id)


class Journal:
    """An open journal. One process at a time; entries are found by key without holding them in memory."""

    def __init__(self, path: Path) -> None:
        """Open or create the journal and take its lock.

        Raises:
            InvalidInput: another enrolment holds it.
            OSError: it cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self.damaged = 0
        """Lines that could not be read; their files are sent again."""
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(handle, "r+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise InvalidInput(
                f"Another enrolment is writing the journal {path}; wait for it, or name another with --journal."
            ) from None
        self._unsynced = 0
        self._offsets: dict[bytes, int] = {}
        self._last_enrolled: int | None = None
        self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._offsets)

    def get(self, key: str) -> JournalEntry | None:
        """The latest outcome recorded under a key."""
        offset = self._offsets.get(bytes.fromhex(key))
        if offset is None:
            return None
        self._file.seek(offset)
        return parse(self._file.readline(MAX_LINE_BYTES))

    def last_enrolled(self) -> JournalEntry | None:
        """The enrolment recorded last, or None."""
        if self._last_enrolled is None:
            return None
        self._file.seek(self._last_enrolled)
        return parse(self._file.readline(MAX_LINE_BYTES))

    def append(self, entry: JournalEntry) -> None:
        """Record an outcome; it is durable after SYNC_EVERY of them, `sync` or `close`."""
        start = self._file.seek(0, os.SEEK_END)
        self._index(entry, start)
        self._file.write(json.dumps(asdict(entry), separators=(",", ":")).encode() + b"\n")
        self._unsynced += 1
        if self._unsynced >= SYNC_EVERY:
            self.sync()

    def sync(self) -> None:
        """Make every recorded outcome durable."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._unsynced = 0

    def close(self) -> None:
        """Make everything durable and release the lock."""
        if not self._file.closed:
            self.sync()
            self._file.close()

    def _read(self) -> None:
        """Index the lines; cut off a torn last one, which a crash can leave."""
        start = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                self._file.truncate(start)
                break
            entry = parse(line)
            if entry is None:
                self.damaged += 1
            else:
                self._index(entry, start)
            start += len(line)

    def _index(self, entry: JournalEntry, start: int) -> None:
        self._offsets[bytes.fromhex(entry.key)] = start
        if entry.enrolled:
            self._last_enrolled = start


def parse(line: bytes) -> JournalEntry | None:
    """One line as an entry, or None where it is damaged."""
    try:
        fields = json.loads(line)
        if fields.get("box") is not None:
            x, y, width, height = (float(n) for n in fields["box"])
            fields["box"] = (x, y, width, height)
        entry = JournalEntry(**fields)
        return entry if len(bytes.fromhex(entry.key)) == KEY_BYTES else None
    except (ValueError, TypeError, AttributeError):
        return None


def find_references(path: Path, reference_ids: Iterable[str]) -> dict[str, JournalEntry]:
    """The entries of enrolled references, by id; those that the journal does not know are left out."""
    wanted = set(reference_ids)
    if not wanted or not path.is_file():
        return {}
    return {entry.reference_id: entry for entry in _entries(path) if entry.reference_id in wanted}


def _entries(path: Path) -> Iterator[JournalEntry]:
    with path.open("rb") as file:
        for line in file:
            entry = parse(line)
            if entry is not None:
                yield entry


def state_folder() -> Path:
    """Where journals lie: `$LIKENESS_STATE`, else `likeness` under `$XDG_STATE_HOME` or `~/.local/state`."""
    named = os.environ.get("LIKENESS_STATE")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    try:
        return Path(base).expanduser() / "likeness"
    except RuntimeError as error:
        raise LikenessError(
            "There is no home directory for the enrolment journal; set LIKENESS_STATE to a folder."
        ) from error


def default_path(server: str, entity: str, modality: str) -> Path:
    """The journal of one entity and modality at one server."""
    name = "".join(c if c.isalnum() or c in "-." else "_" for c in f"{server}-{entity}-{modality}")
    return state_folder() / "enrolments" / f"{name}.jsonl"
