"""Reading, updating and expunging references."""

from __future__ import annotations

import time
from dataclasses import replace

from likeness.domain.changes import Change, Expunge, Receipt, RequestKey, Update, Write
from likeness.domain.errors import InvalidInput, NotFound, Stale
from likeness.domain.references import Caller, Reference, Status
from likeness.engine.audit import audit_write
from likeness.engine.enrol import MAX_TEXT, check_described
from likeness.engine.policy import as_seen_by, owned_by, require_owner, visible
from likeness.store.store import Store, only

UPDATE_ATTEMPTS = 8
"""Times that an update which keeps the status is tried when the reference changes between reading and writing."""


class Records:
    """The references of one modality, as their owners and other callers may see them."""

    def __init__(self, modality: str, store: Store) -> None:
        self._modality = modality
        self._store = store

    def get(self, caller: Caller, reference_id: str) -> Reference:
        """One reference; its tombstone too, for its owner.

        Raises:
            NotFound: there is none that the caller may know of.
        """
        found = self._store.get_many([reference_id]).get(reference_id)
        if (
            found is None
            or found.modality != self._modality
            or not visible(caller, found.facets, now=int(time.time()))
        ):
            raise NotFound(
                f"There is no {self._modality} reference {reference_id!r}; check the identifier.",
                metadata={"reference_id": reference_id[:64]},
            )
        return as_seen_by(caller, found)

    def update(
        self,
        caller: Caller,
        key: RequestKey,
        described: Reference,
        *,
        expected_position: int = 0,
        keep_status: bool = False,
    ) -> tuple[Reference, Receipt]:
        """Replace what the owner says of a reference; durable on return.

        Args:
            expected_position: the log position at which the caller read it; 0 means whatever it is now.
            keep_status: the status stays what it is, whatever `described` says, so that an update which does not
                mention it never puts a suspended reference back into searches.

        Raises:
            NotFound, Denied: not there, or not the caller's.
            Stale: it changed since `expected_position`, or again and again while it was being updated.
            InvalidInput: the metadata breaks a limit.
        """
        owned_by(caller, described.facets)
        check_described(described)
        if expected_position or not keep_status:
            return self._update(caller, key, described, expected_position, keep_status=keep_status)
        for _ in range(UPDATE_ATTEMPTS - 1):
            try:
                return self._update(caller, key, described, keep_status=True)
            except Stale:
                continue
        return self._update(caller, key, described, keep_status=True)

    def _update(
        self,
        caller: Caller,
        key: RequestKey,
        described: Reference,
        expected_position: int = 0,
        *,
        keep_status: bool,
    ) -> tuple[Reference, Receipt]:
        """Update once. A status that is kept must still be the one that was read, so its position is expected."""
        current = self.get(caller, described.reference_id)
        require_owner(caller, current.facets, "update")
        changed = _redescribed(current, described, keep_status=keep_status)
        if keep_status and not expected_position:
            expected_position = current.position
        receipt = self._commit(caller, key, Update(changed, expected_position), described.reference_id)
        return self._store.get(described.reference_id), receipt

    def expunge(self, caller: Caller, key: RequestKey, reference_id: str, reason: str) -> Receipt:
        """Erase a reference; durable on return.

        Raises:
            NotFound, Denied: not there, or not the caller's.
            InvalidInput: the reason is too long.
        """
        if len(reason) > MAX_TEXT:
            raise InvalidInput(
                f"The reason is longer than {MAX_TEXT} characters; shorten it.", field="reason"
            )
        current = self.get(caller, reference_id)
        require_owner(caller, current.facets, "expunge")
        return self._commit(caller, key, Expunge(reference_id, 0, reason), reference_id, reason)

    def _commit(
        self, caller: Caller, key: RequestKey, change: Change, reference_id: str, reason: str = ""
    ) -> Receipt:
        rpc = "Expunge" if isinstance(change, Expunge) else "Update"
        entry = audit_write(rpc, self._modality, caller, reference_id, reason)
        return only(self._store.write([Write(key, change, entry)]))


def _redescribed(current: Reference, described: Reference, *, keep_status: bool) -> Reference:
    """The reference as it stands, with what its owner now says of it."""
    status = current.facets.status
    keeps = keep_status and status is not Status.EXPUNGED  # of which the store says that it is gone
    return replace(
        current,
        facets=replace(described.facets, status=status) if keeps else described.facets,
        subject_id=described.subject_id,
        owner_reference=described.owner_reference,
        notices=described.notices,
        attributes=described.attributes,
        review_at=described.review_at,
    )
