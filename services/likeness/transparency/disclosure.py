"""One entry of an audit as it is shown to somebody who may see no other, and what the tree holds of it.

The tree's entry is a record of 80 bytes: position and time (8 bytes each, big-endian; microseconds since 1970-01-01
UTC), the entry's digest in the audit chain, and a commitment: SHA-256 over a salt of 32 bytes and the entry's JSON.
The salt is secret until the entry is shown, so that nobody can try out what an entry next to it might say.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from likeness.domain.errors import InvalidInput
from likeness.transparency.merkle import leaf_hash

SALT_BYTES = 32
DIGEST_BYTES = 32
_TIME_BYTES = 8


def commit(salt: bytes, body: bytes) -> bytes:
    """What binds to an entry's JSON without showing anything of it: 32 bytes."""
    return hashlib.sha256(salt + body).digest()


def record_hash(position: int, at: int, digest: bytes, commitment: bytes) -> bytes:
    """The hash, in the tree, of an entry's record."""
    numbers = position.to_bytes(_TIME_BYTES, "big") + at.to_bytes(_TIME_BYTES, "big", signed=True)
    return leaf_hash(numbers + digest + commitment)


@dataclass(frozen=True, slots=True)
class Disclosure:
    """An entry with what is needed to find its hash in the tree.

    `position` counts from 1, `at` is in microseconds since 1970-01-01 UTC, `body` is the entry's canonical JSON.
    """

    position: int
    at: int
    digest: bytes
    salt: bytes
    body: bytes

    @classmethod
    def decode(cls, position: int, data: bytes) -> Disclosure:
        """Read what `encode` wrote.

        Raises:
            InvalidInput: it is too short.
        """
        begin = _TIME_BYTES + DIGEST_BYTES + SALT_BYTES
        if len(data) <= begin:
            raise InvalidInput("The proof does not hold its entry.")
        at = int.from_bytes(data[:_TIME_BYTES], "big", signed=True)
        digest, salt = data[_TIME_BYTES : begin - SALT_BYTES], data[begin - SALT_BYTES : begin]
        return cls(position, at, digest, salt, data[begin:])

    def encode(self) -> bytes:
        """All but the position: time, digest, salt, and the rest is the entry's JSON."""
        return self.at.to_bytes(_TIME_BYTES, "big", signed=True) + self.digest + self.salt + self.body

    @property
    def leaf(self) -> bytes:
        """The hash of its record in the tree."""
        return record_hash(self.position, self.at, self.digest, commit(self.salt, self.body))
