"""From the domain to the protocol: what the engine answered. Vectors and templates have no way out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf import duration_pb2, timestamp_pb2
from google.protobuf.message import Message

from likeness.domain.access import Level
from likeness.domain.answers import Candidate, Comparison, Evidence, Header, Score, SearchAnswer
from likeness.domain.calibration import Fmr
from likeness.domain.changes import Receipt
from likeness.domain.errors import Exhausted
from likeness.domain.references import Reference
from likeness.domain.samples import Extraction, Finding, Issue, Quality
from likeness.engine.engine import Enrolled, Page
from likeness.rpc.convert.enums import (
    category_value,
    level_value,
    likelihood_value,
    modality_value,
    purpose_value,
    severity_value,
    status_value,
)
from likeness.rpc.convert.message_cache import MessageCache
from likeness.rpc.convert.tokens import PageTokens
from likeness.transparency.note import Signer
from likeness.transparency.receipt import Expunged, receipt_for
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching

_ENTRY_OVERHEAD = 6
"""Bytes that a message of less than 256 MiB takes in another in addition to its own: a tag and its length."""
_PAGE_OVERHEAD = 32
"""Bytes for the token of the next page."""
LEAST_ANSWER_BYTES = 256 << 10
"""That an answer may have: enough for any one reference and what was found in its sample, so that the answer of a
write, which is durable by then, always fits."""

_Answer = TypeVar("_Answer", bound=Message)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def enrolled(answer: Enrolled) -> matching.EnrollResponse:
    """The acknowledgement of an enrolment."""
    return matching.EnrollResponse(
        reference=reference(answer.reference),
        finding=_finding(answer.finding),
        log_position=answer.receipt.position,
        replayed=answer.receipt.replayed,
    )


def fitting(answer: Page, max_bytes: int) -> Page:
    """As many of the references of a page as fit into an answer of `max_bytes`, at least one."""
    size = _PAGE_OVERHEAD
    for count, value in enumerate(answer.references):
        size += reference(value).ByteSize() + _ENTRY_OVERHEAD
        if size > max_bytes and count:
            return answer.first(count)
    return answer


def page(answer: Page, tokens: PageTokens) -> matching.ListResponse:
    """One page of a list."""
    references = [reference(value) for value in answer.references]
    return matching.ListResponse(references=references, next_page_token=tokens.issue(answer.next_token))


def updated(answer: tuple[Reference, Receipt]) -> matching.UpdateResponse:
    """The acknowledgement of an update."""
    changed, receipt = answer
    return matching.UpdateResponse(
        reference=reference(changed), log_position=receipt.position, replayed=receipt.replayed
    )


def expunged(receipt: Receipt, signer: Signer | None) -> matching.ExpungeResponse:
    """The acknowledgement of an expungement, with a signed receipt where something signs."""
    signed = ""
    if signer is not None:
        signed = receipt_for(signer, Expunged.REFERENCE, receipt.reference_id, receipt.position, receipt.at)
    return matching.ExpungeResponse(log_position=receipt.position, replayed=receipt.replayed, receipt=signed)


def found(answer: SearchAnswer, max_bytes: int) -> matching.SearchResponse:
    """The answer of a search, of at most `max_bytes`: the lowest ranks are abridged until it fits.

    Raises:
        Exhausted: it does not fit even so.
    """
    response = matching.SearchResponse(header=_header(answer.header))
    for probe in answer.probes:
        message = response.answers.add(finding=_finding(probe.finding))
        for candidate in probe.candidates:
            _add_candidate(message, candidate, with_scores=answer.with_scores)
        for hit in probe.hits:
            message.hits.add(owner=hit.owner, modality=modality_value(hit.modality))
    _fit(response, max_bytes - _ENTRY_OVERHEAD)  # with progress, it travels in another message
    return response


def _fit(response: matching.SearchResponse, max_bytes: int) -> None:
    """Abridge candidates, the lowest ranks first, until the answer fits."""
    size = response.ByteSize()
    if size <= max_bytes:
        return
    candidates = [
        candidate
        for answer in response.answers
        for candidate in answer.candidates
        if candidate.reference.level != common.LEVEL_CANDIDATE  # of which there is nothing to leave out
    ]
    for candidate in sorted(candidates, key=lambda candidate: -candidate.rank):
        before = candidate.ByteSize()
        _abridge(candidate)
        size -= before - candidate.ByteSize()
        if size <= max_bytes:
            return
    count = sum(len(answer.candidates) for answer in response.answers)
    raise _too_large(
        f"The answer has {count} candidates and takes {size} bytes even when it is abridged",
        max_bytes,
        "Ask for fewer candidates (k), or select one presentation of the probe.",
    )


def _bounded(answer: _Answer, max_bytes: int, remedy: str) -> _Answer:
    """The answer, if it fits.

    Raises:
        Exhausted: it does not.
    """
    size = answer.ByteSize()
    if size > max_bytes:
        raise _too_large(f"The answer takes {size} bytes", max_bytes, remedy)
    return answer


def _too_large(what: str, max_bytes: int, remedy: str) -> Exhausted:
    return Exhausted(
        f"{what}; the limit is {max_bytes}. {remedy}",
        reason="ANSWER_TOO_LARGE",
        metadata={"limit_bytes": str(max_bytes)},
    )


def _abridge(candidate: common.Candidate) -> None:
    whole = candidate.reference
    short = common.Reference(
        reference_id=whole.reference_id,
        modality=whole.modality,
        log_position=whole.log_position,
        level=whole.level,
    )
    short.metadata.owner = whole.metadata.owner
    short.metadata.galleries.extend(whole.metadata.galleries)
    short.metadata.category = whole.metadata.category
    short.metadata.status = whole.metadata.status
    candidate.reference.CopyFrom(short)
    candidate.abridged = True


def compared(answer: Comparison, max_bytes: int) -> matching.CompareResponse:
    """The answer of a comparison, of at most `max_bytes`.

    Raises:
        Exhausted: its picture is too large.
    """
    response = matching.CompareResponse(
        header=_header(answer.header),
        score=_score(answer.score, answer.fmr),
        probe=_finding(answer.probe),
        candidate=_finding(answer.candidate),
        explanation=b"" if answer.explanation is None else answer.explanation.picture,
        evidence=None if answer.explanation is None else _evidence(answer.explanation.evidence),
    )
    return _bounded(
        response, max_bytes, "Compare without a picture (explain), or send less elongated samples."
    )


def analysed(answer: Extraction, model: str, at: datetime, max_bytes: int) -> matching.AnalyzeResponse:
    """What is in a sample, in at most `max_bytes`.

    Raises:
        Exhausted: there is too much in it.
    """
    response = matching.AnalyzeResponse(
        findings=[_present(finding) for finding in answer.findings],
        width=answer.width,
        height=answer.height,
        model=model,
        analyze_time=timestamp(at),
    )
    return _bounded(response, max_bytes, "Select one presentation of the sample, or send a part of it.")


def reference(value: Reference) -> common.Reference:
    """One reference as its owner, or another caller who may see it, reads it.

    Of one that is not seen in full, only what was left in it is written: its defaults would be statements too.
    """
    if value.level < Level.FULL:
        return common.Reference(
            reference_id=value.reference_id,
            modality=modality_value(value.modality),
            metadata=common.ReferenceMetadata(
                owner=value.facets.owner, category=category_value(value.facets.category)
            ),
            level=level_value(value.level),
        )
    return common.Reference(
        reference_id=value.reference_id,
        modality=modality_value(value.modality),
        metadata=_metadata(value),
        quality=_quality(value.quality),
        quality_override=value.quality_override,
        template_space=value.template_space,
        model=value.model,
        create_time=timestamp(value.created_at),
        update_time=timestamp(value.updated_at),
        log_position=value.position,
        level=level_value(value.level),
    )


_references = MessageCache(reference)


def _metadata(value: Reference) -> common.ReferenceMetadata:
    facets = value.facets
    limits = facets.restrictions
    expires = None if facets.expires_at is None else timestamp_pb2.Timestamp(seconds=facets.expires_at)
    return common.ReferenceMetadata(
        subject_id=value.subject_id,
        owner=facets.owner,
        galleries=sorted(facets.galleries),
        category=category_value(facets.category),
        restrictions=common.Restrictions(
            denied_entities=sorted(limits.denied_entities),
            permitted_entities=sorted(limits.permitted_entities),
            permitted_purposes=sorted(purpose_value(p) for p in limits.permitted_purposes),
            denied_countries=sorted(limits.denied_countries),
            permitted_countries=sorted(limits.permitted_countries),
            denied_groups=sorted(limits.denied_groups),
            permitted_groups=sorted(limits.permitted_groups),
            disclosure=level_value(limits.disclosure),
        ),
        notices=value.notices,
        owner_reference=value.owner_reference,
        attributes=value.attributes,
        review_time=timestamp(value.review_at),
        expire_time=expires,
        status=status_value(facets.status),
    )


def _header(value: Header) -> common.AnswerHeader:
    return common.AnswerHeader(
        log_position=value.log_position,
        generation=value.generation,
        coverage=value.coverage,
        model=value.model,
        calibration=value.calibration,
        searched=value.searched,
        audit_position=value.audit_position,
        audit_digest=value.audit_digest,
        timings=[
            common.StageTiming(stage=stage, duration=_duration(seconds))
            for stage, seconds in value.timings.items()
        ],
        unknown_galleries=value.unknown_galleries,
        max_fmr=value.max_fmr or 0.0,
        policy=value.policy,
    )


def _add_candidate(answer: matching.ProbeAnswer, value: Candidate, *, with_scores: bool) -> None:
    """Made in place: a message that is given to another is copied into it, with all that it holds."""
    added = answer.candidates.add(rank=value.rank, further_reference_ids=value.further)
    added.reference.CopyFrom(_references.of(value.reference))
    if with_scores:
        added.expected_false = value.expected_false
        _fill_score(added.score, value.score, value.fmr)


def _score(value: Score, fmr: Fmr) -> common.Score:
    score = common.Score()
    _fill_score(score, value, fmr)
    return score


def _fill_score(score: common.Score, value: Score, fmr: Fmr) -> None:
    score.value = value.value
    for name, part in value.parts.items():
        score.parts.add(name=name, value=part)
    rate = score.fmr
    rate.value, rate.lower, rate.upper, rate.measurable = fmr.value, fmr.lower, fmr.upper, fmr.measurable
    score.likelihood = likelihood_value(value.likelihood)


def _evidence(value: Evidence | None) -> common.Evidence | None:
    if value is None:
        return None
    return common.Evidence(
        correspondences=[
            common.Correspondence(probe=_point(one), candidate=_point(other))
            for one, other in zip(value.probe, value.candidate, strict=True)
        ],
        transform=value.transform,
        probe_outline=map(_point, value.probe_outline),
        candidate_outline=map(_point, value.candidate_outline),
    )


def _point(value: tuple[float, float]) -> common.Point:
    return common.Point(x=value[0], y=value[1])


def _finding(value: Finding | None) -> common.Finding | None:
    return None if value is None else _present(value)


def _present(value: Finding) -> common.Finding:
    box = value.box
    return common.Finding(
        index=value.index,
        box=None if box is None else common.Box(x=box.x, y=box.y, width=box.width, height=box.height),
        confidence=value.confidence,
        landmarks=map(_point, value.landmarks),
        quality=_quality(value.quality),
        issues=[_issue(issue) for issue in value.issues],
        finger_positions=value.finger_positions,
    )


def _quality(value: Quality) -> common.Quality:
    quality = common.Quality(unified=value.unified)
    add = quality.components.add  # in place, see `_add_candidate`: a candidate has fourteen of these
    for c in value.components:
        add(name=c.name, value=c.value, native=c.native, unit=c.unit)
    return quality


def _issue(value: Issue) -> common.Issue:
    return common.Issue(reason=value.reason, message=value.message, severity=severity_value(value.severity))


def timestamp(moment: datetime | None) -> timestamp_pb2.Timestamp | None:
    """The protocol's, of an aware time; None for none."""
    if moment is None:
        return None
    since = moment.astimezone(UTC) - _EPOCH
    return timestamp_pb2.Timestamp(
        seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000
    )


def _duration(seconds: float) -> duration_pb2.Duration:
    whole, nanos = divmod(max(0, round(seconds * 1e9)), 10**9)
    return duration_pb2.Duration(seconds=whole, nanos=nanos)
