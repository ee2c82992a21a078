"""What the audit chain records: who asked, why, for which case, what was searched and what was answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from likeness.domain.access import Level, OversightAction
from likeness.domain.answers import Candidate, Header, ProbeAnswer, SearchOptions, Stated
from likeness.domain.audit import REFERENCE, AuditCandidate, AuditEntry, AuditShown, JsonValue
from likeness.domain.references import Caller, Reference
from likeness.domain.scope import Scope
from likeness.engine.hits import Holders

OK = "OK"

Facts = Mapping[str, JsonValue]
NO_FACTS: Facts = MappingProxyType({})

Answered = tuple[str, str, Level]
"""A reference that was answered: its id, its owner, and how much of it was shown."""


def audit_write(
    rpc: str, modality: str, caller: Caller, reference_id: str, reason: str = "", **details: JsonValue
) -> AuditEntry:
    """The entry for an enrolment, update or expungement; `reason` is that of an override or expungement."""
    return _entry(rpc, caller, modality, details={REFERENCE: reference_id, "reason": reason, **details})


def audit_get(caller: Caller, seen: Reference) -> AuditEntry:
    """The entry for one reference that was read, as the caller sees it."""
    details = {REFERENCE: seen.reference_id}
    return _entry("Get", caller, seen.modality, shown=_shown([_answered(seen)]), details=details)


def audit_list(scope: Scope, modality: str, seen: Iterable[Reference], after: int) -> AuditEntry:
    """The entry for a page of references, as the caller sees them, that begins after a log position."""
    filters = {
        "galleries": sorted(scope.galleries),
        "owners": sorted(scope.owners),
        "categories": sorted(scope.categories),
        "statuses": sorted(scope.statuses),
    }
    shown = _shown(map(_answered, seen))
    return _entry("List", scope.caller, modality, filters=filters, shown=shown, details={"after": after})


def _answered(seen: Reference) -> Answered:
    return seen.reference_id, seen.facets.owner, seen.level


def audit_analyse(modality: str, caller: Caller, probe: str, model: str, findings: int) -> AuditEntry:
    """The entry for a sample that was examined; `probe` is its keyed digest."""
    return _entry("Analyze", caller, modality, probe=probe, model=model, details={"findings": findings})


def audit_refusal(
    rpc: str,
    modality: str,
    caller: Caller,
    reason: str,
    *,
    probe: str = "",
    filters: Facts = NO_FACTS,
    options: Facts = NO_FACTS,
    details: Facts = NO_FACTS,
) -> AuditEntry:
    """The entry for a call that was refused with a reason, or failed, with what it had asked for."""
    asked = {"filters": dict(filters), "options": dict(options), "details": dict(details)}
    return _entry(rpc, caller, modality, outcome=reason, probe=probe, **asked)


def audit_oversight(action: OversightAction, caller: Caller, details: Facts) -> AuditEntry:
    """The entry for an act about entities or the record."""
    return _entry(action.value, caller, "", details=details)


def audit_further(caller: Caller, reason: str, further: int, ends: int) -> AuditEntry:
    """The entry for refusals that have none of their own: how many there were of one principal until now, in the
    window that ends then (Unix seconds)."""
    return _entry("Refusals", caller, "", outcome=reason, details={"further": further, "window_ends": ends})


def audit_resumed() -> AuditEntry:
    """The entry that shows that acts can go on record again, after a time in which they could not: nothing was
    answered in it."""
    return AuditEntry("Resume", Caller(""), OK)


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
    candidates = [candidate for answer in answers for candidate in answer.candidates]
    further = [(name, c.reference.facets.owner, c.reference.level) for c in candidates for name in c.further]
    behind = [(name, owner, Level.HIT) for held in holders for owner, names in held.items() for name in names]
    return _entry(
        "Search",
        caller,
        modality,
        probe=probe,
        options={
            "k": options.k,
            "max_fmr": options.max_fmr,
            "exhaustive": options.exhaustive,
            "frontline": options.frontline,
            "lights_out": options.lights_out,
        },
        filters={
            "galleries": sorted(options.galleries),
            "owners": sorted(options.owners),
            "categories": sorted(options.categories),
        },
        candidates=tuple(map(_candidate, candidates)),
        shown=_shown([*further, *behind]),
        searched=header.searched,
        model=header.model,
        calibration=header.calibration,
        generation=header.generation,
        log_position=header.log_position,
        details={"presentations": [len(answer.candidates) for answer in answers]},
    )


def audit_compare(
    modality: str,
    caller: Caller,
    sides: Sequence[str],
    references: Iterable[Reference],
    header: Header,
    stated: Stated,
) -> AuditEntry:
    """The entry for a 1:1 comparison; a side is a reference id or a sample's keyed digest."""
    score, fmr = stated.score, stated.fmr
    return _entry(
        "Compare",
        caller,
        modality,
        shown=_shown(map(_answered, references)),
        model=header.model,
        calibration=header.calibration,
        log_position=header.log_position,
        searched=1,
        details={"sides": list(sides), "score": score.value, "fmr": fmr.value, "measurable": fmr.measurable},
    )


def _shown(references: Iterable[Answered]) -> tuple[AuditShown, ...]:
    """References by owner and level, in the order in which they were answered."""
    groups: dict[tuple[str, Level], dict[str, None]] = {}
    for reference_id, owner, level in references:
        groups.setdefault((owner, level), {})[reference_id] = None
    return tuple(AuditShown(owner, level, tuple(ids)) for (owner, level), ids in groups.items())


def _candidate(candidate: Candidate) -> AuditCandidate:
    reference, fmr = candidate.reference, candidate.fmr
    return AuditCandidate(
        reference.reference_id,
        candidate.score.value,
        fmr.value,
        fmr.measurable,
        reference.facets.owner,
        reference.level,
    )


def _entry(rpc: str, caller: Caller, modality: str, *, outcome: str = OK, **content: Any) -> AuditEntry:
    """An entry with what was proven of the caller and who judged it."""
    grant = caller.grant
    return AuditEntry(
        rpc,
        caller,
        outcome,
        modality,
        principal=grant.principal.name,
        person=grant.principal.person,
        policy=grant.policy,
        decided_by=grant.decided_by,
        **content,
    )
