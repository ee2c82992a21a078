from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from likeness.domain.errors import InvalidInput
from likeness.domain.samples import Issue, Mode, Quality, QualityComponent, Severity
from likeness.face.judge import issues, limits_of, several
from likeness.face.parameters import CONFIDENCE_LIMITS, LIMITS
from likeness.inference.models.catalogue import shipped_manifest
from likeness.inference.models.manifest import Edges, FaceManifest, Family, ModelKind, read_manifest

REJECT, WARN = Severity.REJECT, Severity.WARN


@pytest.fixture
def detector() -> FaceManifest:
    return read_manifest(shipped_manifest("face-detect-mtcnn"), FaceManifest)


@pytest.fixture
def recogniser() -> FaceManifest:
    return read_manifest(shipped_manifest("face-embed-dlib-resnet29"), FaceManifest)


def judged(name: str, native: float, mode: Mode = Mode.ENROL, unit: str = "px") -> Issue | None:
    found = issues(Quality(50, (QualityComponent(name, 50, native, unit),)), LIMITS, mode, "case-7.jpg")
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("name", "native", "severity"),
    [
        ("InterEyeDistance", 23.9, REJECT),
        ("InterEyeDistance", 24.0, WARN),
        ("InterEyeDistance", 39.9, WARN),
        ("InterEyeDistance", 40.0, None),
        ("HeadPoseYaw", -80, REJECT),
        ("HeadPoseYaw", 80, REJECT),
        ("HeadPoseYaw", -50, WARN),
        ("HeadPoseYaw", 34, None),
        ("HeadPosePitch", 89, WARN),
        ("HeadPoseRoll", -31, WARN),
        ("Sharpness", 0.02, REJECT),
        ("Sharpness", 0.05, WARN),
        ("Sharpness", 0.17, None),
        ("UnderExposurePrevention", 0.95, REJECT),
        ("OverExposurePrevention", 0.5, WARN),
        ("DynamicRange", 2.9, REJECT),
        ("LeftwardCropOfTheFaceImage", -0.4, REJECT),
        ("MarginBelowOfTheFaceImage", 0.9, WARN),
    ],
)
def test_limits_are_in_the_native_unit(name: str, native: float, severity: Severity | None) -> None:
    issue = judged(name, native)
    assert (issue.severity if issue else None) is severity


def test_a_message_names_the_sample_the_measure_its_limit_and_the_remedy() -> None:
    issue = judged("InterEyeDistance", 17.25)
    assert issue is not None
    assert issue.reason == "INTER_EYE_DISTANCE_TOO_SMALL"
    assert issue.message == (
        "InterEyeDistance of the face in case-7.jpg is 17.2 px, under 24 px; "
        "send a picture that shows the face larger."
    )


@pytest.mark.parametrize(
    ("name", "native", "reason"),
    [
        ("HeadPoseYaw", 80, "HEAD_POSE_YAW_TOO_LARGE"),
        ("Sharpness", 0, "SHARPNESS_TOO_LOW"),
        ("UnderExposurePrevention", 1, "FACE_UNDER_EXPOSED"),
        ("MarginAboveOfTheFaceImage", 0, "FACE_CROPPED"),
    ],
)
def test_reasons_are_constants(name: str, native: float, reason: str) -> None:
    issue = judged(name, native)
    assert issue is not None
    assert issue.reason == reason


def test_a_probe_is_only_advised_and_analysis_foretells_enrolment() -> None:
    for mode, severity in ((Mode.PROBE, WARN), (Mode.ANALYSE, REJECT), (Mode.ENROL, REJECT)):
        issue = judged("InterEyeDistance", 10, mode)
        assert issue is not None
        assert issue.severity is severity
        assert several(3, mode, "case-7.jpg").severity is severity


def test_a_manifest_moves_limits(detector: FaceManifest, recogniser: FaceManifest) -> None:
    assert limits_of(detector, recogniser) == {"DetectorConfidence": CONFIDENCE_LIMITS["mtcnn"], **LIMITS}
    stricter = recogniser.model_copy(update={"quality": {"InterEyeDistance": Edges(reject=30.0)}})
    moved = limits_of(detector, stricter)["InterEyeDistance"]
    assert moved == replace(LIMITS["InterEyeDistance"], reject=30.0)
    misspelt = detector.model_copy(update={"quality": {"Sharpnes": Edges(reject=1.0)}})
    with pytest.raises(InvalidInput, match="Sharpnes"):
        limits_of(misspelt, recogniser)


def test_every_detector_family_has_confidence_limits(detector: FaceManifest) -> None:
    families = {family.value for family in Family} - {Family.ARCFACE.value}
    assert detector.kind is ModelKind.DETECTOR
    assert set(CONFIDENCE_LIMITS) == families
    assert Path(detector.origin).is_file()
