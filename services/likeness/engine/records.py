"""Reading, updating and expunging references."""

from __future__ import annotations

import time
from dataclasses import replace

from likeness.domain.changes import Change, Expunge, Receipt, RequestKey, Update, Write
from likeness.domain.errors import InvalidInput, NotFound
from likeness.domain.references import Caller, Reference
from likeness.engine.audit import audit_write
from likeness.engine.enrol import MAX_TEXT, check_described
from likeness.engine.policy import as_seen_by, owned_by, require_owner, visible
from likeness.store.store import Store, only


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
        self, caller: Caller, key: RequestKey, described: Reference, expected_position: int
    ) -> tuple[Reference, Receipt]:
        """Replace what the owner says of a reference; durable on return.

        Raises:
            NotFound, Denied: not there, or not the caller's.
            Stale: it changed since `expected_position`.
            InvalidInput: the metadata breaks a limit.
        """
        current = self.get(caller, described.reference_id)
        require_owner(caller, current.facets, "update")
        owned_by(caller, described.facets)
        check_described(described)
        changed = replace(
            current,
            facets=described.facets,
            subject_id=described.subject_id,
            owner_reference=described.owner_reference,
            notices=described.notices,
            attributes=described.attributes,
            review_at=described.review_at,
        )
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
