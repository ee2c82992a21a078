"""What callers are shown over a real connection, where a judge shows each its level by owner and category."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import grpc
import pytest

from likeness.client import InvalidArgument, LikenessClient, NotFound, PermissionDenied, metadata
from likeness.domain.access import Asked, Grant, Level
from likeness.domain.references import Category, Facets
from likeness.v1 import common_pb2 as common
from likeness.v1 import face_pb2_grpc
from likeness.v1 import matching_pb2 as matching
from tests.contract.conftest import Served

ABSENT = "01a22144-ee73-7d76-9b03-cc79a7f67496"
COUNTRIES = {"NCB-AA": "XA", "NCB-BB": "XB"}
GROUPS = {"NCB-BB": frozenset({"PRUM"})}


@dataclass(frozen=True)
class Shown:
    """To an entity: its own in full, of victims nothing, of missing persons candidates, of the rest hits."""

    entity: str

    def level(self, facets: Facets) -> Level:
        if facets.owner == self.entity:
            return Level.FULL
        levels = {Category.VICTIM: Level.HIDDEN, Category.MISSING: Level.CANDIDATE, Category.LOST: Level.FULL}
        return levels.get(facets.category, Level.HIT)


class ByCategory:
    """Judges by the category of references, and knows the country and groups of some entities."""

    policy = "ab" * 32

    def judge(self, asked: Asked) -> Grant:
        entity = asked.caller.entity
        return Grant(
            disclosure=Shown(entity),
            country=COUNTRIES.get(entity, ""),
            groups=GROUPS.get(entity, frozenset()),
            policy=self.policy,
        )


@pytest.fixture
def served(prepare: Callable[..., Served]) -> Served:
    return prepare(access=ByCategory()).start()


@pytest.fixture
def other(served: Served) -> LikenessClient:
    return served.client(entity="NCB-BB", purpose="missing_person")


def enrol(client: LikenessClient, category: str, **stated: object) -> str:
    described = metadata(
        category=category,
        galleries=["wanted"],
        subject_id="Jane Roe",
        notices=["red"],
        attributes={"hair": "brown"},
        **stated,  # type: ignore[arg-type]
    )
    return client.face.enroll(b"1,0.1", metadata=described).reference.reference_id


def test_a_search_shows_each_reference_at_its_level(client: LikenessClient, other: LikenessClient) -> None:
    made = {name: enrol(client, name) for name in ("victim", "wanted", "suspect", "missing", "lost")}
    response = other.face.search(b"1,0", k=9)
    (answer,) = response.answers
    assert [(hit.owner, hit.modality) for hit in answer.hits] == [("NCB-AA", common.MODALITY_FACE)]
    found = {c.reference.reference_id: c for c in answer.candidates}
    assert set(found) == {made["missing"], made["lost"]}
    assert response.header.searched == 2
    part, whole = found[made["missing"]], found[made["lost"]]
    assert part.reference == common.Reference(
        reference_id=made["missing"],
        modality=common.MODALITY_FACE,
        metadata=common.ReferenceMetadata(owner="NCB-AA", category=common.CATEGORY_MISSING),
        level=common.LEVEL_CANDIDATE,
    )
    assert part.score.value == whole.score.value
    assert part.score.fmr == whole.score.fmr
    assert not part.score.parts
    assert whole.score.parts
    assert whole.reference.metadata.subject_id == "Jane Roe"
    assert whole.reference.level == common.LEVEL_FULL
    assert [r.reference_id for r in other.face.list(galleries=["wanted"])] == [made["missing"], made["lost"]]
    assert other.face.get(made["missing"]) == part.reference
    with pytest.raises(PermissionDenied) as refused:
        other.face.compare(b"1,0", matching.Comparand(reference_id=made["missing"]), explain=True)
    assert refused.value.reason == "NO_PICTURE_AT_THIS_LEVEL"


def test_what_may_not_be_known_of_is_refused_byte_for_byte_as_what_is_not_there(
    served: Served, client: LikenessClient, other: LikenessClient
) -> None:
    hidden = [
        enrol(client, "victim"),
        enrol(client, "wanted"),
        enrol(client, "lost", denied_countries=["XB"]),
        enrol(client, "lost", permitted_groups=["SIENA"]),
        enrol(client, "lost", disclosure="hit"),
    ]
    context = common.CallerContext(entity="NCB-BB", purpose=common.PURPOSE_MISSING_PERSON)
    with grpc.insecure_channel(served.address) as channel:
        stub = face_pb2_grpc.FaceServiceStub(channel)

        def refusals(reference_id: str) -> list[bytes]:
            side = matching.Comparand(reference_id=reference_id)
            text = common.ReferenceMetadata(subject_id="mine")
            calls: list[Callable[[], object]] = [
                lambda: stub.Get(matching.GetRequest(caller=context, reference_id=reference_id)),
                lambda: stub.Update(
                    matching.UpdateRequest(
                        caller=context, request_id="u-1", reference_id=reference_id, metadata=text
                    )
                ),
                lambda: stub.Expunge(
                    matching.ExpungeRequest(caller=context, request_id="e-1", reference_id=reference_id)
                ),
                lambda: stub.Compare(matching.CompareRequest(caller=context, probe=side, candidate=side)),
            ]
            return [_refusal(call).replace(reference_id.encode(), b"ID") for call in calls]

        expected = refusals(ABSENT)
        assert all(b"NOT_FOUND" in refusal for refusal in expected)
        for reference_id in hidden:
            assert refusals(reference_id) == expected
            assert refusals(reference_id.upper()) == refusals(ABSENT.upper())
    assert [client.face.get(one).metadata.owner for one in hidden] == ["NCB-AA"] * len(hidden)


def _refusal(call: Callable[[], object]) -> bytes:
    """Code, message and details, but for what the call is called by."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error = caught.value
    trailers = {item.key: item.value for item in error.trailing_metadata()}
    return repr((error.code(), error.details(), sorted(trailers))).encode() + bytes(
        trailers.get("grpc-status-details-bin", b"")
    )


