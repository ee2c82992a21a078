"""One commit at a time: what callers queue while one runs shares the next one.

A commit costs one sync of the disk however many writes and audit entries it carries. A caller that finds nobody
committing does so itself, in its own thread: to hand over to the writer's thread and back costs two switches, each
of which waits for the interpreter's lock.
"""

from __future__ import annotations

import enum
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from likeness.domain.changes import LogEntry, Receipt
from likeness.domain.errors import LikenessError, Unavailable
from likeness.domain.storage import AuditReceipt, Listener, Outcome
from likeness.store.audit import AuditPlan, encode_entry, settled
from likeness.store.backend import Backend, NoSpace, Reserve
from likeness.store.chain import AUDIT, LOG
from likeness.store.followers import PreparedStep, move
from likeness.store.plan import WritePlan
from likeness.store.prepare import PreparedWrite
from likeness.store.quotas import PreparedCharge, QuotaPlan
from likeness.store.sealing import Seals
from likeness.store.tree import tree_edge
from likeness.store.witness import Heads, Witness
from likeness.transparency.merkle import Edge

logger = logging.getLogger(__name__)

Observer = Callable[[str, int, float], None]
"""Called after every commit with: the chain (log or audit), the entries added to it, and the seconds it took."""

GROUP_WRITES = 4096
"""Writes and audit entries in one commit; bounds the memory and the latency of a transaction."""

GROUP_BYTES = 64 * 1024 * 1024
QUEUED_JOBS = 4096
QUEUE_SECONDS = 30.0
ERASE_SECONDS = 1.0
"""After an expunge, until its bytes leave the write-ahead log; and between attempts while readers hold them."""


@dataclass(slots=True)
class WriteJob:
    """Writes of one caller; refused ones are already errors."""

    writes: Sequence[PreparedWrite | LikenessError]
    future: Future[list[Outcome]] = field(default_factory=Future)

    @property
    def bytes(self) -> int:
        """The size of what is to be stored, in bytes."""
        return sum(
            len(body) for w in self.writes if isinstance(w, PreparedWrite) for body in w.blobs.values()
        )

    @property
    def count(self) -> int:
        """The number of writes."""
        return len(self.writes)


@dataclass(slots=True)
class AuditJob:
    """One encoded audit entry, and what the act uses of quotas."""

    body: bytes
    charges: Sequence[PreparedCharge] = ()
    future: Future[AuditReceipt] = field(default_factory=Future)
    count: int = 1

    @property
    def bytes(self) -> int:
        """The size of what is to be stored, in bytes."""
        return len(self.body)


@dataclass(slots=True)
class FollowJob:
    """One step of a follower."""

    step: PreparedStep
    future: Future[list[AuditReceipt]] = field(default_factory=Future)

    @property
    def bytes(self) -> int:
        """The size of what is to be stored, in bytes."""
        return sum(map(len, self.step.bodies))

    @property
    def count(self) -> int:
        """The number of audit entries, or one for the step alone."""
        return len(self.step.bodies) or 1


Job = WriteJob | AuditJob | FollowJob
Result = TypeVar("Result")


class _Signal(enum.Enum):
    """What the writer's thread receives through its queue apart from jobs."""

    END = enum.auto()
    ERASE = enum.auto()  # a caller's commit left something to be erased


