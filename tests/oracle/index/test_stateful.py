"""Any order of changes, builds, snapshots and searches gives what the naive index gives."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from likeness.domain.references import Category, Facets, Status
from likeness.index import Columns, Snapshot, Snapshots, VectorIndex
from likeness.index.sights import Sight
from likeness.store.vault import KeyRing, KeyUse
from tests.oracle.index.naive import Naive, agrees

DIMENSION = 16
FACETS = st.builds(
    Facets,
    owner=st.sampled_from(["NCB-AA", "NCB-BB"]),
    galleries=st.frozensets(st.sampled_from(["wanted", "missing"])),
    category=st.sampled_from([Category.SUSPECT, Category.VICTIM]),
    status=st.sampled_from([Status.ACTIVE, Status.SUSPENDED]),
    expires_at=st.sampled_from([None, 50, 100]),
)
SEEDS = st.integers(0, 2**32 - 1)


class IndexMachine(RuleBasedStateMachine):
    """The index with its columns, and the naive one."""

    def __init__(self) -> None:
        super().__init__()
        self.naive = Naive(DIMENSION)
        self.columns = Columns()
        self.position = 0

    @initialize(flat=st.booleans())
    def start(self, flat: bool) -> None:
        self.limit = 10**9 if flat else DIMENSION * 40  # the other kind, from 40 rows on
        self.index = VectorIndex(DIMENSION, space="test/1", flat_components=self.limit)
        self.folder = tempfile.TemporaryDirectory()
        ring = KeyRing.load_or_create(Path(self.folder.name) / "keys.json")
        self.snapshots = Snapshots(Path(self.folder.name) / "snapshots", ring.vault(KeyUse.SNAPSHOTS))

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    @rule(facets=FACETS, count=st.integers(1, 3), seed=SEEDS)
    def enrol(self, facets: Facets, count: int, seed: int) -> None:
        self._add(facets, count, seed)

    @rule(facets=FACETS, seed=SEEDS)
    def enrol_many(self, facets: Facets, seed: int) -> None:
        self._add(facets, 60, seed)

    @precondition(lambda self: self.naive.live)
    @rule(data=st.data(), facets=FACETS)
    def update(self, data: st.DataObject, facets: Facets) -> None:
        row = data.draw(st.sampled_from(self.naive.live))
        self.naive.set(row, facets)
        self.columns.set(row, facets)
        self.position += 1

    @precondition(lambda self: self.naive.live)
    @rule(data=st.data(), count=st.integers(1, 10))
    def expunge(self, data: st.DataObject, count: int) -> None:
        rows = data.draw(st.lists(st.sampled_from(self.naive.live), min_size=1, max_size=count))
        self.naive.remove(rows)
        for row in rows:
            self.columns.clear(row)
        self.index.remove(rows)
        self.position += 1

    @rule()
    def build(self) -> None:
        built = self.index.build(self.position)
        assert built.rows == len(self.naive.live)
        assert built == self.index.generation

    @rule()
    def restart(self) -> None:
        self.snapshots.save(
            Snapshot(
                self.position,
                self.index.capture(),
                self.columns.capture(),
                {"ids": np.arange(3, dtype=np.int64)},
            )
        )
        loaded = self.snapshots.newest()
        assert loaded.refused == ()
        assert loaded.snapshot is not None
        assert loaded.snapshot.position == self.position
        assert loaded.snapshot.extra["ids"].tolist() == [0, 1, 2]
        self.index = VectorIndex.restore(loaded.snapshot.index, flat_components=self.limit)
        self.columns = Columns.restore(loaded.snapshot.columns)

    @rule(
        seed=SEEDS,
        k=st.integers(1, 80),
        owner=st.sampled_from(["NCB-AA", "NCB-BB", "NCB-CC"]),
        exact=st.booleans(),
    )
    def search(self, seed: int, k: int, owner: str, exact: bool) -> None:
        def allows(facets: Facets) -> bool:
            return facets.owner == owner and facets.status is Status.ACTIVE

        mask = self.columns.mask(allows, 75, key=owner)
        allowed = self.naive.allowed(allows, 75)
        assert mask.tolist() == allowed.tolist()
        galleries = frozenset({"wanted", "missing", "elsewhere"})
        held = {g for f in self.naive.facets if f is not None and allows(f) for g in f.galleries}
        assert self.columns.known_galleries(galleries, Sight(allows, owner)) == held
        queries = np.random.default_rng(seed).normal(size=(2, DIMENSION)).astype(np.float32)
        scores, rows = self.index.search(queries, k, mask, exact=exact)
        for i in range(2):
            agrees(self.naive, queries[i], k, allowed, (scores[i], rows[i]), 1e-3)

    @invariant()
    def counts(self) -> None:
        if hasattr(self, "index"):
            assert len(self.index) == len(self.columns) == len(self.naive.facets)
            assert self.index.live == len(self.naive.live)

    def _add(self, facets: Facets, count: int, seed: int) -> None:
        vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        first = self.index.add(vectors)
        assert self.columns.append(facets, count) == first == len(self.naive.facets)
        self.naive.add(vectors, facets)
        self.position += 1


TestIndexAgainstNaive = IndexMachine.TestCase
TestIndexAgainstNaive.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
