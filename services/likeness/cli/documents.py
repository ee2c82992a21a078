"""Messages of the protocol as JSON documents. Names are the protocol's; numbers stay numbers."""

from __future__ import annotations

from collections.abc import Collection

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from likeness.cli import words
from likeness.cli.searched import has_hits, is_partial
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching

Document = dict[str, object]


def reference(message: common.Reference) -> Document:
    """A reference with all that its owner says of it, or of a candidate what the caller may see."""
    stated = message.metadata
    if message.level == common.LEVEL_CANDIDATE:
        return {
            "reference_id": message.reference_id,
            "modality": modality(message.modality),
            "level": level(message.level),
            "owner": stated.owner,
            "category": category(stated.category),
        }
    limits = stated.restrictions
    return {
        "reference_id": message.reference_id,
        "modality": modality(message.modality),
        "level": level(message.level),
        "owner": stated.owner,
        "subject_id": stated.subject_id,
        "owner_reference": stated.owner_reference,
        "galleries": list(stated.galleries),
        "category": category(stated.category),
        "status": status(stated.status),
        "notices": list(stated.notices),
        "attributes": dict(stated.attributes),
        "restrictions": {
            "denied_entities": list(limits.denied_entities),
            "permitted_entities": list(limits.permitted_entities),
            "permitted_purposes": [purpose(p) for p in limits.permitted_purposes],
            "denied_countries": list(limits.denied_countries),
            "permitted_countries": list(limits.permitted_countries),
            "denied_groups": list(limits.denied_groups),
            "permitted_groups": list(limits.permitted_groups),
            "disclosure": level(limits.disclosure),
        },
        "review_time": _time(stated.review_time) if stated.HasField("review_time") else None,
        "expire_time": _time(stated.expire_time) if stated.HasField("expire_time") else None,
        "quality": round(message.quality.unified, 1),
        "quality_override": message.quality_override,
        "template_space": message.template_space,
        "model": message.model,
        "create_time": _time(message.create_time),
        "update_time": _time(message.update_time),
        "log_position": message.log_position,
    }


def score(message: common.Score, calibrated: bool) -> Document:
    """A comparison score, never without its false match rate."""
    fmr = message.fmr
    return {
        "value": message.value,
        "parts": {part.name: part.value for part in message.parts},
        **({"likelihood": likelihood(message.likelihood)} if message.likelihood else {}),
        "fmr": {
            "value": fmr.value,
            "lower": fmr.lower,
            "upper": fmr.upper,
            "measurable": fmr.measurable,
            "in_words": words.rate_words(fmr.value, fmr.lower, fmr.upper, fmr.measurable, calibrated),
        },
    }


def candidate(message: common.Candidate, calibrated: bool) -> Document:
    """A candidate: a lead."""
    return {
        "rank": message.rank,
        "reference": reference(message.reference),
        **(
            {"score": score(message.score, calibrated), "expected_false": message.expected_false}
            if message.HasField("score")
            else {}
        ),
        "further_references": list(message.further_reference_ids),
        "abridged": message.abridged,
    }


def evidence(message: common.Evidence) -> Document:
    """What a comparison rests on: points [x, y] in pixels, and the transform row by row."""
    return {
        "probe": [_xy(c.probe) for c in message.correspondences],
        "candidate": [_xy(c.candidate) for c in message.correspondences],
        "transform": list(message.transform),
        "probe_outline": [_xy(p) for p in message.probe_outline],
        "candidate_outline": [_xy(p) for p in message.candidate_outline],
    }


def _xy(point: common.Point) -> list[float]:
    return [round(point.x, 1), round(point.y, 1)]


def finding(message: common.Finding) -> Document:
    """One face, record or object: where it is, how good it is, what is wrong with it."""
    box = message.box
    return {
        "index": message.index,
        "box": [box.x, box.y, box.width, box.height] if message.HasField("box") else None,
        "confidence": message.confidence,
        "quality": round(message.quality.unified, 1),
        "components": {c.name: round(c.value, 1) for c in message.quality.components},
        "issues": [
            {"reason": issue.reason, "message": issue.message, "severity": severity(issue.severity)}
            for issue in message.issues
        ],
    }


def header(message: common.AnswerHeader) -> Document:
    """How the answer came to be."""
    return {
        "log_position": message.log_position,
        "generation": message.generation,
        "coverage": message.coverage,
        "model": message.model,
        "calibration": message.calibration,
        "searched": message.searched,
        "max_fmr": message.max_fmr or None,
        "unknown_galleries": list(message.unknown_galleries),
        "audit_position": message.audit_position,
        "audit_digest": message.audit_digest,
        "policy": message.policy,
        "insecure": message.insecure,
        "timings_ms": {t.stage: round(t.duration.ToNanoseconds() / 1e6, 2) for t in message.timings},
    }


def search(probe: str, response: matching.SearchResponse, galleries: Collection[str] = ()) -> Document:
    """The answer for one probe; `galleries` are those that the search named."""
    calibrated = bool(response.header.calibration)
    return {
        "probe": probe,
        "notice": f"{words.LEAD} {words.HIT_LEAD}" if has_hits(response) else words.LEAD,
        "header": {**header(response.header), "partial": is_partial(response.header, galleries)},
        "answers": [
            {
                "finding": finding(answer.finding),
                "candidates": [candidate(c, calibrated) for c in answer.candidates],
                "hits": [{"owner": hit.owner, "modality": modality(hit.modality)} for hit in answer.hits],
            }
            for answer in response.answers
        ],
    }


def category(value: common.Category.ValueType) -> str:
    """The protocol's category in the product's own word."""
    return _word(common.Category.DESCRIPTOR, value)


def category_words(value: common.Category.ValueType) -> str:
    """A category for one cell of a table, its words apart, so that a narrow column breaks between them."""
    return category(value).replace("_", " ")


def modality(value: common.Modality.ValueType) -> str:
    """The protocol's modality in the product's own word; empty for one that it has no name for."""
    return _word(common.Modality.DESCRIPTOR, value) if value else ""


def level(value: common.Level.ValueType) -> str:
    """The protocol's level in the product's own word; empty where it is not set."""
    return _word(common.Level.DESCRIPTOR, value) if value else ""


def severity(value: common.Severity.ValueType) -> str:
    """The protocol's severity in the product's own word."""
    return _word(common.Severity.DESCRIPTOR, value)


def likelihood(value: common.Likelihood.ValueType) -> str:
    """The protocol's likelihood in words; empty where the modality has none."""
    return _word(common.Likelihood.DESCRIPTOR, value).replace("_", " ") if value else ""


def status(value: common.Status.ValueType) -> str:
    """The protocol's status in the product's own word."""
    return _word(common.Status.DESCRIPTOR, value)


def purpose(value: common.Purpose.ValueType) -> str:
    """The protocol's purpose in the product's own word."""
    return _word(common.Purpose.DESCRIPTOR, value)


def _word(enum: EnumDescriptor, value: int) -> str:
    """The name of a member without that of its enumeration; its number where a newer service has more members."""
    member = enum.values_by_number.get(value)
    return str(value) if member is None else member.name.removeprefix(f"{enum.name.upper()}_").lower()


def _time(stamp: Timestamp) -> str:
    return stamp.ToJsonString()
