"""Small real writes for tests of the store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likeness.domain.audit import AuditCandidate, AuditEntry, AuditMark, JsonValue
from likeness.domain.changes import Change, Enrol, Expunge, RequestKey, Update, Write
from likeness.domain.errors import LikenessError
from likeness.domain.ids import new_id
from likeness.domain.references import Caller, Category, Facets, Purpose, Reference
from likeness.domain.samples import Quality, QualityComponent, Template
from likeness.store.store import Store
from tests.unit.store import backends
from tests.unit.store.backends import Database

SPACE = "test/1"


def open_store(folder: Path, expected: AuditMark | None = None) -> Store:
    """The store of a folder, with its key next to the data."""
    return Store.open(folder / "data", key_file=folder / "key.json", expected=expected)


def write_of(change: Change, request_id: str | None = None, entity: str = "FR") -> Write:
    """A write with a digest that follows from the change."""
    digest = hashlib.sha256(repr(change).encode()).digest()
    return Write(RequestKey(entity, request_id or new_id(), digest), change)


def template(seed: int = 0) -> Template:
    """A template of two vectors and some detail, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return Template(SPACE, "model-1", rng.standard_normal((2, 8), dtype=np.float32), rng.bytes(20))


def enrol(
    seed: int = 0,
    *,
    reference_id: str | None = None,
    modality: str = "face",
    owner: str = "FR",
    galleries: frozenset[str] = frozenset({"wanted"}),
    category: Category = Category.SUSPECT,
    source: bytes | None = None,
    request_id: str | None = None,
    **details: Any,
) -> Write:
    """A write that enrols a reference with everything filled in."""
    reference = Reference(
        reference_id=reference_id or new_id(),
        modality=modality,
        facets=Facets(owner, galleries, category, expires_at=4_102_444_800),
        **{
            "subject_id": f"subject-{seed}",
            "owner_reference": f"{owner}/{seed}",
            "notices": ("2024/1", "2024/2"),
            "attributes": {"height_cm": "181", "name": "Zoë"},
            "quality": Quality(81.5, (QualityComponent("InterEyeDistance", 70.0, 61.25, "px"),)),
            **details,
        },
    )
    return write_of(Enrol(reference, template(seed), source), request_id)


def update(reference: Reference, expected_position: int = 0) -> Write:
    """A write that replaces a reference's description."""
    return write_of(Update(reference, expected_position))


def expunge(reference_id: str, expected_position: int = 0, reason: str = "court order") -> Write:
    """A write that expunges a reference."""
    return write_of(Expunge(reference_id, expected_position, reason))


def act(number: int = 0, **details: JsonValue) -> AuditEntry:
    """An audit entry."""
    caller = Caller("FR", Purpose.CRIMINAL_INVESTIGATION, f"case-{number}", "officer 7")
    candidates = (AuditCandidate("reference-1", 0.75, 1e-6),)
    return AuditEntry("Search", caller, "OK", "face", candidates=candidates, details=details)


def template_bytes(found: Template | None) -> bytes:
    """A template's content, for comparison: templates do not compare themselves."""
    assert found is not None
    return found.to_bytes()


@contextmanager
def tampering(folder: Path) -> Iterator[Database]:
    """Another program that changes the database of a closed store."""
    with backends.tampering(folder / "data") as database:
        yield database


def audit_end(folder: Path) -> AuditMark:
    """The last audit entry of a closed store."""
    with tampering(folder) as database:
        query = "SELECT position, digest FROM audit ORDER BY position DESC LIMIT 1"
        return AuditMark(*database.execute(query).fetchone())


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of the store that has bytes, but for its lock and for memory that is shared."""
    files = {path.name: path.read_bytes() for path in (folder / "data").iterdir()}
    return {name: data for name, data in files.items() if data and not name.endswith((".lock", "-shm"))}


Damage = Callable[[Database], object]


def assert_refused_unchanged(folder: Path, damage: Damage, error: type[LikenessError], words: str) -> None:
    """Another program does damage, and the store is not opened for it, twice, and left as it is."""
    with tampering(folder) as database:
        damage(database)
    before = contents(folder)
    for _ in range(2):
        with pytest.raises(error, match=words):
            open_store(folder)
        assert contents(folder) == before
