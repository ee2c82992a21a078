"""What the audit chain records: who asked, why, for which case, what was searched and what was answered."""

from __future__ import annotations

from collections.abc import Sequence

from likeness.domain.answers import Header, ProbeAnswer, SearchOptions, Stated
from likeness.domain.audit import AuditCandidate, AuditEntry, JsonValue
from likeness.domain.references import Caller
from likeness.engine.hits import Holders

OK = "OK"


def audit_write(rpc: str, modality: str, caller: Caller, reference_id: str, reason: str = "") -> AuditEntry:
    """The entry for an enrolment, update or expungement; `reason` is that of an override or expungement."""
    return AuditEntry(
        rpc, caller, OK, modality=modality, details={"reference_id": reference_id, "reason": reason}
    )


def audit_search(
    modality: str,
    caller: Caller,
    options: SearchOptions,
    probe: str,
    header: Header,
    answers: Sequence[ProbeAnswer],
    holders: Sequence[Holders],
) -> AuditEntry:
    """The entry for a search: filters, the probe's keyed digest, every candidate with its score, and of every hit
    the references behind it, which the caller was not answered with."""
    return AuditEntry(
        "Search",
        caller,
        OK,
        modality=modality,
        probe=probe,
        options={"k": options.k, "max_fmr": options.max_fmr, "exhaustive": options.exhaustive},
        filters={
            "galleries": sorted(options.galleries),
            "owners": sorted(options.owners),
            "categories": sorted(options.categories),
        },
        candidates=tuple(
            AuditCandidate(c.reference.reference_id, c.score.value, c.fmr.value, c.fmr.measurable)
            for answer in answers
            for c in answer.candidates
        ),
        searched=header.searched,
        model=header.model,
        calibration=header.calibration,
        generation=header.generation,
        log_position=header.log_position,
        details={
            "presentations": [len(answer.candidates) for answer in answers],
            **({"hits": [_by_owner(held) for held in holders]} if any(holders) else {}),
        },
    )


def _by_owner(held: Holders) -> dict[str, JsonValue]:
    return {owner: list(references) for owner, references in held.items()}


def audit_compare(
    modality: str, caller: Caller, sides: Sequence[str], header: Header, stated: Stated
) -> AuditEntry:
    """The entry for a 1:1 comparison; a side is a reference id or a sample's keyed digest."""
    score, fmr = stated.score, stated.fmr
    return AuditEntry(
        "Compare",
        caller,
        OK,
        modality=modality,
        model=header.model,
        calibration=header.calibration,
        log_position=header.log_position,
        searched=1,
        details={"sides": list(sides), "score": score.value, "fmr": fmr.value, "measurable": fmr.measurable},
    )
