"""The caller is known before anything is done, and a search says why."""

from __future__ import annotations

from typing import Any

import pytest

from likeness.domain.access import Asked, Grant, Principal, TrustEveryone
from likeness.domain.errors import InvalidInput, Unauthenticated
from likeness.domain.references import Caller, Purpose
from likeness.rpc.identity import Peer, Request, identify
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching

REQUESTS: list[type[Request]] = [
    matching.EnrollRequest,
    matching.GetRequest,
    matching.ListRequest,
    matching.UpdateRequest,
    matching.ExpungeRequest,
    matching.SearchRequest,
    matching.CompareRequest,
    matching.AnalyzeRequest,
]


def caller_of(request: type[Request], **context: Any) -> Caller:
    return identify(request(caller=common.CallerContext(**context)))


@pytest.mark.parametrize("request_type", REQUESTS)
def test_every_request_yields_its_caller(request_type: type[Request]) -> None:
    caller = caller_of(
        request_type,
        entity="NCB-FR",
        purpose=common.PURPOSE_MISSING_PERSON,
        case_reference="2024/7 é",
        operator="op",
    )
    assert caller == Caller("NCB-FR", Purpose.MISSING_PERSON, "2024/7 é", "op")


@pytest.mark.parametrize("request_type", REQUESTS)
def test_no_request_goes_without_an_entity(request_type: type[Request]) -> None:
    with pytest.raises(Unauthenticated):
        caller_of(request_type, purpose=common.PURPOSE_MISSING_PERSON)


@pytest.mark.parametrize("request_type", REQUESTS)
def test_a_purpose_is_needed_to_search_and_to_compare_alone(request_type: type[Request]) -> None:
    needed = request_type in (matching.SearchRequest, matching.CompareRequest)
    if not needed:
        assert caller_of(request_type, entity="NCB-FR").purpose is Purpose.UNSPECIFIED
        return
    with pytest.raises(InvalidInput) as caught:
        caller_of(request_type, entity="NCB-FR")
    assert (caught.value.reason, caught.value.field) == ("PURPOSE_REQUIRED", "caller.purpose")


@pytest.mark.parametrize(
    ("context", "field"),
    [
        ({"entity": "NCB FR"}, "caller.entity"),
        ({"entity": "-NCB"}, "caller.entity"),
        ({"entity": "N" * 65}, "caller.entity"),
        ({"entity": "NCB\n"}, "caller.entity"),
        ({"entity": "NCB-FR", "case_reference": "x" * 257}, "caller.case_reference"),
        ({"entity": "NCB-FR", "operator": "a\nb"}, "caller.operator"),
        ({"entity": "NCB-FR", "purpose": 99}, "caller.purpose"),
    ],
)
def test_a_malformed_caller_is_refused_by_field(context: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        caller_of(matching.GetRequest, **context)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("max_fmr", "one_in"),
    [
        *((float(f"1e-{digits}"), 10**digits) for digits in range(1, 16)),
        *((1 / one_in, one_in) for one_in in range(1, 100)),
        *((1 / (one_in * 10_000), one_in * 10_000) for one_in in range(10, 100)),
        (3e-5, 33_000),
        (0.9, 1),
        (1.0001e-5, 99_000),
        (9e-16, 10**15),
        (1e-300, 10**15),
        (5e-324, 10**15),
    ],
)
def test_policies_see_two_digits_of_a_threshold_on_the_lax_side(max_fmr: float, one_in: int) -> None:
    options = common.SearchOptions(max_fmr=max_fmr)
    caller = common.CallerContext(entity="NCB-FR", purpose=common.PURPOSE_MISSING_PERSON)
    asked = Asking()
    Peer(Principal(), asked, "face").caller(matching.SearchRequest(caller=caller, options=options))
    assert asked.attributes == (("fmr_one_in", one_in), ("frontline", False))


@pytest.mark.parametrize("profile", common.Profile.values())
def test_policies_see_whether_a_search_is_by_the_frontlines_profile(
    profile: common.Profile.ValueType,
) -> None:
    options = common.SearchOptions(profile=profile)
    caller = common.CallerContext(entity="NCB-FR", purpose=common.PURPOSE_MISSING_PERSON)
    asked = Asking()
    Peer(Principal(), asked, "face").caller(matching.SearchRequest(caller=caller, options=options))
    assert asked.attributes == (("frontline", profile == common.PROFILE_FRONTLINE),)


class Asking(TrustEveryone):
    """Notes what a policy would be asked about."""

    attributes: tuple[tuple[str, bool | int | str], ...] = ()

    def judge(self, asked: Asked) -> Grant:
        self.attributes = asked.attributes
        return super().judge(asked)
