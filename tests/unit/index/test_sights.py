from __future__ import annotations

import numpy as np
import pytest

from likeness.index import sights
from likeness.index.sights import Tables


def test_the_tables_used_last_stay() -> None:
    tables = Tables(2)
    for key in "ab":
        tables.put(key, np.ones(3, np.bool_))
    tables.get("a")
    tables.put("c", np.ones(3, np.bool_))
    assert [len(tables.get(key)) for key in "abc"] == [3, 0, 3]


def test_large_tables_are_fewer_and_the_newest_always_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sights, "_CACHED_BYTES", 10)
    tables = Tables(100)
    for size in (4, 5, 4):  # a table grows under its key
        tables.put("grown", np.ones(size, np.bool_))
    tables.put("next", np.ones(6, np.bool_))
    assert (len(tables.get("grown")), len(tables.get("next"))) == (4, 6)
    tables.put("large", np.ones(50, np.bool_))
    assert (len(tables), len(tables.get("large"))) == (1, 50)


def test_nothing_stays_without_a_key() -> None:
    tables = Tables(2)
    tables.put(None, np.ones(3, np.bool_))
    assert (len(tables), len(tables.get(None))) == (0, 0)
