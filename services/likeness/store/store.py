"""The store: what the engine sees of it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from likeness.domain.audit import AuditEntry, AuditMark
from likeness.domain.changes import ChangeKind, LogEntry, Receipt, RequestKey, Write
from likeness.domain.deadline import Deadline
from likeness.domain.errors import Unavailable
from likeness.domain.oversight import Received, ReceivedFilter
from likeness.domain.quotas import Charge
from likeness.domain.references import Facets, Reference, Status
from likeness.domain.samples import Template
from likeness.domain.storage import (
    AuditReceipt,
    Derived,
    Listener,
    ListFilter,
    Outcome,
    Page,
    ResealReport,
    Space,
    any_facets,
)
from likeness.store import reads
from likeness.store.audit import (
    AuditRecord,
    AuditReport,
    encode_entry,
    read_audit,
    verify_links,
)
from likeness.store.audit_search import references_of
from likeness.store.backend import reading
from likeness.store.chain import Head
from likeness.store.choice import backend_of
from likeness.store.exits import OwnerExit, finish_exits
from likeness.store.followers import prepare_step, read_position
from likeness.store.inspection import keys_on_record
from likeness.store.log import find_receipt, read_log
from likeness.store.opening import Opened, open_files
from likeness.store.owner_vault import SnapshotVault
from likeness.store.prepare import prepare
from likeness.store.quotas import prepare_charges, prune
from likeness.store.received import find_received
from likeness.store.reseal import count_rows, reseal
from likeness.store.signer_record import record_signer, signer_on_record
from likeness.store.verify import VerifyReport, verify_store
from likeness.store.writer import GROUP_WRITES, AuditJob, FollowJob, Observer, WriteJob, Writer

TAIL_CHUNK = 10_000
"""Log entries read in one transaction of `tail`."""


class Store:
    """References, their log and the audit chain, in one data directory. Safe to use from many threads."""

    def __init__(self, opened: Opened, data_dir: Path) -> None:
        self._opened = opened
        self._seals = opened.seals
        self._writer = Writer(opened.backend, opened.engine, opened.seals, opened.witness, opened.reserve)
        self._backend = opened.backend
        self._readers: sa.Engine = opened.backend.readers()
        self._closed = False
        self.data_dir = data_dir
        self.exits: Sequence[OwnerExit] = ()
        """Owners whose exit was found unfinished at the opening, and was finished."""

    @classmethod
    def open(
        cls, data_dir: Path, *, key_file: Path, expected: AuditMark | None = None, reserve_bytes: int = 0
    ) -> Store:
        """Open a data directory, or make it; the key file is made with a store that is new, never later.

        Args:
            data_dir: the folder of all that is stored.
            key_file: the key ring.
            expected: an entry, noted down earlier, that the audit chain must hold.
            reserve_bytes: held on the disk, so that acts go on record and references are expunged when it is full.

        Raises:
            Precondition: another process has it open, a newer release wrote it, or others can read the key.
            WrongKey: the key file is missing or is not the one that the data was written with.
            Corrupt: something stored is damaged, or missing, or an older copy; nothing was changed.
            Unavailable: a file cannot be read or written.
        """
        opened = open_files(backend_of(data_dir), key_file, expected, reserve_bytes)
        try:
            store = cls(opened, data_dir)
        except BaseException:
            opened.close()
            raise
        try:
            store.exits = finish_exits(opened.ring, store._reading, store.write, store.audit)
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Finish what is queued and close the files. A second call does nothing."""
        self._closed = True
        self._writer.close()
        self._readers.dispose()
        self._opened.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _reading(self) -> AbstractContextManager[sa.Connection]:
        if self._closed:
            raise Unavailable("The store is closed.", reason="STORE_CLOSED")
        return reading(self._backend, self._readers)

    @property
    def is_full(self) -> bool:
        """Whether there is no space to enrol in: what is not needed for audit and erasure should not be written."""
        return self._opened.reserve.is_spent

    @property
    def is_failing(self) -> bool:
        """Whether the last commit failed: nothing is answered until one succeeds."""
        return self._writer.is_failing

    def hold_reserve(self) -> bool:
        """Hold the reserve again if there is room for it, so that enrolment goes on; whether it is held now."""
        return self._opened.reserve.hold()

    def sizes(self) -> dict[str, int]:
        """Bytes of the files in the data directory by kind; every kind is there.

        Raises:
            OSError: it cannot be read.
        """
        return self._backend.sizes()

    def space(self) -> Space:
        """The space of the file system that the data directory is on.

        Raises:
            OSError: it cannot be read.
        """
        return self._backend.space()

    def snapshot_seal(self) -> SnapshotVault:
        """Encryption, under this store's key ring, of the snapshots of indices."""
        return SnapshotVault(self._opened.ring)

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        """Do the writes in order; returns, once they are durable, a receipt or the refusal for each.

        More than `GROUP_WRITES` are committed in several transactions.
        """
        outcomes: list[Outcome] = []
        for start in range(0, len(writes), GROUP_WRITES):
            job = WriteJob([prepare(write, self._seals) for write in writes[start : start + GROUP_WRITES]])
            self._writer.submit(job)
            outcomes += job.future.result()
        return outcomes

    def receipt(self, key: RequestKey, kind: ChangeKind, of: str) -> Receipt | None:
        """What an earlier request with this key was given; None where there was none.

        `kind` and `of` are what the caller is about to do: an enrolment of a modality, or a change of a reference.

        Raises:
            Conflict: the request id was used for something else.
            Corrupt: the entry of that request is damaged.
        """
        with self._reading() as connection:
            return find_receipt(connection, self._seals, key, kind, of)

    def follow(self, listener: Listener) -> int:
        """Call the listener with every later commit, in order, before its callers are answered.

        It is called in the thread that commits, so it must be quick and must not write to the store. Returns the
        log position after which it is called with everything.
        """
        return self._writer.follow(listener)

    def unfollow(self, listener: Listener) -> None:
        """Call the listener no more."""
        self._writer.unfollow(listener)

    def observe_commits(self, observer: Observer) -> None:
        """Report every later commit's size and duration; the observer must be quick and must not raise."""
        self._writer.observe = observer

    def head(self) -> int:
        """The position of the last committed log entry; 0 while the log is empty."""
        return self._writer.heads.log.position

    def tail(self, after: int, *, modality: str | None = None, limit: int = TAIL_CHUNK) -> list[LogEntry]:
        """Up to `limit` entries after a position, of one modality or of all.

        Enrolments carry their template unless the reference has been expunged since. An empty list means that
        there was nothing up to the head at the time of the call.

        Raises:
            Corrupt: an entry is missing or damaged, or a template is.
        """
        entries: list[LogEntry] = []
        head = self.head()
        while after < head and len(entries) < limit:
            until = min(head, after + min(TAIL_CHUNK, limit - len(entries)))
            with self._reading() as connection:
                entries += read_log(connection, self._seals, after, until, modality)
            after = until
        return entries

    def get(self, reference_id: str) -> Reference:
        """One reference; an expunged one as its tombstone, without subject or quality.

        Raises:
            NotFound: there is no such reference.
            Corrupt: it is damaged.
        """
        found = self.get_many([reference_id])
        if reference_id not in found:
            raise reads.not_found(reference_id)
        return found[reference_id]

    def get_many(self, reference_ids: Iterable[str], *, owner: str = "") -> dict[str, Reference]:
        """Those of the references that exist, by id; where an owner is named, only those that are its own.

        Raises:
            Corrupt: one is damaged.
        """
        with self._reading() as connection:
            return reads.read_references(connection, self._seals, reference_ids, owner)

    def list(
        self,
        wanted: ListFilter,
        token: str = "",
        limit: int = 100,
        *,
        admits: Callable[[Facets], bool] = any_facets,
    ) -> Page:
        """A page of references in the order of enrolment, of those that `admits` lets pass.

        Raises:
            InvalidInput: the token or the limit is wrong.
            Corrupt: a reference is damaged.
        """
        with self._reading() as connection:
            return reads.list_page(connection, self._seals, wanted, token, limit, admits)

    def page(
        self,
        positions: Sequence[int] | NDArray[np.int64],
        limit: int,
        *,
        admits: Callable[[Facets], bool],
        deadline: Deadline,
    ) -> Page:
        """A page of the references that were enrolled at these log positions, ascending.

        No more is read than is shown, and what was changed meanwhile so that `admits` refuses it.

        Raises:
            InvalidInput: the limit is wrong.
            DeadlineExceeded: time ran out.
            Corrupt: a reference is damaged.
        """
        with self._reading() as connection:
            return reads.read_page(connection, self._seals, positions, limit, admits, deadline)

    def templates(self, reference_ids: Iterable[str]) -> dict[str, Template]:
        """The templates of those references that exist and are not expunged, by id.

        Raises:
            Corrupt: one is damaged.
        """
        with self._reading() as connection:
            return reads.read_templates(connection, self._seals, reference_ids)

    def source(self, reference_id: str) -> bytes | None:
        """The bytes that a reference was enrolled from, where policy keeps them.

        Raises:
            NotFound: there is no such reference.
            Corrupt: they are damaged.
        """
        with self._reading() as connection:
            return reads.read_source(connection, self._seals, reference_id)

    def expunge_reason(self, reference_id: str) -> str:
        """Why a reference was expunged.

        Raises:
            NotFound: there is no such reference, or it is not expunged.
            WrongKey: its owner has left since, and its key was erased then.
        """
        with self._reading() as connection:
            return reads.read_reason(connection, self._seals, reference_id)

    def count(self, modality: str = "", status: Status = Status.ACTIVE) -> int:
        """How many references of a modality, or of all, have a status."""
        with self._reading() as connection:
            return reads.count_references(connection, modality, status)

    def count_of_owner(self, owner: str) -> int:
        """How many references of an owner are not expunged."""
        with self._reading() as connection:
            return reads.count_of_owner(connection, owner)

    def probe_digest(self, data: bytes) -> str:
        """A keyed digest of a probe for the audit: it can be recognised by this store, not guessed by others."""
        return self._seals.probes.sign(hashlib.sha256(data).digest()).hex()

    def audit(self, entry: AuditEntry, charges: Sequence[Charge] = ()) -> AuditReceipt:
        """Put an act on record and count what it uses of quotas, in one transaction; returns once it is durable.

        Raises:
            QuotaReached: a quota is used up; nothing was written but counts beyond a limit.
            InvalidInput: the entry is too long or is not JSON.
            Unavailable: it could not be written.
        """
        job = AuditJob(encode_entry(entry), prepare_charges(charges, self._seals, time.time()))
        self._writer.submit(job)
        return job.future.result()

    def followed(self, follower: str) -> int:
        """The log position up to which a follower has derived what it derives; 0 for one that never did.

        Raises:
            Corrupt: it is damaged.
        """
        with self._reading() as connection:
            return read_position(connection, self._seals, follower)

    def advance(self, derived: Derived) -> Sequence[AuditReceipt]:
        """Put what a follower derived on record and move it, in one transaction; returns once that is durable.

        Raises:
            Stale: the follower is not at `derived.after`; nothing was written.
            InvalidInput: the log does not reach as far, or something cannot be stored.
            Unavailable: it could not be written; neither the acts nor the position were.
        """
        job = FollowJob(prepare_step(derived))
        self._writer.submit(job)
        return job.future.result()

    def audit_head(self) -> AuditReceipt:
        """The end of the audit chain; position 0 while it is empty."""
        head: Head = self._writer.heads.audit
        return AuditReceipt(head.position, head.digest)

    def audit_entries(self, after: int = 0, limit: int = 100) -> Sequence[AuditRecord]:
        """Up to `limit` acts after a position, their links checked.

        Raises:
            Corrupt: one is missing or damaged.
        """
        last = min(self._writer.heads.audit.position, after + limit)
        if last <= after:
            return []
        with self._reading() as connection:
            return read_audit(connection, self._seals, after, last)

    def received(self, wanted: ReceivedFilter, after: int, last: int) -> Sequence[Received]:
        """What the acts in (after, last] answered of an owner's references; all of these are read at once.

        Raises:
            Corrupt: an entry is missing or damaged.
        """
        with self._reading() as connection:
            return find_received(connection, self._seals, wanted, after, last)

    def references_of(self, owner: str, subject: str, deadline: Deadline) -> frozenset[str]:
        """The references that an owner has of a subject; an expunged one no longer says whose it was.

        Raises:
            DeadlineExceeded: time ran out.
            Corrupt: a reference is damaged.
        """
        with self._reading() as connection:
            return references_of(connection, self._seals, owner, subject, deadline)

    def verify_audit(self, first: int = 1, last: int | None = None) -> AuditReport:
        """Check the chain from `first` to `last`, by default all of it; needs no key."""
        end = self._writer.heads.audit.position if last is None else last
        with self._reading() as connection:
            return verify_links(connection, first, end)

    @property
    def active_key(self) -> str:
        """The id of the key that everything is sealed under from now on."""
        return self._opened.ring.active

    def old_keys(self) -> frozenset[str]:
        """The other keys that something is still sealed with."""
        with self._reading() as connection:
            return keys_on_record(connection) - {self.active_key}

    def signer_on_record(self) -> str:
        """The verifier key that the audit's checkpoints are signed with; empty where none is on record yet.

        Raises:
            Corrupt: the record is damaged.
        """
        with self._reading() as connection:
            return signer_on_record(connection, self._seals)

    def record_signer(self, verifier: str) -> None:
        """Put the verifier key on record that the audit's checkpoints are signed with from now on.

        Raises:
            Unavailable: the disk is full, or the store was closed.
        """
        self._writer.between_commits(lambda connection: record_signer(connection, self._seals, verifier))

    def prune_quotas(self) -> int:
        """Delete counts of windows that have ended, some thousands at a time; returns how many were.

        Raises:
            Unavailable: the disk is full, or the store was closed.
        """
        return self._writer.between_commits(lambda connection: prune(connection, time.time()))

    def count_rows(self) -> int:
        """How many references `reseal` looks at, the expunged ones too."""
        with self._reading() as connection:
            return count_rows(connection)

    def reseal(
        self,
        *,
        rows: int | None = None,
        rest: float = 0.0,
        stop: threading.Event | None = None,
        step: Callable[[int], None] = lambda _: None,
    ) -> ResealReport:
        """Seal under the active key what older keys sealed; see `likeness.store.reseal`. Others go on meanwhile."""
        transaction = self._writer.between_commits
        return reseal(
            self._backend,
            self._reading,
            transaction,
            self._seals,
            rows=rows,
            rest=rest,
            stop=stop,
            step=step,
        )

    def verify(self, *, full: bool = False) -> VerifyReport:
        """Check what is stored: quickly as at open, or every link, row and blob. Reports; changes nothing."""
        with self._reading() as connection:
            return verify_store(self._backend, connection, self._seals, full=full)
