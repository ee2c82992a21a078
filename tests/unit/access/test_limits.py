"""Which limits on false matches the policies tell from each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.access.engine import Question, Residual
from likeness.access.ruling import question_of
from tests.unit.access.hub import EXAMINER, asked, hub

_SEARCH = '@id("p") permit (principal, action == Action::"Search", resource) when { %s };'
_COMPARED = (
    "context has fmr_one_in && (context.fmr_one_in >= 1000 || 5 > context.fmr_one_in "
    "|| context.fmr_one_in == 70 || context.fmr_one_in != 71 && context.fmr_one_in <= 100)"
)
_LIMITS = [*range(1, 120), 999, 1000, 1001, 10**15]


@pytest.mark.parametrize(
    ("condition", "classes"),
    [
        ("true", 1),
        ("context has fmr_one_in", 1),
        (_COMPARED, 10),
        ("context has fmr_one_in && context.fmr_one_in + 1 > 50", len(_LIMITS)),
        ("context has fmr_one_in && [20, 30].contains(context.fmr_one_in)", len(_LIMITS)),
        ("context has fmr_one_in && context.fmr_one_in > -3 + 40", len(_LIMITS)),
        ("context has fmr_one_in && (if context.frontline then 7 else 9) < context.fmr_one_in", len(_LIMITS)),
        ("[context].contains(context)", len(_LIMITS)),
    ],
)
def test_what_policies_cannot_tell_apart_is_judged_once_and_as_it_would_be(
    condition: str, classes: int, tmp_path: Path
) -> None:
    access, _ = hub(tmp_path, policies=_SEARCH % condition)
    engine = access.ruling.engine
    found = set()
    for one_in in _LIMITS:
        call = asked(EXAMINER, "BB-POLICE", attributes=(("fmr_one_in", one_in),))
        exact = question_of(call, access.ruling.directory.principals[EXAMINER])
        like = asked(EXAMINER, "BB-POLICE", attributes=(("fmr_one_in", engine.limits.like(one_in)),))
        equal = question_of(like, access.ruling.directory.principals[EXAMINER])
        assert engine.decide(exact, "Search").allowed is engine.decide(equal, "Search").allowed, one_in
        found.add(equal)
    assert len(found) == classes


def test_a_caller_who_varies_the_limit_asks_the_policies_no_more_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access, _ = hub(tmp_path, policies=_SEARCH % "context has fmr_one_in && context.fmr_one_in >= 1000")
    engine = access.ruling.engine
    evaluated: list[Question] = []
    residuals = engine.residuals

    def counted(question: Question, action: str) -> tuple[Residual, ...]:
        evaluated.append(question)
        return residuals(question, action)

    monkeypatch.setattr(engine, "residuals", counted)
    for one_in in range(1000, 1100):
        access.judge(asked(EXAMINER, "BB-POLICE", attributes=(("fmr_one_in", one_in),)))
    assert len(set(evaluated)) == 2, "at the number and above it"
