"""From measured quality to issues: what is noted, and what stops an enrolment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from likeness.domain.errors import InvalidInput
from likeness.domain.samples import Issue, Mode, Quality, QualityComponent, Severity
from likeness.face.parameters import CONFIDENCE_LIMITS, LIMITS, Limit
from likeness.inference.models.manifest import FaceManifest

QualityLimits = Mapping[str, Limit]


def limits_of(detector: FaceManifest, recogniser: FaceManifest) -> dict[str, Limit]:
    """The limits in force: the general ones, the detector family's, and what the manifests change.

    Raises:
        InvalidInput: a manifest's [quality] names a component that has no limits.
    """
    limits = {"DetectorConfidence": CONFIDENCE_LIMITS[detector.family.value], **LIMITS}
    for manifest in (detector, recogniser):
        for name, edges in manifest.quality.items():
            if name not in limits:
                raise InvalidInput(
                    f"[quality] of {manifest.origin} names {name!r}; components with limits are "
                    f"{', '.join(sorted(limits))}.",
                    reason="MANIFEST_INVALID",
                )
            limit = limits[name]
            warn = limit.warn if edges.warn is None else edges.warn
            reject = limit.reject if edges.reject is None else edges.reject
            limits[name] = replace(limit, warn=warn, reject=reject)
    return limits


def issues(quality: Quality, limits: QualityLimits, mode: Mode, name: str) -> tuple[Issue, ...]:
    """What is wrong with a face.

    Args:
        quality: as measured.
        limits: by component name.
        mode: a probe is only advised; enrolment, and analysis, which foretells it, are strict.
        name: what the caller calls the sample.
    """
    found = (
        _judge(component, limits[component.name], mode, name)
        for component in quality.components
        if component.name in limits
    )
    return tuple(issue for issue in found if issue is not None)


def several(count: int, mode: Mode, name: str) -> Issue:
    """The issue of each of several faces where one was expected."""
    return Issue(
        "SEVERAL_FACES",
        f"{name} shows {count} faces and none was selected; select one by its index or region, or the most "
        "prominent or most central one.",
        Severity.WARN if mode is Mode.PROBE else Severity.REJECT,
    )


def _judge(component: QualityComponent, limit: Limit, mode: Mode, name: str) -> Issue | None:
    measured = component.native if component.native is not None else component.value
    badness, sign = (abs(measured), 1) if limit.upper else (measured, -1)

    def beyond(edge: float | None) -> bool:
        return edge is not None and sign * badness > sign * edge

    if not beyond(limit.warn) and not beyond(limit.reject):
        return None
    rejected = beyond(limit.reject)
    edge = limit.reject if rejected else limit.warn
    unit = f" {component.unit}" if component.unit else ""
    side = "over" if limit.upper else "under"
    return Issue(
        _reason(component.name, limit),
        f"{component.name} of the face in {name} is {measured:.3g}{unit}, {side} {edge:g}{unit}; {limit.remedy}.",
        Severity.REJECT if rejected and mode is not Mode.PROBE else Severity.WARN,
    )


_REASONS = {
    "Uprightness": "FACE_TURNED",
    "InterEyeDistance": "INTER_EYE_DISTANCE_TOO_SMALL",
    "UnderExposurePrevention": "FACE_UNDER_EXPOSED",
    "OverExposurePrevention": "FACE_OVER_EXPOSED",
    "LeftwardCropOfTheFaceImage": "FACE_CROPPED",
    "RightwardCropOfTheFaceImage": "FACE_CROPPED",
    "MarginAboveOfTheFaceImage": "FACE_CROPPED",
    "MarginBelowOfTheFaceImage": "FACE_CROPPED",
}


def _reason(name: str, limit: Limit) -> str:
    """The constant of an issue: its own name, or the component's in capitals."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
    return _REASONS.get(name, f"{spaced}_TOO_{'LARGE' if limit.upper else 'LOW'}")
