"""Which policies are taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.domain.errors import InvalidInput
from tests.unit.access.hub import hub

_SEE = 'permit (principal, action == Action::"seeHit", resource)'
_LIGHTS = 'permit (principal, action == Action::"lightsOut", resource'
_OUT = 'context.purpose == Purpose::"missing_person"'
_FMR = "context has fmr_one_in && context.fmr_one_in >= 1000000"


@pytest.mark.parametrize(
    "policy",
    [
        f'{_SEE} when {{ resource.owner in Group::"north" }};',
        f"{_SEE} when {{ resource.owner.country == context.entity.country }};",
        f"{_SEE} when {{ resource.owner in context.entity.country }};",
        f"{_SEE} when {{ principal.entities.contains(resource.owner) }};",
        f'{_SEE} when {{ if context.named_case then resource.galleries.contains("a") else false }};',
        f'{_SEE} when {{ resource.galleries.containsAny(["a"]) || resource.galleries.isEmpty() }};',
        f'{_SEE} unless {{ resource.category in [Category::"victim", Category::"witness"] }};',
        f"{_SEE} when {{ resource.owner.listed && resource is Reference && resource has category }};",
        f'{_LIGHTS} == Modality::"object") when {{ {_OUT} && {_FMR} }};',
    ],
)
def test_what_can_be_compiled_is_taken(policy: str, tmp_path: Path) -> None:
    hub(tmp_path, policies=f'@id("p") {policy}')


@pytest.mark.parametrize(
    ("policy", "named"),
    [
        ("permit (principal, action, resource);", "permits every action"),
        (f'{_SEE} when {{ resource.owner == Entity::"XX" }};', 'Entity::"XX"'),
        ('permit (principal == Principal::"spiffe://a/b", action == Action::"Get", resource);', "Principal"),
        (f'{_SEE} when {{ resource.category == Category::"victm" }};', "victm"),
        (f'{_SEE} when {{ principal in Role::"examinr" }};', "examinr"),
        (f'{_SEE} when {{ resource.colour == "red" }};', "colour"),
        (f"{_SEE} when {{ context.fmr_one_in > 3 }};", "fmr_one_in"),
        (f'{_SEE} when {{ resource.galleries == ["a"] }};', "resource.galleries"),
        (f'{_SEE} when {{ ["a"].containsAll(resource.galleries) }};', "resource.galleries"),
        (f"{_SEE} when {{ resource.galleries.containsAll(resource.galleries) }};", "resource.galleries"),
        (f'{_SEE} when {{ resource == Reference::"x" }};', "the reference itself"),
        (f"{_SEE} when {{ (if resource.owner.listed then 1 else 2) > 1 }};", "uses"),
        ('permit (principal, action == Action::"seeHit", resource == Reference::"x");', "one reference"),
        ('permit (principal, action == Action::"Gett", resource);', "Gett"),
        (f"{_LIGHTS}) when {{ {_OUT} && {_FMR} }};", "lightsOut without one modality"),
        (f'{_LIGHTS} == Modality::"face") when {{ {_OUT} && {_FMR} }};', "not face"),
        (f'{_LIGHTS} == Modality::"object") when {{ {_OUT} }};', "fmr_one_in"),
        (f'{_LIGHTS} == Modality::"object") when {{ {_FMR} }};', "purpose"),
        ('permit (principal == ?principal, action == Action::"Get", resource);', "template"),
        ("permit (", "own.cedar"),
    ],
)
def test_what_is_wrong_is_refused_and_named(policy: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        hub(tmp_path, policies=f'@id("p") {policy}')
    assert refused.value.reason == "POLICY_INVALID"
    assert named in refused.value.message


def test_every_policy_has_a_name_of_its_own(tmp_path: Path) -> None:
    one = 'permit (principal, action == Action::"Get", resource);'
    with pytest.raises(InvalidInput, match="no name"):
        hub(tmp_path, policies=one)
    with pytest.raises(InvalidInput, match="twice"):
        hub(tmp_path, policies=f'@id("p") {one} @id("p") {one}')
