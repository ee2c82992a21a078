"""An entry of the audit as JSON and as lines for a person."""

from __future__ import annotations

from rich.table import Table

from likeness.cli.output import plain_table
from likeness.cli.words import decided_words, plural, rate_short
from likeness.domain.audit import AuditEntry, JsonValue
from likeness.domain.text import printable
from likeness.store.audit import AuditRecord

_PER_PRESENTATION = "presentations"
"""By this name an entry has the numbers of candidates, one for each presentation in the probe."""


def audit_document(record: AuditRecord) -> dict[str, object]:
    """The whole entry, for JSON."""
    entry = record.entry
    return {
        "position": record.position,
        "time": record.at.isoformat(),
        "digest": record.digest.hex(),
        "rpc": entry.rpc,
        "principal": entry.principal,
        "person": entry.person,
        "entity": entry.caller.entity,
        "operator": entry.caller.operator,
        "purpose": entry.caller.purpose.value,
        "case_reference": entry.caller.case_reference,
        "outcome": entry.outcome,
        "modality": entry.modality,
        "probe": entry.probe,
        "options": dict(entry.options),
        "filters": dict(entry.filters),
        "searched": entry.searched,
        "candidates": [
            {
                "reference_id": c.reference_id,
                "score": c.score,
                "fmr": c.fmr,
                "measurable": c.measurable,
                "owner": c.owner,
                "level": "" if c.level is None else c.level.name.lower(),
            }
            for c in entry.candidates
        ],
        "shown": [
            {"owner": s.owner, "level": s.level.name.lower(), "reference_ids": list(s.reference_ids)}
            for s in entry.shown
        ],
        "policy": entry.policy,
        "decided_by": list(entry.decided_by),
        "model": entry.model,
        "calibration": entry.calibration,
        "generation": entry.generation,
        "log_position": entry.log_position,
        "details": dict(entry.details),
        "candidates_per_presentation": _per_presentation(entry),
    }


def _per_presentation(entry: AuditEntry) -> list[JsonValue]:
    """How many candidates were answered for each face, record or object of the probe."""
    counts = entry.details.get(_PER_PRESENTATION)
    return list(counts) if isinstance(counts, list | tuple) else []


def audit_table(record: AuditRecord) -> Table:
    """The entry for a terminal."""
    entry = record.entry
    who = printable(" / ".join(t for t in (entry.caller.entity, entry.caller.operator) if t))
    why = printable(" / ".join(t for t in (entry.caller.purpose.value, entry.caller.case_reference) if t))
    table = plain_table("", "")
    table.show_header = False
    what = "" if entry.rpc == "Search" else entry.modality  # a search names it with its probe
    heading = "  ".join(
        part for part in (f"{record.at:%Y-%m-%d %H:%M:%S} UTC", entry.rpc, what, entry.outcome) if part
    )
    table.add_row(f"{record.position}", heading, style="bold")
    table.add_row("", f"{who or 'an entity that was not named'}, for {why}")
    proven = " / ".join(text for text in (entry.principal, entry.person) if text)
    if proven:
        table.add_row("", printable(f"proven to be {proven}"))
    for line in _asked(entry):
        table.add_row("", line)
    if entry.searched or entry.rpc == "Search":
        table.add_row("", f"{plural(entry.searched, 'reference')} searched by {entry.model or 'no model'}")
    for candidate in entry.candidates:
        score_text = _scored(candidate.score, candidate.fmr, candidate.measurable, entry)
        table.add_row("", f"  {candidate.reference_id}  {score_text}")
    for group in entry.shown:
        for reference_id in group.reference_ids:
            table.add_row(
                "", f"  {reference_id}  of {group.owner}, shown at level {group.level.name.lower()}"
            )
    details = {name: value for name, value in entry.details.items() if value not in ("", None, [])}
    score, fmr, measurable = (details.pop(name, None) for name in ("score", "fmr", "measurable"))
    if isinstance(score, float) and isinstance(fmr, float):
        table.add_row("", f"  {_scored(score, fmr, measurable, entry)}")
    details.pop(_PER_PRESENTATION, None)
    if details:
        shown = (f"{name.replace('_', ' ')} {_shown(value)}" for name, value in details.items())
        table.add_row("", ", ".join(shown), style="dim")
    if entry.policy:
        parts = (f"policy {entry.policy}", decided_words(entry.outcome, entry.decided_by))
        table.add_row("", printable("; ".join(filter(None, parts))), style="dim")
    table.add_row("", f"digest {record.digest.hex()}", style="dim")
    return table


def _scored(score: float, fmr: float, measurable: object, entry: AuditEntry) -> str:
    """Score and rate; `measurable` as of `AuditCandidate`."""
    rate = rate_short(fmr, measurable is not False, bool(entry.calibration))
    unsure = " or below" if measurable is None and entry.calibration else ""
    return f"score {score:.3f}  FMR {rate}{unsure}"


def _shown(value: JsonValue) -> str:
    """A detail as a person reads it: a list by its parts."""
    return printable(" and ".join(map(str, value)) if isinstance(value, list) else str(value))


def _asked(entry: AuditEntry) -> list[str]:
    """What was asked for: of a search probe, scope, limits, and how many candidates each presentation has."""
    if entry.rpc != "Search":
        filters = "; ".join(f"{name} {_filter(value)}" for name, value in entry.filters.items() if value)
        return [
            *([f"probe {entry.probe}"] if entry.probe else []),
            *([f"asked for {filters}"] if filters else []),
        ]
    scope = [f"{name} {_listed(entry.filters.get(name))}" for name in ("galleries", "owners", "categories")]
    options = entry.options
    limit = options.get("max_fmr")
    limits = [
        f"at most {options.get('k', 'unknown')} candidates each",
        f"false match rate limited to {limit:g}"
        if isinstance(limit, int | float) and limit
        else "no limit on the false match rate",
        "every reference compared" if options.get("exhaustive") else "from the shortlist",
    ]
    counts = _per_presentation(entry)
    found = " and ".join(map(str, counts)) if counts else str(len(entry.candidates))
    each = f", for each of {len(counts)} presentations in the probe" if len(counts) > 1 else ""
    return [
        f"{entry.modality or 'unknown modality'}; probe {entry.probe or 'not recorded'}",
        "; ".join(scope),
        "; ".join(limits),
        f"candidates answered: {found}{each}",
    ]


def _filter(value: JsonValue) -> str:
    return _listed(value) if isinstance(value, list | tuple) else printable(str(value))


def _listed(value: JsonValue) -> str:
    return printable(", ".join(map(str, value))) if isinstance(value, list | tuple) and value else "all"
