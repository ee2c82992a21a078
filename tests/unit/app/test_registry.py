"""How the two processes share the memory for photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from likeness.app.registry import _assistant_bytes, _extract_within, _limits
from likeness.app.settings import Settings
from likeness.domain.deadline import NO_DEADLINE
from likeness.domain.errors import Exhausted
from likeness.domain.samples import Extraction, Issue, Mode, Sample


def settings(**given: Any) -> Settings:
    usual: dict[str, Any] = {"home": Path("/nowhere"), "threads": 2}
    return Settings(**usual | given)


def test_the_modalities_of_a_process_share_one_budget() -> None:
    assert _limits(settings()).memory is _limits(settings()).memory


@pytest.mark.parametrize("given", [{}, {"assistant": False}, {"threads": 1}, {"modalities": "object"}])
def test_both_processes_together_have_what_is_set(given: dict[str, Any]) -> None:
    set_ = settings(max_bytes_decoding=1 << 30, **given)
    assert _limits(set_).memory.size + _assistant_bytes(set_) == 1 << 30
    assert (_assistant_bytes(set_) > 0) == (not given)


def test_what_is_too_large_for_the_assistant_comes_back() -> None:
    class Refusing:
        def extract_one(self, task: object, deadline: object) -> Extraction:
            return Extraction(
                rejection=Issue("IMAGE_TOO_LARGE", "It takes 200 MiB to decode; scale it down.")
            )

    with pytest.raises(Exhausted, match="200 MiB"):
        _extract_within(Refusing(), (Sample(b""), Mode.PROBE), NO_DEADLINE)  # type: ignore[arg-type]
