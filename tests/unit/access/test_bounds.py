"""Text that would end the process that parses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.access.bounds import MAX_CHAIN, MAX_DEPTH, MAX_POLICY, check_bounds
from likeness.domain.access import Level
from likeness.domain.errors import InvalidInput
from likeness.domain.references import Category, Facets
from tests.unit.access.hub import asked, hub

_SEE = '@id("p")\npermit (principal, action == Action::"seeHit", resource)\nwhen {{ {0} }};'
"""Its own brackets are one deep."""


def nested(depth: int) -> str:
    return "(" * depth + "context.named_case" + ")" * depth


def test_what_is_nested_as_deeply_as_may_be_is_parsed(tmp_path: Path) -> None:
    hub(tmp_path, policies=_SEE.format(nested(MAX_DEPTH - 1)))


def test_a_policy_as_long_as_may_be_is_parsed(tmp_path: Path) -> None:
    kinds = ", ".join(['Category::"witness"'] * 750)
    text = _SEE.format(f"resource.category in [{kinds}]")
    assert 0.9 * MAX_POLICY < len(text) < MAX_POLICY
    hub(tmp_path, policies=text)


def test_the_longest_chain_is_compiled_and_holds(tmp_path: Path) -> None:
    kinds = ['resource.category == Category::"missing"'] * 69 + ['resource.category == Category::"wanted"']
    search = 'permit (principal, action == Action::"Search", resource);'
    policies = f'@id("search")\n{search}\n{_SEE.format(" || ".join(kinds))}'
    access, _ = hub(tmp_path, policies=policies)
    grant = access.judge(asked("spiffe://hub.test/bb/examiner", "BB-POLICE"))
    shown = [grant.disclosure.level(Facets("NCB-AA", category=kind)) for kind in Category]
    assert [level is Level.HIT for level in shown] == [
        kind in (Category.MISSING, Category.WANTED) for kind in Category
    ]


@pytest.mark.parametrize("links", [160, 700])
@pytest.mark.parametrize("operator", [" && ", " || "])
def test_a_long_chain_is_refused(operator: str, links: int, tmp_path: Path) -> None:
    hub(tmp_path, policies=_SEE.format(operator.join(["context.named_case"] * 130)))
    with pytest.raises(InvalidInput, match="too many operators"):
        hub(tmp_path, policies=_SEE.format(operator.join(["context.named_case"] * links)))


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        (nested(MAX_DEPTH), "brackets"),
        (nested(30_000), "brackets"),
        ("[" * 30_000 + "]" * 30_000, "brackets"),
        ("{a:" * 30_000, "brackets"),
        ('")" == "' + nested(30_000) + '" || ' + nested(30_000), "brackets"),
        ("context" + '["a"]' * 30_000, "characters"),
        ('context[";"]' * 30_000, "characters"),
        ("context // ;\n" * 30_000, "characters"),
        ('context["\\";"]' * 30_000, "characters"),
        ('"' + "x" * 30_000, "characters"),
        ("true //\r" + nested(MAX_DEPTH), "brackets"),
        ("context has a" + ".a" * 600, "attributes"),
        ("context has a" + " . // a.b; \n b" * 600, "attributes"),
        ("context has a" + ".//\rb" * 600, "attributes"),
    ],
)
def test_what_goes_beyond_is_refused_with_its_line(condition: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=rf"more than [0-9,]+ {why} .*\(line [123]\)") as caught:
        hub(tmp_path, policies=_SEE.format(condition))
    assert caught.value.reason == "POLICY_INVALID"


def test_many_short_policies_are_no_long_one() -> None:
    check_bounds("a file", _SEE.format(nested(10)) * 2000)


def test_as_many_attributes_in_a_row_as_may_be_are_parsed(tmp_path: Path) -> None:
    chain = ".a" * MAX_CHAIN
    texts = f'"{chain * 20}" == "" // {chain * 20}'
    condition = f"{texts}\n|| context has a{chain} || context has a{chain}"
    hub(tmp_path, policies=_SEE.format(condition))
