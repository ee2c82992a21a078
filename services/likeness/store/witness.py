"""A small file that remembers how far the store has acknowledged.

A database may recover its write-ahead log up to the first damaged frame and drop the rest without a word, as SQLite
does, so that a flipped bit there would take acknowledged changes away. The witness is written after each commit and
before its callers are answered, without a sync of its own: it is exact after the death of the process, and after a
power cut it may be behind the database but never ahead of it. A database behind its witness is refused.

Two slots are written in turn; a damaged one is passed over.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from likeness.domain.errors import Corrupt, Unavailable, WrongKey
from likeness.domain.files import sync
from likeness.store.chain import EMPTY, Head
from likeness.store.sealing import GENESIS
from likeness.store.vault import ID_BYTES, SEAL_BYTES, Sealer

_FIELDS = struct.Struct(">QQQ")
_LOG_DIGEST_BYTES = SEAL_BYTES
_AUDIT_DIGEST_BYTES = 32
_RECORD_BYTES = _FIELDS.size + _LOG_DIGEST_BYTES + _AUDIT_DIGEST_BYTES
_SLOT_BYTES = 256
"""A slot lies within one sector, the unit that disks write whole."""


@dataclass(frozen=True, slots=True)
class Heads:
    """The ends of both chains."""

    log: Head = EMPTY
    audit: Head = EMPTY


class Witness:
    """The open witness file."""

    def __init__(self, path: Path, sealer: Sealer) -> None:
        self.path = path
        self._sealer = sealer
        self._turn = 0
        self._descriptor: int | None = None

    def read(self) -> Heads | None:
        """The newest heads that the file vouches for; None where there is no file.

        Raises:
            WrongKey: the file was sealed with a key that is not in the ring.
            Corrupt: the file exists and neither slot is whole.
        """
        try:
            data = self.path.read_bytes()[: 2 * _SLOT_BYTES]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"{self.path} cannot be read: {error.strerror}.") from error
        slots = [self._parse(data[start : start + _SLOT_BYTES]) for start in (0, _SLOT_BYTES)]
        whole = [slot for slot in slots if slot is not None]
        if not whole:
            self._check_keys(data)
            raise Corrupt(
                f"{self.path} is damaged; if the database was checked against a backup, remove that file and "
                "start again."
            )
        self._turn, heads = max(whole, key=lambda slot: slot[0])
        return heads

    def write(self, heads: Heads) -> None:
        """Remember the heads.

        Raises:
            OSError: the file cannot be written.
        """
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._turn += 1
        record = _FIELDS.pack(self._turn, heads.log.position, heads.audit.position)
        record += heads.log.digest.ljust(_LOG_DIGEST_BYTES, b"\x00") + heads.audit.digest
        slot = record + self._sealer.sign(record)
        os.pwrite(self._descriptor, slot.ljust(_SLOT_BYTES, b"\x00"), self._turn % 2 * _SLOT_BYTES)

    def establish(self, heads: Heads) -> None:
        """Remember the heads, and make the file durable: a database without it is refused at the next opening.

        Raises:
            Unavailable: it cannot be written.
        """
        try:
            self.write(heads)
            self.sync()
            sync(self.path.parent)
        except OSError as error:
            raise Unavailable(
                f"{self.path} cannot be written: {error.strerror}; check its permissions and the space on its disk."
            ) from error

    def sync(self) -> None:
        """Make what was written durable.

        Raises:
            OSError: it may not be.
        """
        if self._descriptor is not None:
            os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Sync and close.

        Raises:
            OSError: the last entry may not be durable.
        """
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)

    def _check_keys(self, data: bytes) -> None:
        """Whether it is for want of a key that no slot opens."""
        for start in (0, _SLOT_BYTES):
            seal = data[start + _RECORD_BYTES : start + _RECORD_BYTES + SEAL_BYTES]
            try:
                if any(seal[:ID_BYTES]):
                    self._sealer.matches(b"", seal)
            except WrongKey as error:
                raise WrongKey(
                    f"{self.path} was sealed with key {seal[:ID_BYTES].hex()}, which is not in the key ring: the "
                    "ring is older than the data, or that file is damaged. Put back the newest key ring; if the "
                    "database was checked against a backup, remove that file and start again.",
                    metadata=error.metadata,
                ) from error

    def _parse(self, slot: bytes) -> tuple[int, Heads] | None:
        record, seal = slot[:_RECORD_BYTES], slot[_RECORD_BYTES : _RECORD_BYTES + SEAL_BYTES]
        try:
            if len(record) < _RECORD_BYTES or not self._sealer.matches(record, seal):
                return None
        except WrongKey:  # a slot never written, or damaged where it names its key
            return None
        turn, log_position, audit_position = _FIELDS.unpack_from(record)
        digests = record[_FIELDS.size :]
        log_digest = digests[:_LOG_DIGEST_BYTES] if log_position else GENESIS
        return turn, Heads(Head(log_position, log_digest), Head(audit_position, digests[_LOG_DIGEST_BYTES:]))
