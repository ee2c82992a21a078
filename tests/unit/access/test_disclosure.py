"""What is compiled from policies shows the same as Cedar does, asked about every reference by itself."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from likeness.access.judging import CedarAccess
from likeness.access.rules import LEVEL_ACTIONS
from likeness.access.ruling import question_of
from likeness.access.sources import shipped
from likeness.domain.access import Level
from likeness.domain.references import Category, Facets, Purpose, Status
from tests.unit.access.hub import asked, hub

COMBINATIONS = 1200
"""For each of the sets of policies."""

_MANY = """
@id("hit") permit (principal, action == Action::"seeHit", resource)
when { resource.owner in Group::"north" || resource.owner.bureau in context.entity.country }
unless { resource.galleries.containsAll(["secret", "sealed"]) };
@id("hit-own") permit (principal, action == Action::"seeHit", resource)
when { principal.entities.contains(resource.owner) };
@id("hit-strangers") permit (principal, action == Action::"seeHit", resource)
when { resource.owner.country != Country::"AA" && resource.owner != Entity::"BB-POLICE" };
@id("candidate") permit (principal, action in [Action::"seeCandidate", Action::"seeHit"], resource is Reference)
when {
  if context.purpose == Purpose::"border_control"
  then resource.category in [Category::"wanted", Category::"stolen"]
  else !(resource.category == Category::"victim") && resource.status == Status::"active"
};
@id("full") permit (principal, action in [Action::"seeFull", Action::"seeCandidate"], resource)
when { resource.galleries.contains("open") || resource.galleries.isEmpty() }
when { if resource.owner.listed then true else resource.galleries.containsAny(["open", "shared"]) };
@id("no") forbid (principal, action == Action::"seeFull", resource)
when { [Category::"victim", Category::"witness"].contains(resource.category) }
unless { principal in Role::"supervisor" && [Country::"AA"].contains(resource.owner.country) };
@id("no-secret") forbid (principal in Role::"operator", action, resource is Reference)
when { resource.galleries.contains("secret") };
"""

_LIMITS = """
@id("hit") permit (principal, action == Action::"seeHit", resource)
when { resource.owner.listed }
unless { resource.category == Category::"victim" && context has fmr_one_in && context.fmr_one_in < 1000 };
@id("candidate") permit (principal, action == Action::"seeCandidate", resource)
when {
  if resource.category == Category::"wanted" && context has fmr_one_in then context.fmr_one_in >= 1000
  else !(resource.status == Status::"active" && context has fmr_one_in && context.fmr_one_in < 1000)
};
@id("full") permit (principal, action == Action::"seeFull", resource)
when {
  resource.galleries.contains("open")
  || (context has fmr_one_in && (context.fmr_one_in >= 1000) == resource.owner.listed)
};
@id("no") forbid (principal, action == Action::"seeFull", resource)
when {
  resource.owner in Group::"south" && context has fmr_one_in
  && (resource.galleries.isEmpty() || context.fmr_one_in < 1000)
};
"""

_CALLERS = [
    ("aa/cases", "AA-POLICE"),
    ("aa/owner", "AA-POLICE"),
    ("aa/owner", "AA-BORDER"),
    ("aa/gate", "AA-BORDER"),
    ("bb/examiner", "BB-POLICE"),
    ("bb/supervisor", "BB-POLICE"),
    ("auditor", "BB-POLICE"),
    ("operator", "AA-BORDER"),
]


def _random_facets(chance: random.Random) -> Facets:
    galleries = ("open", "shared", "secret", "sealed", "other")
    return Facets(
        owner=chance.choice(["AA-POLICE", "AA-BORDER", "BB-POLICE", "GONE"]),
        galleries=frozenset(chance.sample(galleries, chance.randrange(4))),
        category=chance.choice(list(Category)),
        status=chance.choice(list(Status)),
    )


def _disagreements(access: CedarAccess, chance: random.Random) -> Iterator[object]:
    seen: set[Level] = set()
    for _ in range(COMBINATIONS):
        name, entity = chance.choice(_CALLERS)
        limit = chance.choice([(), (("fmr_one_in", 500),), (("fmr_one_in", 5000),)])
        purpose = chance.choice(list(Purpose))
        call = asked(f"spiffe://hub.test/{name}", entity, purpose=purpose, attributes=limit)
        question = question_of(call, access.ruling.directory.principals[call.principal.name])
        facets = _random_facets(chance)
        level = access.ruling.disclosure(question).level(facets)
        expected = Level.HIDDEN
        for action in LEVEL_ACTIONS:
            if not access.ruling.engine.decide_about(question, action, facets).allowed:
                break
            expected = Level(expected + 1)
        seen.add(expected)
        if level is not expected:
            yield question, facets, level, expected
    assert seen == set(Level), "the combinations do not reach every level"


@pytest.mark.parametrize(
    "policies", [shipped("default.cedar"), _MANY, _LIMITS], ids=["shipped", "many", "limits"]
)
def test_the_compiled_predicate_agrees_with_cedar_for_every_reference(policies: str, tmp_path: Path) -> None:
    access, observed = hub(tmp_path, policies=policies)
    assert list(_disagreements(access, random.Random(20))) == []
    assert observed.failures == []


@pytest.mark.parametrize(
    "beyond",
    [
        "9223372036854775807 + context.fmr_one_in > 0",
        "(9223372036854775807 + context.fmr_one_in > 0) == resource.owner.listed",
        "(if 9223372036854775807 + context.fmr_one_in > 0 then resource.owner.listed else true)",
        "(resource.owner.listed || 9223372036854775807 + context.fmr_one_in > 0) && false "
        '|| !(resource.status == Status::"active" || 9223372036854775807 + context.fmr_one_in > 0)',
    ],
)
@pytest.mark.parametrize("effect", ["permit", "forbid"])
def test_what_cannot_be_evaluated_hides_the_references_that_reach_it(
    effect: str, beyond: str, tmp_path: Path
) -> None:
    levels = 'action in [Action::"seeHit", Action::"seeCandidate", Action::"seeFull"]'
    condition = f'resource.category == Category::"victim" && context has fmr_one_in && ({beyond})'
    access, observed = hub(
        tmp_path,
        policies='@id("one") permit (principal, action == Action::"seeHit", resource);\n'
        '@id("two") permit (principal, action == Action::"seeCandidate", resource)\n'
        'when { resource.galleries.contains("open") };\n'
        '@id("three") permit (principal, action == Action::"seeFull", resource)\n'
        'when { resource.status == Status::"active" };\n'
        f'@id("beyond") {effect} (principal, {levels}, resource) when {{ {condition} }};',
    )
    assert list(_disagreements(access, random.Random(21))) == []
    assert any("beyond" in error for errors in observed.failures for error in errors)


def test_equal_disclosures_are_equal_in_another_process_too(tmp_path: Path) -> None:
    access, _ = hub(tmp_path)
    one = access.judge(asked("spiffe://hub.test/aa/cases", "AA-POLICE")).disclosure
    other = access.judge(
        asked("spiffe://hub.test/aa/cases", "AA-POLICE", purpose=Purpose.MISSING_PERSON)
    ).disclosure
    assert one == other
    assert hash(one) == hash(other)
    script = (
        "import pickle, sys; a, b = (pickle.loads(sys.stdin.buffer.read(int(n))) for n in sys.argv[1:]); "
        "assert a == b and hash(a) == hash(b) and {a: 1}[b]"
    )
    parts = pickle.dumps(one), pickle.dumps(other)
    sizes = [str(len(part)) for part in parts]
    subprocess.run([sys.executable, "-c", script, *sizes], input=b"".join(parts), check=True)
