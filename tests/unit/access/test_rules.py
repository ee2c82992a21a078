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


_NAMES_A_PURPOSE = 'context.purpose in [Purpose::"missing_person", Purpose::"wanted_person"]'


@pytest.mark.parametrize(
    "conditions",
    [
        f"when {{ {_NAMES_A_PURPOSE} }} when {{ context has fmr_one_in && 10000 <= context.fmr_one_in }}",
        f"when {{ {_NAMES_A_PURPOSE} && context has fmr_one_in && !(context.fmr_one_in < 10000) }}",
        f"when {{ ({_OUT} && {_FMR}) || ({_NAMES_A_PURPOSE} && {_FMR} && context.frontline) }}",
        f"when {{ {_OUT} && context has fmr_one_in && context.fmr_one_in > 9999 }}",
        f"when {{ if {_OUT} then {_FMR} else false }}",
        f'when {{ [Purpose::"missing_person"].contains(context.purpose) && {_FMR} }}',
        f'when {{ {_FMR} }} unless {{ context.purpose != Purpose::"missing_person" }}',
    ],
)
def test_lights_out_may_be_limited_in_many_ways(conditions: str, tmp_path: Path) -> None:
    hub(tmp_path, policies=f'@id("p") {_LIGHTS} == Modality::"object") {conditions};')


_SAME_FMR = "context has fmr_one_in && context.fmr_one_in == context.fmr_one_in"


@pytest.mark.parametrize(
    ("condition", "named"),
    [
        (f"context.purpose == context.purpose && {_FMR}", "purpose"),
        (f'context.purpose in [Purpose::"missing_person", context.purpose] && {_FMR}', "purpose"),
        (f'context.purpose != Purpose::"missing_person" && {_FMR}', "purpose"),
        (f"({_OUT} || context.named_case) && {_FMR}", "purpose"),
        (f"!({_OUT}) && {_FMR}", "purpose"),
        (f"!({_OUT} && context.named_case) && {_FMR}", "purpose"),
        (f"(if {_OUT} then true else context.named_case) && {_FMR}", "purpose"),
        (f"(if context.named_case then {_OUT} else true) && {_FMR}", "purpose"),
        (f"{_OUT} && {_SAME_FMR}", "fmr_one_in"),
        (f"{_OUT} && context has fmr_one_in && context.fmr_one_in >= 9999", "fmr_one_in"),
        (f"{_OUT} && context has fmr_one_in && context.fmr_one_in > 9998", "fmr_one_in"),
        (f"{_OUT} && context has fmr_one_in && context.fmr_one_in <= 1000000", "fmr_one_in"),
        (f"{_OUT} && context has fmr_one_in && 10000 >= context.fmr_one_in", "fmr_one_in"),
        (f"{_OUT} && context has fmr_one_in && context.fmr_one_in != 10000", "fmr_one_in"),
        (f"{_OUT} && (context.named_case || ({_FMR}))", "fmr_one_in"),
        (f"{_OUT} && !({_FMR})", "fmr_one_in"),
    ],
)
def test_lights_out_is_limited_on_every_way(condition: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=rf"p permits lightsOut without .*context\.{named} "):
        hub(tmp_path, policies=f'@id("p") {_LIGHTS} == Modality::"object") when {{ {condition} }};')
