"""An engine over the vector modality, and who asks it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from likeness.domain.access import Level
from likeness.domain.answers import SearchOptions
from likeness.domain.changes import RequestKey
from likeness.domain.references import Caller, Facets, Purpose, Reference
from likeness.domain.samples import Sample, Selection
from likeness.engine.engine import Engine, Enrolled
from likeness.engine.gallery import Gallery
from likeness.engine.local_shard import LocalShard
from likeness.engine.memory import Memory
from likeness.store.store import Store
from likeness.testing.vectors import VectorModality

ALICE = Caller("NCB-AA", Purpose.CRIMINAL_INVESTIGATION, case_reference="A-1", operator="op-1")
BOB = Caller("NCB-BB", Purpose.MISSING_PERSON, case_reference="B-7")


class ByOwner:
    """A disclosure that shows as much of a reference as is said for its owner, and of others everything."""

    def __init__(self, levels: Mapping[str, Level]) -> None:
        self._levels = tuple(sorted(levels.items()))

    def level(self, facets: Facets) -> Level:
        return dict(self._levels).get(facets.owner, Level.FULL)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByOwner) and self._levels == other._levels

    def __hash__(self) -> int:
        return hash(self._levels)


class Bench:
    """An engine over the vector modality, with short ways to enrol and search."""

    def __init__(self, modality: VectorModality, store: Store, *, keep_sources: bool = False) -> None:
        self.store = store
        self.gallery = Gallery.of(modality, store)
        self.gallery.start()
        self.memory = Memory(store)
        self.shard = LocalShard(modality, self.gallery, store, self.memory)
        self.engine = Engine(modality, store, self.shard, self.memory, keep_sources=keep_sources)
        self._requests = 0

    def key(self, caller: Caller, content: bytes = b"", request_id: str = "") -> RequestKey:
        self._requests += 1
        return RequestKey(
            caller.entity, request_id or f"request-{self._requests}", hashlib.sha256(content).digest()
        )

    def enrol(
        self,
        text: str,
        caller: Caller = ALICE,
        *,
        override: str = "",
        request_id: str = "",
        selection: Selection = Selection(),
        subject: str = "someone",
        **facets: Any,
    ) -> Enrolled:
        described = Reference("", "face", Facets(owner=caller.entity, **facets), subject_id=subject)
        sample = Sample(text.encode(), name="a sample", selection=selection)
        key = self.key(caller, text.encode(), request_id)
        return self.engine.enrol(caller, key, described, sample, override=override)

    def search(self, text: str, caller: Caller = ALICE, **options: Any) -> list[str]:
        """The identifiers of the candidates for the first presentation, best first."""
        answer = self.engine.search(caller, Sample(text.encode()), SearchOptions(**options))
        return [c.reference.reference_id for c in answer.probes[0].candidates]