def test_owners_limit_by_country_and_group(served: Served, client: LikenessClient) -> None:
    admitted = {
        entity: {
            name
            for name, limits in {
                "open": {},
                "not XB": {"denied_countries": ["XB"]},
                "XB": {"permitted_countries": ["XB"]},
                "not PRUM": {"denied_groups": ["PRUM"]},
                "PRUM": {"permitted_groups": ["PRUM"]},
            }.items()
            if _may_get(served.client(entity=entity), enrol(client, "lost", **limits))
        }
        for entity in ("NCB-BB", "NCB-ZZ")
    }
    assert admitted == {"NCB-BB": {"open", "XB", "PRUM"}, "NCB-ZZ": {"open"}}


def _may_get(client: LikenessClient, reference_id: str) -> bool:
    try:
        return client.face.get(reference_id).reference_id == reference_id
    except NotFound:
        return False


def test_an_owner_changes_and_clears_its_limits_one_by_one(client: LikenessClient) -> None:
    reference_id = enrol(client, "lost", denied_countries=["XB"], permitted_groups=["PRUM"], disclosure="hit")
    given = metadata(disclosure="candidate")
    fields = ["restrictions.disclosure", "restrictions.denied_countries"]
    limits = client.face.update(reference_id, given, fields=fields).reference.metadata.restrictions
    assert limits == common.Restrictions(permitted_groups=["PRUM"], disclosure=common.LEVEL_CANDIDATE)


def test_the_frontline_gets_no_scores_and_no_list(client: LikenessClient) -> None:
    made = [enrol(client, "lost") for _ in range(5)]
    response = client.face.search(b"1,0.1", frontline=True)
    candidates = response.answers[0].candidates
    assert [c.reference.reference_id for c in candidates] == made[:3]
    assert not any(c.HasField("score") or c.expected_false for c in candidates)
    assert response.header.max_fmr == pytest.approx(1e-3)
    assert client.face.search(b"1,0.1", max_fmr=0.1).header.max_fmr == pytest.approx(1e-3)
    with pytest.raises(InvalidArgument) as refused:
        client.face.search(b"1,0.1", frontline=True, k=4)
    assert refused.value.field_violations[0].field == "options.k"
    with pytest.raises(PermissionDenied) as never:
        client.face.search(b"1,0.1", lights_out=True, max_fmr=0.01)
    assert never.value.reason == "LIGHTS_OUT_NEVER"
