"""Every combination of caller, policy, limits and status against a plain second opinion of who may see what.

Each pair of a caller and a reference is asked about by seven methods; some 20,000 cases in all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from likeness.domain.access import Grant, Level
from likeness.domain.answers import SearchOptions
from likeness.domain.errors import LikenessError, NotFound
from likeness.domain.references import Caller, Category, Facets, Purpose, Reference, Restrictions, Status
from likeness.domain.samples import Sample
from likeness.engine.engine import Enrolled, Enrolment, ListQuery
from likeness.store.store import Store
from likeness.testing.vectors import VectorModality
from tests.support import Bench

OWNERS = ("NCB-AA", "NCB-BB")
BY_CATEGORY = {
    Category.VICTIM: Level.HIDDEN,
    Category.WANTED: Level.HIT,
    Category.MISSING: Level.CANDIDATE,
    Category.LOST: Level.FULL,
}
LIMITS: dict[str, dict[str, Any]] = {
    "none": {},
    "not NCB-BB": {"denied_entities": frozenset({"NCB-BB"})},
    "NCB-CC alone": {"permitted_entities": frozenset({"NCB-CC"})},
    "borders alone": {"permitted_purposes": frozenset({Purpose.BORDER_CONTROL})},
    "not XC": {"denied_countries": frozenset({"XC"})},
    "XB alone": {"permitted_countries": frozenset({"XB"})},
    "not PRUM": {"denied_groups": frozenset({"PRUM"})},
    "PRUM alone": {"permitted_groups": frozenset({"PRUM"})},
}
DISCLOSED = (None, Level.HIT, Level.CANDIDATE, Level.FULL)
PROBE = Sample(b"1,0")


@dataclass(frozen=True)
class ByCategory:
    """What the policy shows to everybody."""

    def level(self, facets: Facets) -> Level:
        return BY_CATEGORY[facets.category]


@dataclass(frozen=True)
class Made:
    """A reference, and in words how its owner limits it."""

    reference: Reference
    limit: str


def callers() -> Iterator[Caller]:
    entities = {
        "NCB-AA": ("XA", frozenset[str]()),
        "NCB-BB": ("XB", frozenset({"PRUM"})),
        "NCB-CC": ("XC", frozenset({"OTHER"})),
        "NCB-DD": ("", frozenset({"PRUM"})),
        "NCB-EE": ("", frozenset[str]()),
    }
    for (entity, (country, groups)), purpose in product(
        entities.items(), (Purpose.BORDER_CONTROL, Purpose.SYSTEM_TEST)
    ):
        grant = Grant(disclosure=ByCategory(), country=country, groups=groups)
        yield Caller(entity, purpose, grant=grant)


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, list[Made]]]:
    home: Path = tmp_path_factory.mktemp("matrix")
    with Store.open(home / "data", key_file=home / "keys.json") as store:
        bench = Bench(VectorModality(), store, keep_sources=True)
        limits = list(product(OWNERS, BY_CATEGORY, LIMITS, DISCLOSED, (Status.ACTIVE, Status.SUSPENDED)))
        enrolments = [
            Enrolment(
                Caller(one[0]), bench.key(Caller(one[0])), described(*one), Sample(b"1,%f" % (n / 2000))
            )
            for n, one in enumerate(limits)
        ]
        enrolled = list(bench.engine.enrol_many(enrolments))
        made = [
            Made(answer.reference, one[2])
            for answer, one in zip(enrolled, limits, strict=True)
            if isinstance(answer, Enrolled)
        ]
        assert len(made) == len(limits)
        yield bench, made


def described(
    owner: str, category: Category, limit: str, disclosed: Level | None, status: Status
) -> Reference:
    facets = Facets(
        owner,
        frozenset({"g"}),
        category,
        status,
        Restrictions(**LIMITS[limit], disclosure=disclosed),
    )
    return Reference("", "face", facets, subject_id="Jane Roe")


def expected(caller: Caller, made: Made) -> str:
    """Nothing, hit, candidate or full; in other words than those of the code."""
    facets = made.reference.facets
    shown = ["nothing", "hit", "candidate", "full"]
    policy = {"victim": 0, "wanted": 1, "missing": 2, "lost": 3}[facets.category.value]
    if facets.owner == caller.entity:
        return shown[policy]
    if facets.status is Status.SUSPENDED:
        return "nothing"
    name = caller.entity.removeprefix("NCB-")
    may = {
        "none": True,
        "not NCB-BB": name != "BB",
        "NCB-CC alone": name == "CC",
        "borders alone": caller.purpose is Purpose.BORDER_CONTROL,
        "not XC": name in ("AA", "BB"),
        "XB alone": name == "BB",
        "not PRUM": name in ("AA", "CC"),
        "PRUM alone": name in ("BB", "DD"),
    }[made.limit]
    owner = {None: 3, Level.HIT: 1, Level.CANDIDATE: 2, Level.FULL: 3}[facets.restrictions.disclosure]
    return shown[min(policy, owner)] if may else "nothing"


def words(reference: Reference) -> str:
    """How much of a reference there is, by what is in it."""
    if reference.subject_id == "Jane Roe":
        return "full"
    bare = Facets(reference.facets.owner, category=reference.facets.category)
    assert reference == Reference(reference.reference_id, "face", bare, level=Level.CANDIDATE)
    return "candidate"


def outcome(call: Any) -> str:
    try:
        answer = call()
    except NotFound:
        return "nothing"
    except LikenessError as error:
        return error.reason
    return words(answer) if isinstance(answer, Reference) else "answered"


@pytest.mark.parametrize("caller", list(callers()), ids=lambda c: f"{c.entity} {c.purpose}")
def test_nobody_sees_more_or_less_than_is_due(matrix: tuple[Bench, list[Made]], caller: Caller) -> None:
    bench, made = matrix
    due = {one.reference.reference_id: expected(caller, one) for one in made}
    active = {one.reference.reference_id for one in made if one.reference.facets.status is Status.ACTIVE}
    named = {name: level for name, level in due.items() if level in ("candidate", "full")}
    found = {name: level for name, level in named.items() if name in active}
    owners = {
        one.reference.facets.owner
        for one in made
        if one.reference.reference_id in active and due[one.reference.reference_id] == "hit"
    }
    for exhaustive in (False, True):
        options = SearchOptions(k=1000, exhaustive=exhaustive, galleries=frozenset({"g"}))
        answer = bench.engine.search(caller, PROBE, options)
        (probe,) = answer.probes
        assert {c.reference.reference_id: words(c.reference) for c in probe.candidates} == found
        assert {hit.owner for hit in probe.hits} == owners
        assert answer.header.searched == len(found)
        assert answer.header.unknown_galleries == (() if named else ("g",))
    listed = bench.engine.list(caller, ListQuery(page_size=1000)).references
    assert {reference.reference_id: words(reference) for reference in listed} == named
    for one in made:
        _by_identifier(bench, caller, one, due[one.reference.reference_id], active)


def _by_identifier(bench: Bench, caller: Caller, one: Made, due: str, active: set[str]) -> None:
    name = one.reference.reference_id
    seen = due if due in ("candidate", "full") else "nothing"
    compared = {"candidate": "NO_PICTURE_AT_THIS_LEVEL", "full": "answered"}.get(seen, seen)
    pictured = compared if name in active else "nothing"
    assert outcome(lambda: bench.engine.get(caller, name)) == seen
    assert outcome(lambda: bench.engine.compare(caller, name, PROBE, explain=True)) == pictured
    if one.reference.facets.owner != caller.entity:
        refused = "nothing" if seen == "nothing" else "NOT_THE_OWNER"
        described = replace(one.reference, facets=Facets(caller.entity))
        assert outcome(lambda: bench.engine.update(caller, bench.key(caller), described)) == refused
        assert outcome(lambda: bench.engine.expunge(caller, bench.key(caller), name, reason="")) == refused
