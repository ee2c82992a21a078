"""Refusals on record, within bounds: so many of one principal in an hour have an entry of their own.

Further ones are refused without their reason, so that nothing is learnt that has no entry, and counted in the
store before they are answered. The audit has their number: at the first, whenever it has doubled, when the hour is
over and when the service stops. Of a service that is killed it may have that of the last doubling; after it there
were fewer than as many again.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, replace

from likeness.domain.access import Grant
from likeness.domain.audit import AuditEntry
from likeness.domain.quotas import HOUR, Charge, QuotaKind, QuotaLimits, QuotaReached
from likeness.domain.references import Caller
from likeness.domain.storage import Ledger
from likeness.engine.audit import audit_further
from likeness.engine.quotas import principal
from likeness.telemetry import metrics

_Key = tuple[str, str, int]
"""Who is counted, and when the window ends."""


@dataclass(frozen=True, slots=True)
class _Further:
    """Refusals of one caller without an entry: `count` of them in the window that `ends` then, of which the number
    `recorded` is in the audit."""

    caller: Caller
    reason: str
    count: int
    recorded: int
    ends: int


class Refusals:
    """Puts refusals on record. Safe to use from many threads.

    Args:
        ledger: where.
        limits: how many of one principal have an entry of their own.
    """

    def __init__(self, ledger: Ledger, limits: QuotaLimits) -> None:
        self._ledger = ledger
        self._limits = limits
        self._lock = threading.Lock()
        self._further: dict[_Key, _Further] = {}

    def record(self, entry: AuditEntry, caller: Caller) -> None:
        """Put a refusal on record.

        Raises:
            QuotaReached: it has no entry of its own and was counted; that is the answer then.
            LikenessError: it could not be recorded; that is the answer then.
        """
        limit = self._limits.of("refusals", caller.grant.roles)
        charge = Charge(QuotaKind.REFUSAL, (principal(caller),), limit, HOUR, beyond=True)
        try:
            self._ledger.audit(entry, (charge,))
        except QuotaReached as reached:
            metrics.quota_reached(charge.kind.value).inc()
            self._counted(caller, reached)
            raise

    def settle(self, now: float | None = None) -> None:
        """Put on record how many there were in windows that have ended by `now`, in Unix seconds, or by the clock.

        Raises:
            LikenessError: it could not be recorded; it is tried again next time.
        """
        for key, one in self._ended(time.time() if now is None else now):
            if one.count > one.recorded:
                self._put(one)
            with self._lock:
                self._further.pop(key, None)

    def close(self) -> None:
        """Put on record how many there were until now.

        Raises:
            LikenessError: it could not be recorded.
        """
        self.settle(math.inf)

    @property
    def is_due(self) -> bool:
        """Whether a window has ended that `settle` puts on record."""
        return bool(self._ended(time.time()))

    def _ended(self, now: float) -> list[tuple[_Key, _Further]]:
        with self._lock:
            return [(key, one) for key, one in self._further.items() if one.ends <= now]

    def _counted(self, caller: Caller, reached: QuotaReached) -> None:
        """Take note of one more, and put their number on record where it has doubled."""
        key: _Key = (*principal(caller), reached.ends)
        with self._lock:
            known = self._further.get(key)
            recorded = 0 if known is None else known.recorded
            one = _Further(_who(caller), reached.reason, reached.further, recorded, reached.ends)
            if known is None or known.count < one.count:
                self._further[key] = one
        if one.count & (one.count - 1) == 0:
            self._put(one)
            self._is_recorded(key, one.count)

    def _is_recorded(self, key: _Key, count: int) -> None:
        with self._lock:
            known = self._further.get(key)
            if known is not None:
                self._further[key] = replace(known, recorded=max(known.recorded, count))

    def _put(self, one: _Further) -> None:
        self._ledger.audit(audit_further(one.caller, one.reason, one.count, one.ends))


def _who(caller: Caller) -> Caller:
    """The caller without what a single call has: of the many there may be several purposes and cases."""
    grant = caller.grant
    return Caller(caller.entity, grant=Grant(principal=grant.principal, policy=grant.policy))
