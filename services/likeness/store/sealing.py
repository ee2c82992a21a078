"""Which part of the data is sealed with which subkey, and the seals of rows and of the log."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from likeness.domain.errors import Corrupt, Precondition
from likeness.store.canonical import canonical_row
from likeness.store.owner_vault import Erased, OwnerVault
from likeness.store.schema import SEALED_COLUMNS
from likeness.store.vault import ID_BYTES, TAG_BYTES, KeyRing, KeyUse, key_of

_REQUEST_ID = b"likeness/1/request-id"

_NAME_BYTES = 16
"""Of the keyed digest that a request is called by; among the requests of one entity none share it by chance."""

OWNER_HAS_LEFT = "its owner has left"
"""The reason of an expungement by which an owner's exit is finished."""

_REQUEST = b"likeness/1/request-content"
"""Before the digest of a request's content, so that its keyed digest is never that of a probe."""

GENESIS = bytes(32)
"""What the first entry of a chain takes for the digest of the entry before it."""


class Seals:
    """The vaults and sealers of one store."""

    def __init__(self, ring: KeyRing) -> None:
        self.ring = ring
        self.templates = OwnerVault(ring, KeyUse.TEMPLATES)
        self.subjects = OwnerVault(ring, KeyUse.SUBJECTS)
        self.sources = OwnerVault(ring, KeyUse.SOURCES)
        self.reasons = OwnerVault(ring, KeyUse.SUBJECTS)
        self.audit = ring.vault(KeyUse.AUDIT)
        self.check = ring.vault(KeyUse.CHECK)
        self.rows = ring.sealer(KeyUse.ROWS)
        self.log = ring.sealer(KeyUse.LOG)
        self.witness = ring.sealer(KeyUse.WITNESS)
        self.probes = ring.sealer(KeyUse.PROBES)
        self._salt_keys: dict[str, bytes] = {}

    def audit_salt(self, body: bytes, digest: bytes) -> bytes:
        """The salt of what the tree holds of an audit entry, from its sealed body and its digest: 32 bytes.

        It comes from the key that sealed the entry, of which this use stays on record when the key is retired.

        Raises:
            WrongKey: that key is not in the ring.
        """
        key_id = key_of(body)
        key = self._salt_keys.get(key_id)
        if key is None:
            subkey = self.ring.subkey(key_id, KeyUse.AUDIT)
            key = self._salt_keys[key_id] = hmac.digest(subkey, b"likeness/1/audit-salts", "sha256")
        return hmac.digest(key, digest, "sha256")

    def sign_request(self, digest: bytes) -> bytes:
        """The keyed digest by which the log recognises a request, from the digest of its content.

        The digest alone would let whoever reads the log try out photographs, subjects and reasons. The subkey that
        makes it stays on record when its key is retired, so that a request is recognised for as long as the log is.
        """
        return self.probes.sign(_REQUEST + digest)

    def request_names(self, entity: str, request_id: str) -> list[str]:
        """What a request may be called in the log, first what a new entry calls it: under each key, then plainly.

        A client may derive the id from what it sends, as `likeness enroll` does, so that it confirms guesses too.
        Plainly is how older releases called it, and the chain covers that.
        """
        named = self.probes.sign_under_each(_REQUEST_ID + canonical_row([entity, request_id]))
        return [*(seal[ID_BYTES : ID_BYTES + _NAME_BYTES].hex() for seal in named), request_id]

    def is_request(self, digest: bytes, stored: bytes) -> bool:
        """Whether a log entry was made by a request whose content has this digest.

        Raises:
            WrongKey: the entry was made under a key that is not in the ring.
        """
        # By a release that stored the digest itself, which the chain still covers.
        if len(stored) == len(digest):
            return hmac.compare_digest(stored, digest)
        return self.probes.matches(_REQUEST + digest, stored)

    def seal_reason(self, owner: str, reason: str, reference_id: str) -> bytes:
        """Why a reference is expunged, sealed for its owner; once it has left, `OWNER_HAS_LEFT` for the store."""
        aad = place("reference", reference_id, "reason")
        try:
            return self.reasons.seal_for(owner, reason.encode(), aad=aad)
        except Precondition:
            return self.reasons.seal(OWNER_HAS_LEFT.encode(), aad=aad)

    def reseal_reason(self, owner: str, reason: bytes, reference_id: str) -> bytes:
        """A reason sealed anew under the active key; where its owner has left since, that it has.

        Raises:
            WrongKey, Corrupt: it cannot be opened.
        """
        try:
            text = self.reasons.unseal(reason, aad=place("reference", reference_id, "reason")).decode()
        except Erased:
            text = OWNER_HAS_LEFT
        return self.seal_reason(owner, text, reference_id)

    def sign_row(self, row: Mapping[str, Any]) -> bytes:
        """The seal of a reference row over all of its other columns."""
        return self.rows.sign(canonical_row([row[name] for name in SEALED_COLUMNS]))

    def check_row(self, row: Sequence[Any]) -> None:
        """Check a reference row, its columns in the table's order.

        Raises:
            Corrupt: a column has changed since it was written.
        """
        seal = row[-1]
        if not isinstance(seal, bytes) or not self.rows.matches(canonical_row(tuple(row[:-1])), seal):
            raise Corrupt(
                f"The row of reference {row[1]!r} does not match its seal; restore the database from a backup."
            )

    def chain(self, previous: bytes, row: Sequence[Any]) -> bytes:
        """The digest of a log entry, its chained columns in the table's order."""
        return self.log.sign(previous + canonical_row(row))

    def check_chain(self, previous: bytes, row: Sequence[Any]) -> None:
        """Check one log row, all its columns in the table's order, against the digest before it.

        Raises:
            Corrupt: it, or the digest before it, has changed since it was written.
        """
        digest = row[-1]
        if not isinstance(digest, bytes) or not self.log.matches(
            previous + canonical_row(tuple(row[:-1])), digest
        ):
            raise Corrupt(
                f"Log entry {row[0]} does not follow from the one before it; restore the database from a backup."
            )


def place(table: str, reference_id: str, column: str = "body") -> bytes:
    """Where a blob belongs, as the authenticated data that it is sealed with."""
    return f"{table}.{column} of {reference_id}".encode()


def tag(blob: bytes) -> bytes:
    """The AES-GCM tag that ends a sealed blob and identifies this version of it."""
    return blob[-TAG_BYTES:]


def audit_digest(previous: bytes, position: int, at: int, body: bytes) -> bytes:
    """SHA-256 of the previous digest, position and time (8 bytes each, big-endian), then the sealed body.

    It is made over the ciphertext, so that the chain can be checked without any key.
    """
    numbers = position.to_bytes(8, "big") + at.to_bytes(8, "big", signed=True)
    return hashlib.sha256(previous + numbers + body).digest()
