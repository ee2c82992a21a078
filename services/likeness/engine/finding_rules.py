"""Which finding of a sample counts, and when its sample is refused."""

from __future__ import annotations

from likeness.domain.errors import LikenessError, SampleRejected
from likeness.domain.modality import Modality
from likeness.domain.samples import Extraction, Finding, Issue, Sample, Severity, Template


def rejected(issue: Issue, field: str) -> SampleRejected:
    """The error for a sample that cannot be used."""
    return SampleRejected(issue.message, field=field, reason=issue.reason)


def single_finding(extraction: Extraction, sample: Sample, field: str) -> Finding:
    """The only finding of an extraction: the one that is enrolled, or compared.

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


def check_quality(finding: Finding, override: str, field: str) -> None:
    """Refuse a finding whose quality is too low to be enrolled, unless somebody answers for it.

    Args:
        finding: what is to be enrolled.
        override: why it is to be enrolled all the same; empty for no override.
        field: the field of the request that holds the sample.

    Raises:
        SampleRejected: names every reason.
    """
    rejecting = [issue for issue in finding.issues if issue.severity is Severity.REJECT]
    if rejecting and not override:
        error = rejected(rejecting[0], field)
        error.message = " ".join(issue.message for issue in rejecting)
        error.metadata["reasons"] = ",".join(issue.reason for issue in rejecting)
        raise error
