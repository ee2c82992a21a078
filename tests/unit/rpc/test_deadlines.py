"""A call ends here before its client gives it up, so that the client learns why."""

from __future__ import annotations

from typing import Any, cast

import pytest

from likeness.domain.errors import DeadlineExceeded
from likeness.rpc.interceptors import ANSWER_MARGIN, Call, timed


class Context:
    """Of a call that has so many seconds left."""

    def __init__(self, left: float | None) -> None:
        self._left = left

    def time_remaining(self) -> float | None:
        return self._left


def remaining(left: float | None, request: object = b"a request") -> float:
    call = Call("FaceService", "Search", cast("Any", Context(left)), request)
    with timed(30.0, 60.0)(call):
        return call.deadline.remaining


@pytest.mark.parametrize(
    ("left", "longest"),
    [(1000.0, 60.0), (50.0, 50.0 - ANSWER_MARGIN), (0.5, 0.45), (None, 30.0)],
)
def test_the_deadline_is_the_clients_less_a_margin_within_the_limits(
    left: float | None, longest: float
) -> None:
    assert remaining(left) <= longest


def test_a_stream_lasts_as_long_as_its_client_waits() -> None:
    assert remaining(None, request=None) == float("inf")
    assert remaining(1000.0, request=None) > 60.0


def test_a_call_that_comes_too_late_is_refused() -> None:
    with pytest.raises(DeadlineExceeded, match="had passed"):
        remaining(0.0)
