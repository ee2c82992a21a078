"""Enrolment: from a sample to a durable reference, or a clear reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from likeness.domain.audit import REPLAYED
from likeness.domain.changes import ChangeKind, Enrol, Receipt, RequestKey, Write
from likeness.domain.deadline import Deadline
from likeness.domain.errors import LikenessError
from likeness.domain.ids import new_id
from likeness.domain.modality import Modality
from likeness.domain.references import Caller, Reference
from likeness.domain.samples import Extraction, Finding, Mode, Sample
from likeness.domain.storage import Outcome, Storage, only
from likeness.engine.audit import audit_write
from likeness.engine.batches import attempt, extract_each
from likeness.engine.finding_rules import check_quality, single_finding, template_of
from likeness.engine.metadata_rules import check_metadata
from likeness.engine.policy import as_seen_by, owned_by


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What is to be enrolled: for whom, under which key, what its owner says of it, and the sample.

    `override`: why it is enrolled even if its quality is too low; empty for no override.
    """

    caller: Caller
    key: RequestKey
    described: Reference
    sample: Sample
    override: str = ""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A durable enrolment: the reference as stored, what was found in its sample, and the receipt.

    `finding` is None for a replay: its sample was not looked at again, and what was found is not stored.
    """

    reference: Reference
    finding: Finding | None
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class _Accepted:
    """An enrolment that is ready to be written, and what was found in its sample."""

    caller: Caller
    reference: Reference
    finding: Finding
    write: Write


class Enroller:
    """Enrols references of one modality."""

    def __init__(self, modality: Modality, store: Storage, *, keep_sources: bool) -> None:
        self._modality = modality
        self._store = store
        self._keep_sources = keep_sources

    def enrol(self, enrolment: Enrolment, deadline: Deadline) -> Enrolled:
        """Enrol one sample; returns when it is durable.

        A request that was done before is answered from the store, and its sample is not decoded. Of two that come
        at the same time the store accepts one, and the other is answered as a replay too.

        Raises:
            InvalidInput: the metadata breaks a limit, or names another owner.
            SampleRejected: the sample cannot be used, or its quality is too low and there is no override.
            Conflict: the request id was used for something else.
        """
        earlier = self._earlier(enrolment, deadline)
        if earlier is not None:
            return earlier
        extraction = self._modality.extract([enrolment.sample], Mode.ENROL, deadline)[0]
        accepted = self._accepted(enrolment, extraction)
        deadline.check(f"{enrolment.sample.name} was being enrolled")
        return self._settled(accepted, *self._store.write([accepted.write]))

    def enrol_group(self, group: Sequence[Enrolment], deadline: Deadline) -> list[Enrolled | Exception]:
        """Enrol some samples with one extraction and one write; what became of each, in order, once it is durable.

        Raises:
            DeadlineExceeded: time ran out before the write; none of them was enrolled now.
        """
        known = [attempt(partial(self._earlier, one, deadline), deadline) for one in group]
        new = [one for one, earlier in zip(group, known, strict=True) if earlier is None]
        made = iter(self._enrol_new(new, deadline))
        return [next(made) if earlier is None else earlier for earlier in known]

    def _enrol_new(self, group: Sequence[Enrolment], deadline: Deadline) -> list[Enrolled | Exception]:
        extractions = extract_each(self._modality, [one.sample for one in group], Mode.ENROL, deadline)
        decided = [
            found if isinstance(found, Exception) else attempt(partial(self._accepted, one, found), deadline)
            for one, found in zip(group, extractions, strict=True)
        ]
        deadline.check("samples were being enrolled")
        outcomes = iter(self._written([one for one in decided if isinstance(one, _Accepted)]))
        return [
            one
            if isinstance(one, Exception)
            else attempt(partial(self._settled, one, next(outcomes)), deadline)
            for one in decided
        ]

    def _written(self, accepted: Sequence[_Accepted]) -> Sequence[Outcome]:
        """The outcome of each write; where the store takes none, such as one whose queue is full, that of all."""
        try:
            return self._store.write([one.write for one in accepted])
        except LikenessError as error:
            return [error] * len(accepted)

    def _earlier(self, enrolment: Enrolment, deadline: Deadline) -> Enrolled | None:
        """Check what does not need the sample; the answer if the request was done before."""
        owned_by(enrolment.caller, enrolment.described.facets)
        check_metadata(enrolment.described)
        deadline.check(f"{enrolment.sample.name} waited to be enrolled")
        receipt = self._store.receipt(enrolment.key, ChangeKind.ENROL, self._modality.name)
        if receipt is None:
            return None
        answer = self._replayed(enrolment.caller, receipt)
        name, modality = receipt.reference_id, self._modality.name
        entry = audit_write(
            "Enroll", modality, enrolment.caller, name, enrolment.override, **{REPLAYED: True}
        )
        self._store.audit(replace(entry, log_position=receipt.position))
        return answer

    def _accepted(self, enrolment: Enrolment, extraction: Extraction) -> _Accepted:
        """What is to be written, if the sample can be enrolled."""
        sample, override = enrolment.sample, enrolment.override
        finding = single_finding(extraction, sample, "sample.data")
        check_quality(finding, override, "sample.data")
        template = template_of(finding, self._modality, sample)
        reference = replace(
            enrolment.described,
            reference_id=new_id(),
            modality=self._modality.name,
            quality=finding.quality,
            quality_override=override,
            template_space=template.space,
            model=template.model,
        )
        entry = audit_write("Enroll", self._modality.name, enrolment.caller, reference.reference_id, override)
        source = sample.data if self._keep_sources else None
        write = Write(enrolment.key, Enrol(reference, template, source), entry)
        return _Accepted(enrolment.caller, reference, finding, write)

    def _settled(self, accepted: _Accepted, outcome: Outcome) -> Enrolled:
        """The answer to a write, or what it was refused with."""
        receipt = only([outcome])
        if receipt.replayed:
            return self._replayed(accepted.caller, receipt)
        written = replace(
            accepted.reference,
            created_at=receipt.at,
            updated_at=receipt.at,
            position=receipt.position,
            enrolled_position=receipt.position,
        )
        return Enrolled(written, accepted.finding, receipt)

    def _replayed(self, caller: Caller, receipt: Receipt) -> Enrolled:
        return Enrolled(as_seen_by(caller, self._store.get(receipt.reference_id)), None, receipt)
