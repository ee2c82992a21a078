"""Searches during changes and builds: no exception, and every answer is right for what it was asked."""

from __future__ import annotations

import itertools
import threading

import numpy as np

from likeness.domain.references import Facets
from likeness.index import Columns, VectorIndex
from tests.oracle.index.naive import clustered

DIMENSION = 32
FIRST, LATER, GONE = 2_000, 2_000, 500


def test_searches_during_adds_removals_and_builds_are_right() -> None:
    """Rows 0..GONE go, rows from FIRST come, the rest stay: those must always be found, at their true scores."""
    vectors = clustered(FIRST + LATER, DIMENSION, seed=1)
    index, columns = VectorIndex(DIMENSION, space="test/1", flat_components=1), Columns()
    index.add(vectors[:FIRST])
    columns.append(Facets("NCB-AA"), FIRST)
    removed_up_to = 0
    done = threading.Event()
    failures: list[BaseException] = []
    seeds = itertools.count()

    def guarded(work: object) -> threading.Thread:
        def run() -> None:
            try:
                assert callable(work)
                work()
            except BaseException as error:
                failures.append(error)
                done.set()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def write() -> None:
        nonlocal removed_up_to
        for step in range(GONE):
            index.remove([step])
            columns.clear(step)
            removed_up_to = step + 1
            row = FIRST + 4 * step
            index.add(vectors[row : row + 4])
            columns.append(Facets("NCB-AA"), 4)

    def build() -> None:
        while not done.is_set():
            index.build(1)

    def search() -> None:
        random = np.random.default_rng(next(seeds))
        while not done.is_set():
            gone, known = removed_up_to, len(columns)
            picked = random.integers(GONE, FIRST)
            mask = columns.mask(lambda facets: facets.owner == "NCB-AA", 0)
            assert len(mask) >= known
            scores, rows = index.search(vectors[picked : picked + 1], 20, mask)
            assert rows[0, 0] == picked or np.allclose(vectors[rows[0, 0]], vectors[picked])
            assert (rows >= gone).all()
            np.testing.assert_allclose(scores[0], vectors[rows[0]] @ vectors[picked], atol=2e-4)

    others = [guarded(build), *(guarded(search) for _ in range(3))]
    writer = guarded(write)
    writer.join()
    done.set()
    for thread in others:
        thread.join()
    assert failures == []
    assert index.live == FIRST + LATER - GONE
    _, rows = index.search(vectors[:GONE], 1)
    assert (rows >= GONE).all()