class Writer:
    """Owns the writing connection, the heads of both chains, the edge of the audit's tree and the listeners."""

    def __init__(
        self, backend: Backend, engine: sa.Engine, seals: Seals, witness: Witness, reserve: Reserve
    ) -> None:
        self._backend = backend
        self._reserve = reserve
        self._engine = engine
        self._connection = self._held()
        self._seals = seals
        self._witness = witness
        self._queue: queue.Queue[Job | _Signal] = queue.Queue(QUEUED_JOBS)
        self._listeners: list[Listener] = []
        self.observe: Observer | None = None
        self.is_failing = False
        """Whether the last commit failed, so that nothing may be on record until one succeeds."""
        self._between_commits = threading.RLock()
        self._closing = threading.Lock()
        self._closed = False
        self._erase_at: float | None = time.monotonic()  # what a killed process left is erased first
        self._thread = threading.Thread(target=self._run, name="likeness-store-writer", daemon=True)
        try:
            self.heads, self._edge = self._read_ends(self._connection)
            witness.establish(self.heads)
            self._thread.start()
        except BaseException:
            self._connection.close()
            raise

    def submit(self, job: Job) -> None:
        """Do a job, in this thread if nobody commits and nothing waits, or else queue it for the writer's.

        Its future is answered once it is durable, and cannot be cancelled.

        Raises:
            Unavailable: the store is closed, or the queue stays full.
        """
        job.future.set_running_or_notify_cancel()
        with self._closing:
            if self._closed:
                raise Unavailable("The store is closed; nothing was written.", reason="STORE_CLOSED")
            # What waits goes first: callers that come later must not overtake it for ever.
            own = self._queue.unfinished_tasks == 0 and self._between_commits.acquire(blocking=False)
            if not own:
                self._enqueue(job)
        if own:
            try:
                self._process([job])
            finally:
                self._between_commits.release()
                if self._erase_at is not None:
                    self._queue.put(_Signal.ERASE)

    def _enqueue(self, job: Job) -> None:
        try:
            self._queue.put(job, timeout=QUEUE_SECONDS)
        except queue.Full as error:
            raise Unavailable(
                f"{QUEUED_JOBS} writes are waiting for the disk and none was done in {QUEUE_SECONDS:.0f} s; "
                "retry later.",
                reason="WRITE_QUEUE_FULL",
            ) from error

    def follow(self, listener: Listener) -> int:
        """Call the listener with every later commit; returns the log position that it begins after."""
        with self._between_commits:
            self._listeners.append(listener)
            return self.heads.log.position

    def unfollow(self, listener: Listener) -> None:
        """Stop calling the listener."""
        with self._between_commits:
            self._listeners.remove(listener)

    def between_commits(self, work: Callable[[sa.Connection], Result]) -> Result:
        """Do something to what is stored, in a transaction of its own, that adds to neither chain.

        Its old bytes leave the write-ahead log soon after, as those of expunged references do.

        Raises:
            Unavailable: the store is closed, or the disk is full.
        """
        with self._between_commits:
            # Asked here: who waited may find that the writer has ended meanwhile.
            if self._closed:
                raise Unavailable("The store is closed; nothing was written.", reason="STORE_CLOSED")
            try:
                with self._backend.guarded(), self._connected().begin():
                    result = work(self._connection)
                    erasing, self._erase_at = (
                        self._erase_at,
                        self._erase_at or time.monotonic() + ERASE_SECONDS,
                    )
            except BaseException:
                self._recover()
                raise
        if erasing is None:
            self._queue.put(_Signal.ERASE)
        return result

    def close(self) -> None:
        """Do what is queued, then end."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._queue.put(_Signal.END)
        self._thread.join()  # it takes the last turn after a caller's own commit that is under way
        self._connection.close()

    def _run(self) -> None:
        ended = False
        while not ended:
            ended = self._turn()
            if self._erase_at is not None and (ended or time.monotonic() >= self._erase_at):
                with self._between_commits:
                    self._erase()

    def _turn(self) -> bool:
        """Wait for a job or for the time to erase, and commit what is queued; whether the writer is to end."""
        patience = None if self._erase_at is None else max(0.0, self._erase_at - time.monotonic())
        try:
            first = self._queue.get(timeout=patience)
        except queue.Empty:
            return False
        with self._between_commits:  # what comes while another thread commits joins this group
            taken = self._collect(first)
            jobs = [item for item in taken if not isinstance(item, _Signal)]
            if jobs:
                self._process(jobs)
        for _ in taken:
            self._queue.task_done()
        return _Signal.END in taken

    def _collect(self, first: Job | _Signal) -> list[Job | _Signal]:
        """What waits after the first, up to the limits of a group; nothing comes after the end."""
        taken, count, size, item = [first], 0, 0, first
        while True:
            if not isinstance(item, _Signal):
                count += item.count
                size += item.bytes
            if count >= GROUP_WRITES or size >= GROUP_BYTES:
                return taken
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return taken
            taken.append(item)

    def _process(self, jobs: Sequence[Job]) -> None:
        """Commit a group, tell the listeners, then release the callers."""
        began, before = time.monotonic(), self.heads
        try:
            outcomes, entries = self._commit_within_reserve(jobs)
        except BaseException as error:  # in a caller's thread it may be Ctrl-C, at any point
            self.is_failing = True
            problem = error if isinstance(error, LikenessError) else _unforeseen(error)
            try:
                self._recover()
            finally:
                for job in jobs:
                    _fail(job, problem)
            if isinstance(error, Exception):
                return
            raise
        self.is_failing = False
        self._measure(before, time.monotonic() - began)
        self._notify(entries)
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(job, FollowJob | AuditJob) and isinstance(outcome, LikenessError):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)

    def _commit_within_reserve(self, jobs: Sequence[Job]) -> tuple[list[Any], Sequence[LogEntry]]:
        """Commit; where there is no space, in that of the reserve, and then what must go on alone."""
        try:
            return self._commit(jobs)
        except NoSpace:
            if not self._reserve.release():
                raise
        logger.error("The disk is full: enrolments are refused, audit and erasure go on from the reserve.")
        self._recover()
        if self._erase_at is None:
            self._erase_at = time.monotonic()  # to empty the write-ahead log gives back what it takes
        return self._commit(jobs)

    def _commit(self, jobs: Sequence[Job]) -> tuple[list[Any], Sequence[LogEntry]]:
        at = datetime.now(UTC)
        connection = self._connected()
        if all(isinstance(job, AuditJob) for job in jobs):
            return self._record(
                jobs, AuditPlan(self._seals, self.heads.audit, self._edge, at), connection
            ), ()
        with self._backend.guarded(), connection.begin():
            full = self._reserve.refusal if self._reserve.is_spent else None
            plan = WritePlan(self._backend, connection, self._seals, self.heads.log, at, enrols_not=full)
            audits = AuditPlan(self._seals, self.heads.audit, self._edge, at)
            quotas = QuotaPlan(self._backend, connection)
            plan.load(
                [
                    w
                    for job in jobs
                    if isinstance(job, WriteJob)
                    for w in job.writes
                    if isinstance(w, PreparedWrite)
                ]
            )
            outcomes: list[Any] = []
            for job in jobs:
                if isinstance(job, AuditJob):
                    outcomes.append(quotas.take(job.charges) or audits.add(job.body))
                elif isinstance(job, FollowJob):
                    outcomes.append(self._follow(job.step, audits, connection))
                else:
                    outcomes.append([_decide(w, plan, audits) for w in job.writes])
            plan.execute()
            audits.execute(self._backend, connection)
            quotas.execute()
            if plan.erases and self._erase_at is None:  # before it is durable: then it cannot be forgotten
                self._erase_at = time.monotonic() + ERASE_SECONDS
        self.heads, self._edge = Heads(plan.head, audits.head), audits.edge
        self._note()
        return outcomes, plan.entries

    def _follow(
        self, step: PreparedStep, audits: AuditPlan, connection: sa.Connection
    ) -> list[AuditReceipt] | LikenessError:
        """Move a follower and put what it derived on record, or say why not."""
        try:
            move(connection, self._seals, step, self.heads.log.position)
        except LikenessError as error:
            return error
        return [audits.add(body) for body in step.bodies]

    def _record(
        self, jobs: Sequence[Job], audits: AuditPlan, connection: sa.Connection
    ) -> list[AuditReceipt | LikenessError]:
        """Commit audit entries alone, which is what searches wait for, without what SQLAlchemy does around it."""
        quotas = QuotaPlan(self._backend, connection)
        with self._backend.transaction(connection):
            outcomes: list[AuditReceipt | LikenessError] = [
                quotas.take(job.charges) or audits.add(job.body) for job in jobs if isinstance(job, AuditJob)
            ]
            audits.execute(self._backend, connection)
            quotas.execute()
        self.heads, self._edge = replace(self.heads, audit=audits.head), audits.edge
        self._note()
        return outcomes

    def _note(self) -> None:
        """Write the witness; a commit that is durable is not taken back because this fails."""
        try:
            self._witness.write(self.heads)
        except OSError:
            logger.warning(
                "The witness file cannot be written; damage may be found later than usual.", exc_info=True
            )

    def _measure(self, before: Heads, seconds: float) -> None:
        if self.observe is None:
            return
        for chain, old, new in (
            ("log", before.log, self.heads.log),
            ("audit", before.audit, self.heads.audit),
        ):
            if new.position > old.position:
                self.observe(chain, new.position - old.position, seconds)

    def _notify(self, entries: Sequence[LogEntry]) -> None:
        if not entries:
            return
        for listener in tuple(self._listeners):
            try:
                listener(entries)
            except Exception:
                logger.exception("A listener of the log failed at position %d.", entries[-1].position)

    def _recover(self) -> None:
        """After a failed commit, believe the database and not the memory.

        Where a commit fails, SQLAlchemy holds the transaction for ended and the driver may not; where an interrupt
        came between the two, it is the other way round, and only another connection helps. It is not taken without
        need: on a full disk there is no opening one.
        """
        connection = self._connection
        try:
            with self._backend.guarded():
                if not connection.closed and self._is_lost(connection):
                    connection.invalidate()
                    connection.close()
                if connection.closed:
                    self._connected()  # reads the heads
                else:
                    self.heads, self._edge = self._read_ends(connection)
        except (LikenessError, sa.exc.SQLAlchemyError):
            # The next commit tries it again before anything else.
            logger.exception("The heads of the log cannot be read after a failed commit.")

    def _connected(self) -> sa.Connection:
        """The open connection; where a failure closed it a new one, and the heads that it reads."""
        if self._connection.closed:
            connection = self._held()
            try:
                self.heads, self._edge = self._read_ends(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _erase(self) -> None:
        """Have the bytes of expunged references leave the files, where they would otherwise linger."""
        self._erase_at = time.monotonic() + ERASE_SECONDS
        try:
            if self._backend.erase(self._connected()):
                self._erase_at = None
            self._witness.sync()
        except (LikenessError, OSError, sa.exc.SQLAlchemyError):
            logger.warning("What was expunged could not be erased from the files yet.", exc_info=True)

    def _is_lost(self, connection: sa.Connection) -> bool:
        """Whether the connection is in a transaction, as far as SQLAlchemy or the driver knows, and stays there."""
        return connection.in_transaction() or not self._backend.rolled_back(connection)

    def _held(self) -> sa.Connection:
        """The one connection, held open: to fetch it from its pool for every commit costs as much as what is then
        written."""
        with self._backend.guarded():
            return self._engine.connect()

    def _read_ends(self, connection: sa.Connection) -> tuple[Heads, Edge]:
        with self._backend.guarded(), connection.begin():
            return Heads(LOG.head(connection), AUDIT.head(connection)), tree_edge(connection)


def _decide(write: PreparedWrite | LikenessError, plan: WritePlan, audits: AuditPlan) -> Outcome:
    """Decide a write and put what was done on record, in the same transaction."""
    if isinstance(write, LikenessError):
        return write
    outcome = plan.decide(write)
    if write.audit is not None and isinstance(outcome, Receipt):
        audits.add(encode_entry(settled(write.audit, outcome)))
    return outcome


def _unforeseen(error: BaseException) -> LikenessError:
    logger.error("A commit failed.", exc_info=error)
    return LikenessError(f"The write failed for a reason that was not foreseen: {type(error).__name__}.")


def _fail(job: Job, problem: LikenessError) -> None:
    if isinstance(job, WriteJob):
        job.future.set_result([w if isinstance(w, LikenessError) else problem for w in job.writes])
    else:
        job.future.set_exception(problem)
