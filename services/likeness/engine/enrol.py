"""Enrolment: from a sample to a durable reference, or a clear reason why not."""

from __future__ import annotations

from dataclasses import dataclass, replace

from likeness.domain.changes import ChangeKind, Enrol, Receipt, RequestKey, Write
from likeness.domain.deadline import Deadline
from likeness.domain.ids import new_id
from likeness.domain.modality import Modality
from likeness.domain.references import Caller, Reference
from likeness.domain.samples import Finding, Mode, Sample
from likeness.domain.storage import Storage, only
from likeness.engine.audit import audit_write
from likeness.engine.finding_rules import check_quality, single_finding, template_of
from likeness.engine.metadata_rules import check_metadata
from likeness.engine.policy import owned_by


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A durable enrolment: the reference as stored, what was found in its sample, and the receipt.

    `finding` is None for a replay: its sample was not looked at again, and what was found is not stored.
    """

    reference: Reference
    finding: Finding | None
    receipt: Receipt


class Enroller:
    """Enrols references of one modality."""

    def __init__(self, modality: Modality, store: Storage, *, keep_sources: bool) -> None:
        self._modality = modality
        self._store = store
        self._keep_sources = keep_sources

    def enrol(
        self,
        caller: Caller,
        key: RequestKey,
        described: Reference,
        sample: Sample,
        override: str,
        deadline: Deadline,
    ) -> Enrolled:
        """Enrol one sample; returns when it is durable.

        A request that was done before is answered from the store, and its sample is not decoded. Of two that come
        at the same time the store accepts one, and the other is answered as a replay too.

        Raises:
            InvalidInput: the metadata breaks a limit, or names another owner.
            SampleRejected: the sample cannot be used, or its quality is too low and there is no override.
            Conflict: the request id was used for something else.
        """
        owned_by(caller, described.facets)
        check_metadata(described)
        deadline.check(f"{sample.name} waited to be enrolled")
        earlier = self._store.receipt(key, ChangeKind.ENROL, self._modality.name)
        if earlier is not None:
            return self._replayed(earlier)
        extraction = self._modality.extract([sample], Mode.ENROL, deadline)[0]
        finding = single_finding(extraction, sample, "sample.data")
        check_quality(finding, override, "sample.data")
        deadline.check(f"{sample.name} was being enrolled")
        return self._commit(caller, key, described, sample, finding, override)

    def _commit(
        self,
        caller: Caller,
        key: RequestKey,
        described: Reference,
        sample: Sample,
        finding: Finding,
        override: str,
    ) -> Enrolled:
        template = template_of(finding, self._modality, sample)
        reference = replace(
            described,
            reference_id=new_id(),
            modality=self._modality.name,
            quality=finding.quality,
            quality_override=override,
            template_space=template.space,
            model=template.model,
        )
        entry = audit_write("Enroll", self._modality.name, caller, reference.reference_id, override)
        source = sample.data if self._keep_sources else None
        write = Write(key, Enrol(reference, template, source), entry)
        receipt = only(self._store.write([write]))
        if receipt.replayed:
            return self._replayed(receipt)
        written = replace(
            reference,
            created_at=receipt.at,
            updated_at=receipt.at,
            position=receipt.position,
            enrolled_position=receipt.position,
        )
        return Enrolled(written, finding, receipt)

    def _replayed(self, receipt: Receipt) -> Enrolled:
        return Enrolled(self._store.get(receipt.reference_id), None, receipt)
