"""What a caller may not know of leaves no trace in the metrics, nor in what is answered: a world with it and one
without are the same."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.contract.twin_worlds import HIDDEN, SHOWN, Report, report


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Report]:
    """A world with hidden references, and the same without them."""
    home: Path = tmp_path_factory.mktemp("twins")
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        whole = pool.submit(report, home / "whole", True)
        part = pool.submit(report, home / "part", False)
        return whole.result(), part.result()


def test_every_answer_is_the_same_byte_for_byte(twins: tuple[Report, Report]) -> None:
    whole, part = twins
    assert len(HIDDEN) > 10 * len(SHOWN)
    assert whole.answers == part.answers
    assert {"", "NOT_FOUND", "NOT_PERMITTED_BY_POLICY"} <= {reason for reason, _ in whole.answers}


def test_the_whole_page_of_metrics_changes_the_same_way(twins: tuple[Report, Report]) -> None:
    whole, part = twins
    assert whole.after.keys() == part.after.keys()
    assert changes(whole) == changes(part)


def changes(world: Report) -> dict[str, float]:
    """By how much each number of the page changed."""
    return {
        f"{name}{dict(labels)}": value - world.before.get((name, labels), 0.0)
        for (name, labels), value in world.after.items()
    }
