"""Every call that was judged is on record before its caller learns what became of it.

The engine records what it answers. What is refused or fails is recorded here: within the worker that found it so,
or, where none was reached, by one. What the service sheds because it has no room, also while a call waits for a
worker, is not recorded: nothing was done, and a service that is overloaded must not write for every call that it
turns away. Metrics count those.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from likeness.domain.access import Action, Grant, Principal
from likeness.domain.deadline import CallDeadline
from likeness.domain.errors import Denied, InvalidInput, LikenessError
from likeness.domain.quotas import QuotaLimits
from likeness.domain.references import Caller, Purpose
from likeness.domain.storage import Ledger
from likeness.domain.text import printable
from likeness.engine.audit import audit_refusal
from likeness.engine.metadata_rules import NAME
from likeness.rpc.asked import wanted_by
from likeness.rpc.convert.enums import PURPOSES, member
from likeness.rpc.identity import MAX_TEXT, Peer, Request, action_of
from likeness.rpc.refusals import Refusals
from likeness.rpc.workers import Workers

SHED = frozenset(
    {"STARTING", "DRAINING", "STORE_CLOSED", "TOO_BUSY", "QUEUE_FULL", "TOO_MANY_WAIT", "WRITE_QUEUE_FULL"}
)
"""Reasons of calls that the service had no room for; they are not recorded."""

DONE = frozenset({"SUSPENSIONS_NOT_TAKEN"})
"""Reasons of acts that were done and are on record as such, though not all of it has an effect yet."""

UNREAD = frozenset({"MALFORMED_MESSAGE", "REQUEST_TOO_LARGE", "NO_REQUEST"})
"""Reasons of requests that came and could not be read."""

ACTIONS = {"EnrollMany": Action.ENROLL.value, "SearchWithProgress": Action.SEARCH.value}
"""What the methods ask for that have another name."""

_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class Act:
    """One request that is to be on record: that of a call, or an item of a stream.

    `begun`: whether it was handed to a worker, which records what becomes of it.
    """

    peer: Peer
    request: Request
    caller: Caller | None = None
    begun: bool = False

    def judge(self) -> Caller:
        """The caller of the request, with what it may do.

        Raises what `Peer.caller` raises.
        """
        self.caller = self.peer.caller(self.request)
        return self.caller

    @property
    def judged(self) -> Caller:
        """The caller, once it was judged.

        Raises:
            RuntimeError: it was not.
        """
        if self.caller is None:
            raise RuntimeError("A request was to be done before it was judged.")
        return self.caller


class Recorder:
    """Puts acts that were refused on record.

    Args:
        workers: where that is done for an act that no worker has begun.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._ledger: Ledger | None = None
        self._refusals: Refusals | None = None

    def attach(self, ledger: Ledger, limits: QuotaLimits) -> None:
        """Give the recorder what it writes to, and how many refusals it takes; until then nothing is judged, and
        nothing recorded."""
        self._ledger, self._refusals = ledger, Refusals(ledger, limits)

    @property
    def is_due(self) -> bool:
        """Whether there is something that `settle` puts on record."""
        return self._refusals is not None and self._refusals.is_due

    def settle(self) -> None:
        """Put on record how many refusals had no entry in windows that have ended; blocks.

        Raises:
            LikenessError: it could not be recorded.
        """
        if self._refusals is not None:
            self._refusals.settle()

    def close(self) -> None:
        """Put on record how many refusals had no entry until now; blocks.

        Raises:
            LikenessError: it could not be recorded.
        """
        if self._refusals is not None:
            self._refusals.close()

    def done(self, act: Act, ask: Callable[[], _Answer]) -> _Answer:
        """What `ask` answers, which is then on record; for a worker.

        Raises:
            LikenessError: what `ask` raised, once that is on record; or it could not be recorded.
        """
        try:
            return ask()
        except Exception as error:
            self._record(act, error)
            raise

    @asynccontextmanager
    async def judging(self, act: Act, deadline: CallDeadline) -> AsyncIterator[None]:
        """Record the act if it is refused within the block, unless a worker has begun with it, who does that.

        Raises:
            LikenessError: it could not be recorded; that is the answer then.
        """
        try:
            yield
        except Exception as error:
            if not act.begun and _is_due(act, error):
                await self._workers.run(partial(self._record, act, error), deadline)
            raise

    async def unread(self, peer: Peer, method: str, error: LikenessError, deadline: CallDeadline) -> None:
        """Record a request that could not be read, if it is proven whose it is: nothing else is known of it.

        Raises:
            LikenessError: it could not be recorded; that is the answer then.
        """
        if self._refusals is None or peer.principal == Principal():
            return
        caller = Caller("", grant=Grant(principal=peer.principal, policy=peer.access.policy))
        entry = audit_refusal(ACTIONS.get(method, method), peer.modality, caller, error.reason)
        refusals = self._refusals
        await self._workers.run(lambda _: refusals.record(entry, caller), deadline)

    def _record(self, act: Act, error: Exception, _: object = None) -> None:
        if self._ledger is None or self._refusals is None or not _is_due(act, error):
            return
        caller = act.caller or claimed(act.request, act.peer)
        if isinstance(error, Denied) and error.decided_by:
            caller = replace(caller, grant=replace(caller.grant, decided_by=error.decided_by))
        wanted = wanted_by(act.request, self._ledger.probe_digest)
        reason = error.reason if isinstance(error, LikenessError) else LikenessError.reason
        action = action_of(act.request).value
        entry = audit_refusal(
            action,
            act.peer.modality,
            caller,
            reason,
            probe=wanted.probe,
            filters=wanted.filters,
            options=wanted.options,
            details=wanted.details,
        )
        self._refusals.record(entry, caller)


def _is_due(act: Act, error: Exception) -> bool:
    """Whether the refusal is to be on record: it is none of load nor of an act that was done, and somebody is known
    to have called."""
    if isinstance(error, LikenessError) and error.reason in SHED | DONE:
        return False
    known = act.caller or claimed(act.request, act.peer)
    return bool(known.entity) or act.peer.principal != Principal()


def claimed(request: Request, peer: Peer) -> Caller:
    """The caller of a request that was refused before it was judged, as far as its texts can stand in an entry."""
    context, principal = request.caller, peer.principal
    try:
        purpose = member(PURPOSES, context.purpose, "caller.purpose")
    except InvalidInput:
        purpose = Purpose.UNSPECIFIED
    return Caller(
        context.entity if NAME.fullmatch(context.entity) else "",
        purpose,
        printable(context.case_reference[:MAX_TEXT]),
        principal.operator or printable(context.operator[:MAX_TEXT]),
        Grant(principal=principal, policy=peer.access.policy),
    )
