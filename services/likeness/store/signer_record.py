"""Which key the store's audit is signed with: on record in the database, so that it comes with every copy.

What stands there is the public half and a seal over it. The seal is checked where the key ring is at hand.
"""

from __future__ import annotations

import sqlalchemy as sa

from likeness.domain.errors import Corrupt
from likeness.store.schema import meta
from likeness.store.sealing import Seals
from likeness.store.vault import SEAL_BYTES

SIGNER = "signer"
"""The name of the row in the table `meta`."""

_ROW = sa.select(meta.c.value).where(meta.c.name == SIGNER)


def signer_on_record(connection: sa.Connection, seals: Seals | None = None) -> str:
    """The verifier key on record, as `str` of a `VerifierKey` writes it; empty where there is none yet.

    Without `seals` it is read as it stands.

    Raises:
        Corrupt: it is damaged, or was changed.
        WrongKey: it was sealed with a key that is not in the ring.
    """
    value = connection.execute(_ROW).scalar()
    if value is None:
        return ""
    seal, text = (value[:SEAL_BYTES], value[SEAL_BYTES:]) if isinstance(value, bytes) else (b"", b"")
    if not text or (seals is not None and not seals.rows.matches(_sealed(text), seal)):
        raise Corrupt("The record of the signing key is damaged; restore the database from a backup.")
    return text.decode("utf-8", "replace")


def record_signer(connection: sa.Connection, seals: Seals, verifier: str) -> None:
    """Put a verifier key on record, in the place of another."""
    text = verifier.encode()
    connection.execute(meta.delete().where(meta.c.name == SIGNER))
    connection.execute(meta.insert(), {"name": SIGNER, "value": seals.rows.sign(_sealed(text)) + text})


def reseal_signer(connection: sa.Connection, seals: Seals) -> None:
    """Seal the record under the active key."""
    if known := signer_on_record(connection, seals):
        record_signer(connection, seals, known)


def _sealed(text: bytes) -> bytes:
    return SIGNER.encode() + b"\0" + text
