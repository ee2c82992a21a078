"""Enrolment: from a sample to a durable reference, or a clear reason why not."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from likeness.domain.changes import Enrol, Receipt, RequestKey, Write
from likeness.domain.deadline import Deadline
from likeness.domain.errors import InvalidInput, LikenessError, SampleRejected
from likeness.domain.ids import new_id
from likeness.domain.modality import Modality
from likeness.domain.references import Caller, Reference, Status
from likeness.domain.samples import Extraction, Finding, Issue, Mode, Sample, Severity, Template
from likeness.engine.audit import audit_write
from likeness.engine.policy import owned_by
from likeness.store.store import Store, only

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")
"""Galleries, owners and entities: short, printable, without spaces, so that they can stand in logs and URLs."""

MAX_GALLERIES = 32
MAX_NOTICES = 64
MAX_ATTRIBUTES = 64
MAX_TEXT = 1024
MAX_RESTRICTED = 256
MAX_METADATA_BYTES = 65536
"""Of the subject's identifier, the owner's number, notices and attributes together, in UTF-8."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A durable enrolment: the reference as stored, what was found in its sample, and the receipt."""

    reference: Reference
    finding: Finding
    receipt: Receipt


def check_described(reference: Reference) -> None:
    """Check what an owner says of a reference against the limits.

    Raises:
        InvalidInput: names the field, the limit and what was given.
    """
    facets = reference.facets
    for gallery in facets.galleries:
        _check_name(gallery, "metadata.galleries")
    for entity in facets.restrictions.denied_entities | facets.restrictions.permitted_entities:
        _check_name(entity, "metadata.restrictions")
    _check_count(len(facets.galleries), MAX_GALLERIES, "metadata.galleries")
    _check_count(len(facets.restrictions.denied_entities), MAX_RESTRICTED, "metadata.restrictions")
    _check_count(len(facets.restrictions.permitted_entities), MAX_RESTRICTED, "metadata.restrictions")
    _check_count(len(reference.notices), MAX_NOTICES, "metadata.notices")
    _check_count(len(reference.attributes), MAX_ATTRIBUTES, "metadata.attributes")
    texts = _texts(reference)
    for field, text in texts:
        if len(text) > MAX_TEXT:
            raise InvalidInput(
                f"A text in {field} has {len(text)} characters; shorten it to {MAX_TEXT}.", field=field
            )
    size = sum(len(text.encode()) for _, text in texts)
    if size > MAX_METADATA_BYTES:
        raise InvalidInput(
            f"The texts in the metadata take {size} bytes in UTF-8; shorten them to {MAX_METADATA_BYTES}.",
            field="metadata",
            metadata={"limit_bytes": str(MAX_METADATA_BYTES)},
        )
    if facets.status is Status.EXPUNGED:
        raise InvalidInput(
            "A reference is expunged by Expunge, not by its metadata.", field="metadata.status"
        )


def _texts(reference: Reference) -> list[tuple[str, str]]:
    """The free texts in the metadata, each with its field."""
    texts = [
        ("metadata.subject_id", reference.subject_id),
        ("metadata.owner_reference", reference.owner_reference),
    ]
    texts += [("metadata.notices", notice) for notice in reference.notices]
    return texts + [("metadata.attributes", text) for pair in reference.attributes.items() for text in pair]


def _check_name(name: str, field: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidInput(
            f"'{name[:80]}' in {field} is not a name: 1 to 64 letters, digits or ._:/- beginning with a letter "
            "or digit.",
            field=field,
        )


def _check_count(count: int, limit: int, field: str) -> None:
    if count > limit:
        raise InvalidInput(f"{field} has {count} entries; the limit is {limit}.", field=field)


def rejected(issue: Issue, field: str) -> SampleRejected:
    """The error for a sample that cannot be used."""
    return SampleRejected(issue.message, field=field, reason=issue.reason)


def the_one(extraction: Extraction, sample: Sample, field: str) -> Finding:
    """The only finding of an extraction.

    Raises:
        SampleRejected: there is none, or there are several and none was selected.
    """
    if extraction.rejection is not None:
        raise rejected(extraction.rejection, field)
    if not extraction.findings:
        raise SampleRejected(f"Nothing was found in {sample.name}.", field=field, reason="NOTHING_FOUND")
    if len(extraction.findings) > 1:
        indices = ", ".join(str(f.index) for f in extraction.findings)
        raise SampleRejected(
            f"{sample.name} holds {len(extraction.findings)} presentations (indices {indices}); select one by "
            "index, region, prominence or centrality.",
            field=field,
            reason="SEVERAL_PRESENTATIONS",
            metadata={"count": str(len(extraction.findings))},
        )
    return extraction.findings[0]


def template_of(finding: Finding, modality: Modality, sample: Sample) -> Template:
    """The template of a finding.

    Raises:
        LikenessError: the modality made none, against its contract.
    """
    if finding.template is None:
        raise LikenessError(f"The {modality.name} modality made no template of {sample.name}.")
    return finding.template


class Enroller:
    """Enrols references of one modality."""

    def __init__(self, modality: Modality, store: Store, *, keep_sources: bool) -> None:
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

        Raises:
            InvalidInput: the metadata breaks a limit, or names another owner.
            SampleRejected: the sample cannot be used, or its quality is too low and there is no override.
            Conflict: the request id was used for something else.
        """
        owned_by(caller, described.facets)
        check_described(described)
        deadline.check(f"{sample.name} waited to be enrolled")
        extraction = self._modality.extract([sample], Mode.ENROL)[0]
        finding = the_one(extraction, sample, "sample.data")
        self._check_quality(finding, override)
        deadline.check(f"{sample.name} was being enrolled")
        return self._commit(caller, key, described, sample, finding, override)

    def _check_quality(self, finding: Finding, override: str) -> None:
        rejecting = [issue for issue in finding.issues if issue.severity is Severity.REJECT]
        if rejecting and not override:
            error = rejected(rejecting[0], "sample.data")
            error.message = " ".join(issue.message for issue in rejecting)
            error.metadata["reasons"] = ",".join(issue.reason for issue in rejecting)
            raise error

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
            return Enrolled(self._store.get(receipt.reference_id), finding, receipt)
        written = replace(
            reference,
            created_at=receipt.at,
            updated_at=receipt.at,
            position=receipt.position,
            enrolled_position=receipt.position,
        )
        return Enrolled(written, finding, receipt)
