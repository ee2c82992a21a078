"""What the searches and comparisons of one modality use of quotas, and which are known to be used up.

Every answer is counted in the transaction that puts it on record (`Ledger.audit`), so that no two processes answer
more than one may. What was refused there is remembered here until its window ends, so that the next call is refused
before anything is computed for it.

A subject that was answered often enough is not left out, which would hide a suspect, and the search is not refused,
which would tell that it is there: it is answered as one whom one stranger in a thousand resembles as much, whatever
its score, until the day ends. It is the subject as stored that is counted, also where the caller may not see it:
several references of one would be several quotas.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from likeness.domain.audit import AuditEntry
from likeness.domain.modality import TemplateSpace
from likeness.domain.quotas import DAY, HOUR, Charge, QuotaKind, QuotaLimits, QuotaReached
from likeness.domain.references import Caller, Reference
from likeness.domain.samples import Template
from likeness.domain.storage import AuditReceipt, Ledger
from likeness.engine.sketch import AGREEING, Sketcher
from likeness.telemetry import metrics

REMEMBERED = 100_000
"""Quotas that are remembered as used up; beyond it those of ended windows are forgotten, then all."""


class Quotas:
    """Counts for one modality. Safe to use from many threads.

    Args:
        limits: how often what may be done.
        space: of the templates of the probes.
        secret: of the store, so that only it recognises what is counted.
    """

    def __init__(self, limits: QuotaLimits, space: TemplateSpace, secret: str) -> None:
        self._limits = limits
        self._sketcher = Sketcher(space, secret)
        self._spent: dict[Charge, int] = {}

    def admit(self, caller: Caller) -> None:
        """Let a call begin.

        Raises:
            QuotaReached: the caller has made as many as it may.
        """
        self._refuse(self._of_principal(caller))

    def check_subjects(self, caller: Caller, subjects: Iterable[Reference]) -> None:
        """Let references be compared 1:1.

        Raises:
            QuotaReached: one is of a subject that was answered as often as it may be.
        """
        self._refuse([self._of_subject(caller, subject) for subject in subjects])

    def is_spent(self, caller: Caller, subject: Reference) -> bool:
        """Whether the subject of a reference is known to have been answered as often as it may be."""
        if not self._spent or not caller.grant.policy:
            return False
        return self._ends(self._of_subject(caller, subject)) is not None

    def put_on_record(
        self,
        ledger: Ledger,
        entry: AuditEntry,
        caller: Caller,
        probes: Sequence[Template],
        subjects: Iterable[Reference],
    ) -> AuditReceipt:
        """Record an answer together with what it uses, or neither; what turns out to be used up is remembered.

        Where nobody judges calls it is counted by entity alone: whoever is refused calls as another, and scores are
        exact in any case.

        Args:
            ledger: that it is recorded in.
            entry: of the answer.
            caller: who is answered.
            probes: with which samples; none where references alone are compared.
            subjects: references of whose scores something is told, as stored: one for each time that a subject is
                weighed against a probe.

        Raises:
            QuotaReached: one of them is used up.
            InvalidInput, Unavailable: as `Ledger.audit`.
        """
        try:
            return ledger.audit(entry, self._charges(caller, probes, subjects))
        except QuotaReached as reached:
            self._learn(reached)
            raise

    def _charges(
        self, caller: Caller, probes: Sequence[Template], subjects: Iterable[Reference]
    ) -> tuple[Charge, ...]:
        charged = self._of_principal(caller)
        if caller.grant.policy:
            charged += [self._of_probe(caller, probe) for probe in probes]
            charged += [self._of_subject(caller, subject) for subject in subjects]
        return tuple(charged)

    def _learn(self, reached: QuotaReached) -> None:
        metrics.quota_reached(reached.charges[0].kind.value).inc()
        if len(self._spent) >= REMEMBERED:
            now = time.time()
            left = {charge: ends for charge, ends in list(self._spent.items()) if ends > now}
            self._spent = left if len(left) < REMEMBERED else {}
        for charge in reached.charges:
            self._spent[charge] = reached.ends

    def _refuse(self, charges: Sequence[Charge]) -> None:
        for charge in charges:
            ends = self._ends(charge)
            if ends is not None:
                metrics.quota_reached(charge.kind.value).inc()
                raise QuotaReached([charge], ends)

    def _ends(self, charge: Charge) -> int | None:
        """When the window ends in which a charge is known to be refused; None where it is not known to be."""
        ends = self._spent.get(charge)
        return ends if ends is not None and ends > time.time() else None

    def _of_principal(self, caller: Caller) -> list[Charge]:
        names = (principal(caller),)
        return [
            Charge(QuotaKind.PRINCIPAL, names, self._limit("hour", caller), HOUR),
            Charge(QuotaKind.PRINCIPAL, names, self._limit("day", caller), DAY),
        ]

    def _of_subject(self, caller: Caller, subject: Reference) -> Charge:
        of = subject.subject_id or subject.reference_id
        kind = "subject" if subject.subject_id else "reference"
        name = (*principal(caller), subject.facets.owner, kind, of)
        return Charge(QuotaKind.SUBJECT, (name,), self._limit("subject", caller))

    def _of_probe(self, caller: Caller, probe: Template) -> Charge:
        names = tuple((*principal(caller), *name) for name in self._sketcher.names(probe))
        return Charge(QuotaKind.PROBE, names, self._limit("probe", caller), agreeing=AGREEING)

    def _limit(self, name: str, caller: Caller) -> int:
        return self._limits.of(name, caller.grant.roles)


def principal(caller: Caller) -> tuple[str, str]:
    """Who is counted: the person whom a token proved, else who was proven to call, else the entity."""
    proven = caller.grant.principal
    if proven.person:
        return "person", proven.person
    return ("principal", proven.name) if proven.name else ("entity", caller.entity)
