from __future__ import annotations

import pytest

from likeness.cli import output


def test_in_a_pipe_items_that_take_long_are_named_one_by_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "QUIET_SECONDS", 0.0)
    with output.progress("sealing", 9) as step:
        step("")
        step("1 rejected")
    assert capsys.readouterr().err.splitlines() == ["sealing: 1 of 9", "sealing: 2 of 9, 1 rejected"]


def test_in_a_pipe_quick_items_are_named_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "QUIET_SECONDS", 1e9)
    monkeypatch.setattr(output, "PLAIN_EVERY", 2)
    with output.progress("sealing", 5) as step:
        for _ in range(5):
            step("")
    assert capsys.readouterr().err.splitlines() == [f"sealing: {n} of 5" for n in (2, 4, 5)]
