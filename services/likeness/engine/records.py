"""Reading, updating and expunging references."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from likeness.domain.changes import Change, Expunge, Receipt, RequestKey, Update, Write
from likeness.domain.deadline import Deadline
from likeness.domain.errors import InvalidInput, NotFound, Stale
from likeness.domain.references import (
    ALL_METADATA,
    Caller,
    Facets,
    MetadataField,
    Reference,
    Restrictions,
    Status,
)
from likeness.domain.scope import STAND_IN, Scope, may_know, visible
from likeness.domain.storage import ListFilter, Page, Storage, only, parse_token
from likeness.engine.audit import audit_get, audit_list, audit_write
from likeness.engine.metadata_rules import MAX_TEXT, check_metadata
from likeness.engine.policy import as_seen_by, owned_by, require_owner
from likeness.engine.shard import Shard

Fields = frozenset[MetadataField]

NO_REFERENCE = str(UUID(int=0))
"""An identifier that no reference has."""

UPDATE_ATTEMPTS = 8
"""Times that an update of some fields is tried when the reference changes between reading and writing."""


class Records:
    """The references of one modality, as their owners and other callers may see them."""

    def __init__(self, modality: str, store: Storage, shard: Shard) -> None:
        self._modality = modality
        self._store = store
        self._shard = shard

    def get(self, caller: Caller, reference_id: str) -> Reference:
        """One reference, as the caller may see it, on record; its tombstone too, for its owner.

        Raises:
            NotFound: there is none that the caller may know of.
        """
        seen = as_seen_by(caller, self._known(caller, reference_id))
        self._store.audit(audit_get(caller, seen))
        return seen

    def _known(self, caller: Caller, reference_id: str) -> Reference:
        """One reference that the caller may know of, whole.

        Raises:
            NotFound: there is none.
        """
        found = self._find(caller, reference_id)
        if (
            found is None
            or found.modality != self._modality
            or not visible(caller, found.facets, now=int(time.time()))
        ):
            raise NotFound(
                f"There is no {self._modality} reference {reference_id!r}; check the identifier.",
                metadata={"reference_id": reference_id[:64]},
            )
        return found

    def _find(self, caller: Caller, reference_id: str) -> Reference | None:
        """Read a reference, unless its facets say that the caller may not know of it: then none is read.

        What the index does not hold is looked for among the caller's own alone: a tombstone, or a reference that
        its owner must be able to expunge whatever the state of the index. In place of what the caller may not know
        of, one is looked for that cannot be there, so that both take the same time.
        """
        facets = self._shard.facets(reference_id)
        is_open = visible(caller, STAND_IN if facets is None else facets, now=int(time.time()))
        if facets is not None and is_open:
            return self._store.get_many([reference_id]).get(reference_id)
        wanted = reference_id if facets is None else NO_REFERENCE
        return self._store.get_many([wanted], owner=caller.entity).get(reference_id)

    def list(
        self, scope: Scope, token: str, size: int, deadline: Deadline, fit: Callable[[Page], Page]
    ) -> Page:
        """A page of what the caller may know of, in the order of enrolment; tombstones to their owner alone.

        `fit` shortens it to what is answered, which is put on record.

        Raises:
            InvalidInput: the token is not one that a list returned.
            DeadlineExceeded: time ran out.
        """
        caller, now = scope.caller, int(time.time())
        deadline.check("the list waited for its turn")
        page = self._store.page(
            self._shard.enrolled(scope, parse_token(token)),
            size,
            admits=lambda facets: scope.allows(facets) and visible(caller, facets, now=now),
            deadline=deadline,
        )
        if Status.EXPUNGED in scope.statuses and (not scope.owners or caller.entity in scope.owners):
            page = page.merged(self._tombstones(scope, token, size), size)
        page = fit(replace(page, references=tuple(as_seen_by(caller, r) for r in page.references)))
        deadline.check("the list was being recorded")
        self._store.audit(audit_list(scope, self._modality, page.references, parse_token(token)))
        return page

    def _tombstones(self, scope: Scope, token: str, size: int) -> Page:
        """The caller's own; of others' no row is read."""
        wanted = ListFilter(
            modality=self._modality,
            owners=frozenset({scope.caller.entity}),
            galleries=scope.galleries,
            categories=scope.categories,
            statuses=frozenset({Status.EXPUNGED}),
        )
        return self._store.list(wanted, token, size, admits=lambda facets: may_know(scope.caller, facets))

    def update(
        self,
        caller: Caller,
        key: RequestKey,
        described: Reference,
        *,
        expected_position: int = 0,
        fields: Fields = ALL_METADATA,
    ) -> tuple[Reference, Receipt]:
        """Change what the owner says of a reference; durable on return.

        Args:
            described: what the owner says now.
            expected_position: the log position at which the caller read it; 0 means whatever it is now.
            fields: what changes; the rest stays what it is, whatever `described` says, so that an update which does
                not mention the status never puts a suspended reference back into searches.

        Raises:
            NotFound, Denied: not there, or not the caller's.
            Stale: it changed since `expected_position`, or again and again while it was being updated.
            InvalidInput: the metadata breaks a limit.
        """
        owned_by(caller, described.facets)
        check_metadata(described)
        if expected_position or fields == ALL_METADATA:
            return self._update(caller, key, described, expected_position, fields)
        for _ in range(UPDATE_ATTEMPTS - 1):
            try:
                return self._update(caller, key, described, 0, fields)
            except Stale:
                continue
        return self._update(caller, key, described, 0, fields)

    def _update(
        self,
        caller: Caller,
        key: RequestKey,
        described: Reference,
        expected_position: int,
        fields: Fields,
    ) -> tuple[Reference, Receipt]:
        """Update once. What stays must still be what was read, so the position of that is expected."""
        current = self._known(caller, described.reference_id)
        require_owner(caller, current.facets, "update")
        changed = _redescribed(current, described, fields)
        check_metadata(changed)
        if fields != ALL_METADATA:
            expected_position = expected_position or current.position
        receipt = self._commit(caller, key, Update(changed, expected_position), described.reference_id)
        return as_seen_by(caller, self._store.get(described.reference_id)), receipt

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
        current = self._known(caller, reference_id)
        require_owner(caller, current.facets, "expunge")
        return self._commit(caller, key, Expunge(reference_id, 0, reason), reference_id, reason)

    def _commit(
        self, caller: Caller, key: RequestKey, change: Change, reference_id: str, reason: str = ""
    ) -> Receipt:
        rpc = "Expunge" if isinstance(change, Expunge) else "Update"
        entry = audit_write(rpc, self._modality, caller, reference_id, reason)
        return only(self._store.write([Write(key, change, entry)]))


def _redescribed(current: Reference, described: Reference, fields: Fields) -> Reference:
    """The reference as it stands, with those fields of what its owner now says of it."""
    if current.facets.status is Status.EXPUNGED:
        fields |= {MetadataField.STATUS}  # the store says that it is gone

    def of(field: MetadataField) -> Reference:
        return described if field in fields else current

    return replace(
        current,
        facets=Facets(
            owner=of(MetadataField.OWNER).facets.owner,
            galleries=of(MetadataField.GALLERIES).facets.galleries,
            category=of(MetadataField.CATEGORY).facets.category,
            status=of(MetadataField.STATUS).facets.status,
            restrictions=_limits(of),
            expires_at=of(MetadataField.EXPIRE_TIME).facets.expires_at,
        ),
        subject_id=of(MetadataField.SUBJECT_ID).subject_id,
        owner_reference=of(MetadataField.OWNER_REFERENCE).owner_reference,
        notices=of(MetadataField.NOTICES).notices,
        attributes=of(MetadataField.ATTRIBUTES).attributes,
        review_at=of(MetadataField.REVIEW_TIME).review_at,
    )


def _limits(of: Callable[[MetadataField], Reference]) -> Restrictions:
    """Each restriction from where `of` takes its field; field and restriction have one name."""
    limits = {
        name: getattr(of(field).facets.restrictions, name)
        for field in MetadataField
        if (name := field.value.removeprefix("restrictions.")) != field.value
    }
    return Restrictions(**limits)
