"""What the store needs done while it is served, whatever the modalities.

Its audit head goes into the log, its reserve is held again once there is space, what was used of quotas is deleted
once it counts no more, and after a failed commit it is tried whether acts can go on record again.
"""

from __future__ import annotations

import logging
import math
import time

from likeness.domain.audit import AuditMark
from likeness.domain.storage import Storage
from likeness.engine.audit import audit_resumed
from likeness.engine.ticker import Ticker
from likeness.telemetry import logs

log = logging.getLogger(__name__)

TICK_SECONDS = 5.0
"""How often it is looked whether anything is due."""

HEAD_SECONDS = 300.0
"""Between two lines of the audit head while the audit grows. What is cut off the chain after the last line that
left the machine cannot be noticed; a line costs 200 bytes."""


PRUNE_SECONDS = 3600.0
"""Between two looks for quotas of ended windows."""


class StoreUpkeep:
    """A thread that looks after an open store until it is closed; the store is closed after it, by its owner."""

    def __init__(self, store: Storage) -> None:
        self._store = store
        self._logged = -1
        self._logged_at = 0.0
        self._pruned_at = -math.inf
        self._ticker = Ticker(self._guarded_tick, TICK_SECONDS, "upkeep-store")

    def start(self) -> None:
        """Begin, with a line of the audit head."""
        self.log_head()
        self._ticker.start()

    def close(self) -> None:
        """Stop, with a last line of the audit head where it has changed."""
        self._ticker.close()
        self.log_head()

    def _guarded_tick(self) -> None:
        try:
            self.tick()
        except Exception as error:  # as the upkeep of a gallery, it must outlive a full disk
            logs.event(log, logging.ERROR, "upkeep failed", error=error, task="store")

    def tick(self) -> None:
        """Do what is due."""
        if self._store.is_full and self._store.hold_reserve():
            logs.event(log, logging.INFO, "space again: the reserve is held, and enrolment goes on")
        if self._store.is_failing:
            self._store.audit(audit_resumed())  # nobody is sent here meanwhile, whose call would show it
            logs.event(log, logging.INFO, "the audit can be written again")
        if time.monotonic() - self._logged_at >= HEAD_SECONDS:
            self.log_head()
        if time.monotonic() - self._pruned_at >= PRUNE_SECONDS and not self._store.prune_quotas():
            self._pruned_at = time.monotonic()  # where there was something, the next tick goes on

    def log_head(self) -> None:
        """Log where the audit chain ends, if it has changed: in the form that `audit.expected_head` takes."""
        head = self._store.audit_head()
        self._logged_at = time.monotonic()
        if head.position != self._logged:
            self._logged = head.position
            logs.event(
                log,
                logging.INFO,
                "audit head",
                audit_head=AuditMark(head.position, head.digest),
                log_position=self._store.head(),
            )
