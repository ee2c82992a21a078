"""Encryption under the keys of owners, and of snapshots, which hold what belongs to all of them.

A blob is as in `vault`, of the second version: after the key's id stands a label of 8 bytes, the leaf of the owner
whose key sealed it, or the mark of the secret of snapshots. A ring without keys for owners seals as older releases
did, and what those sealed is opened.
"""

from __future__ import annotations

from functools import lru_cache

from likeness.domain.errors import Corrupt, Precondition, WrongKey
from likeness.store.owner_keys import leaf_of
from likeness.store.vault import (
    KEY_PREFIX_BYTES,
    LABEL_PREFIX_BYTES,
    LABELLED,
    Buffer,
    KeyRing,
    KeyUse,
    Vault,
    derive,
)

_OWNERS_CACHED = 4096
"""Owners whose header is cached for each use."""


class OwnerVault(Vault):
    """Encryption, for one use, of what belongs to an owner."""

    def __init__(self, ring: KeyRing, use: KeyUse) -> None:
        super().__init__(ring, use)
        self._header_for = lru_cache(_OWNERS_CACHED)(self._make_header)

    def seal_for(self, owner: str, plaintext: Buffer, *, aad: bytes) -> bytes:
        """Encrypt under the owner's key of the active key.

        Raises:
            InvalidInput: as `seal`.
            Precondition: the owner has left and its key was erased.
        """
        header = self._header_for(owner)
        try:
            return self._seal(header, plaintext, aad)
        except Erased as error:
            raise Precondition(
                f"The key of owner {owner} was erased when it left, so nothing of it can be stored. Where it comes "
                "back, have the operator rotate the key ring and restart the service.",
                reason="OWNER_KEY_ERASED",
            ) from error

    def is_current_for(self, owner: str, blob: Buffer) -> bool:
        """Whether a sealed blob, or its beginning, is sealed under the owner's key of the active key."""
        header = self._header_for(owner)
        return bytes(blob[: len(header)]) == header

    def reseal_for(self, owner: str, blob: Buffer, *, aad: bytes) -> bytes:
        """The same sealed under the owner's key of the active key.

        Raises:
            WrongKey, Corrupt: as `unseal`.
            Precondition: as `seal_for`.
        """
        return self.seal_for(owner, self.unseal(blob, aad=aad), aad=aad)

    def _make_header(self, owner: str) -> bytes:
        if self._ring.active not in self._ring.owners:
            return self._header
        return LABELLED + bytes.fromhex(self._ring.active) + leaf_of(owner)

    def _key(self, key_id: str, label: bytes) -> bytes:
        if not label:
            return super()._key(key_id, label)
        return derive(_labelled_key(self._ring, key_id, label), self._use)


class SnapshotVault(Vault):
    """Encryption of snapshots, under a secret that every owner's exit replaces."""

    prefix_bytes = LABEL_PREFIX_BYTES

    def __init__(self, ring: KeyRing) -> None:
        super().__init__(ring, KeyUse.SNAPSHOTS)
        if ring.active in ring.owners:
            mark = ring.owners[ring.active].snapshots_mark
            self._header = LABELLED + bytes.fromhex(ring.active) + mark

    def _key(self, key_id: str, label: bytes) -> bytes:
        if not label:
            return super()._key(key_id, label)
        self._ring.subkey(key_id, self._use)  # whether the ring has the key at all
        keys = self._ring.owners.get(key_id)
        if keys is None or keys.snapshots_mark != label:
            raise Corrupt(
                "The snapshot was sealed before an owner left, and its key was erased then; the index is rebuilt "
                "from the log.",
                reason="SNAPSHOT_KEY_ERASED",
            )
        return derive(keys.snapshots, self._use)


class Erased(WrongKey):
    """The key was erased with its owner's exit."""


def is_erased(ring: KeyRing, blob: Buffer) -> bool:
    """Whether a blob of an owner, or its beginning of `LABEL_PREFIX_BYTES`, names a key that was erased."""
    head = bytes(blob[:LABEL_PREFIX_BYTES])
    keys = ring.owners.get(head[1:KEY_PREFIX_BYTES].hex())
    return head[:1] == LABELLED and keys is not None and not keys.holds(head[KEY_PREFIX_BYTES:])


def _labelled_key(ring: KeyRing, key_id: str, leaf: bytes) -> bytes:
    ring.subkey(key_id, KeyUse.CHECK)  # whether the ring has the key at all
    keys = ring.owners.get(key_id)
    if keys is None:
        raise WrongKey(
            f"The stored data needs the owners' keys of key {key_id}, which the key file does not hold: put back "
            "the newest key file.",
            metadata={"key_id": key_id},
        )
    key = keys.key(leaf)
    if key is None:
        raise Erased(
            "The stored data belongs to an owner that has left, and its key was erased then.",
            metadata={"key_id": key_id},
            reason="OWNER_KEY_ERASED",
        )
    return key
