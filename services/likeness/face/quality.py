"""Quality of a face, by components named as in ISO/IEC 29794-5 (OFIQ); each 0..100, higher is better.

The measures are simple ones on landmarks and luminance, not OFIQ's own networks: they name the same properties
and fall as these get worse, but their values are not OFIQ's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from likeness.domain.samples import Issue, Quality, QualityComponent, Severity
from likeness.face import parameters as limits
from likeness.face.detect import Detection, Pixels
from likeness.imaging.opencv import cv2
from likeness.inference.manifest import Edges

_NO_EDGES: Mapping[str, Edges] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Pose:
    """Head pose in degrees, estimated from five landmarks; good to about ten degrees near the front."""

    yaw: float
    pitch: float
    roll: float


def pose(face: Detection) -> Pose:
    """The pose that the landmarks suggest; 0, 0, 0 for a frontal, upright face."""
    left, right, nose, mouth_left, mouth_right = face.landmarks.astype(np.float64)
    across = right - left
    length = max(float(np.hypot(*across)), 1e-6)
    unit = across / length
    down = np.array([-unit[1], unit[0]])
    middle = (left + right) / 2
    along = float((nose - middle) @ unit) / (length / 2)
    height = float(((mouth_left + mouth_right) / 2 - middle) @ down)
    nose_height = float((nose - middle) @ down) / max(height, 1e-6)
    return Pose(
        yaw=math.degrees(math.atan(along / limits.NOSE_DEPTH)),
        pitch=float(np.clip((nose_height - limits.NOSE_HEIGHT) * limits.PITCH_FROM_NOSE, -90, 90)),
        roll=math.degrees(math.atan2(across[1], across[0])),
    )


def assess(face: Detection, chip: Pixels, size: tuple[int, int], faces: int) -> Quality:
    """Measure one face.

    Args:
        face: box and landmarks in the photograph.
        chip: the aligned face, uint8 [h, w, 3], RGB.
        size: (width, height) of the photograph.
        faces: how many faces the photograph holds.
    """
    head = pose(face)
    luminance = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)
    detail = float(np.abs(cv2.Laplacian(luminance, cv2.CV_32F)).mean())
    dark = float(np.mean(luminance <= limits.DARK_LEVEL))
    bright = float(np.mean(luminance >= limits.BRIGHT_LEVEL))
    turn = math.radians(min(abs(head.yaw), limits.FORESHORTENING_DEGREES))
    eyes = face.inter_eye / math.cos(turn)
    parts = (
        _part("DetectorConfidence", 100 * face.confidence, face.confidence),
        _part("InterEyeDistance", 100 * eyes / limits.FULL_INTER_EYE_PX, eyes, "px"),
        _part("HeadPoseYaw", 100 * math.cos(math.radians(head.yaw)) ** 2, head.yaw, "degree"),
        _part("HeadPosePitch", 100 * math.cos(math.radians(head.pitch)) ** 2, head.pitch, "degree"),
        _part("HeadPoseRoll", 100 * math.cos(math.radians(head.roll)) ** 2, head.roll, "degree"),
        _part("Sharpness", 100 * (1 - math.exp(-detail / limits.SHARPNESS_SCALE)), detail),
        _part("UnderExposurePrevention", 100 * (1 - dark), 100 * dark, "%"),
        _part("OverExposurePrevention", 100 * (1 - bright), 100 * bright, "%"),
        *_margins(face, size),
        _part("SingleFacePresent", 100.0 if faces == 1 else 0.0, float(faces)),
    )
    return Quality(_unified(parts), parts)


def issues(quality: Quality, name: str, edges: Mapping[str, Edges] = _NO_EDGES) -> tuple[Issue, ...]:
    """What is wrong with a face.

    Args:
        quality: what `assess` measured.
        name: what the caller calls the sample.
        edges: limits of the models in use, by component and in its native unit; they replace ours.
    """
    found = [_below(quality, name, check, edges.get(check.component)) for check in _CHECKS]
    found += [_beyond(quality, name, *limit) for limit in _POSES]
    return tuple(issue for issue in found if issue is not None)


@dataclass(frozen=True, slots=True)
class _Check:
    """Below `reject` a face is rejected, below `warn` noted. `native`: the limits are in the native unit."""

    component: str
    reject: float
    warn: float
    remedy: str
    native: bool = False


_WHOLE = "send a picture that shows the whole face"
_MARGINS = (
    "LeftwardCropOfTheFaceImage",
    "RightwardCropOfTheFaceImage",
    "MarginAboveOfTheFaceImage",
    "MarginBelowOfTheFaceImage",
)
_CHECKS = (
    _Check(
        "InterEyeDistance",
        limits.MIN_INTER_EYE_PX,
        limits.WARN_INTER_EYE_PX,
        "send a larger picture of the face",
        native=True,
    ),
    _Check(
        "DetectorConfidence",
        limits.MIN_CONFIDENCE,
        limits.WARN_CONFIDENCE,
        "make sure it is a face",
        native=True,
    ),
    _Check("Sharpness", limits.MIN_SHARPNESS, limits.WARN_SHARPNESS, "send a sharper picture"),
    _Check("UnderExposurePrevention", limits.MIN_EXPOSURE, limits.WARN_EXPOSURE, "send a brighter picture"),
    _Check("OverExposurePrevention", limits.MIN_EXPOSURE, limits.WARN_EXPOSURE, "send a darker picture"),
    *(_Check(side, limits.MIN_INSIDE, limits.WARN_INSIDE, _WHOLE) for side in _MARGINS),
)
_POSES = (
    ("HeadPoseYaw", limits.MAX_YAW_DEGREES, limits.WARN_YAW_DEGREES),
    ("HeadPosePitch", math.inf, limits.WARN_PITCH_DEGREES),
    ("HeadPoseRoll", math.inf, limits.WARN_ROLL_DEGREES),
)


def _part(name: str, value: float, native: float, unit: str = "") -> QualityComponent:
    return QualityComponent(name, float(np.clip(value, 0, 100)), native, unit)


def _unified(parts: tuple[QualityComponent, ...]) -> float:
    """The geometric mean of the worst component and the mean: one bad property cannot be averaged away."""
    values = [part.value for part in parts if part.name != "SingleFacePresent"]
    return float(math.sqrt(min(values) * (sum(values) / len(values))))


def _margins(face: Detection, size: tuple[int, int]) -> tuple[QualityComponent, ...]:
    """Per side, 100 less the share of the face box, in percent, that lies beyond that edge of the photograph."""
    box = face.box
    beyond = (
        -box.x / box.width,
        (box.x + box.width - size[0]) / box.width,
        -box.y / box.height,
        (box.y + box.height - size[1]) / box.height,
    )
    return tuple(
        _part(name, 100 - 100 * max(share, 0.0), 100 * max(share, 0.0), "%")
        for name, share in zip(_MARGINS, beyond, strict=True)
    )


def _constant(name: str, suffix: str) -> str:
    spaced = "".join(f"_{c}" if c.isupper() else c for c in name).lstrip("_")
    return f"{spaced.upper()}_{suffix}"


def _below(quality: Quality, name: str, check: _Check, edges: Edges | None) -> Issue | None:
    part = quality.component(check.component)
    if part is None:
        return None
    reject, warn, native = check.reject, check.warn, check.native
    if edges is not None:
        reject = reject if edges.reject is None else edges.reject
        warn = warn if edges.warn is None else edges.warn
        native = True
    value = part.native if native and part.native is not None else part.value
    if value >= max(warn, reject):
        return None
    severity = Severity.REJECT if value < reject else Severity.WARN
    limit = reject if severity is Severity.REJECT else warn
    unit = f" {part.unit}" if native and part.unit else ""
    text = f"{check.component} of the face in {name} is {value:.3g}{unit}, under {limit:g}{unit}; {check.remedy}."
    return Issue(_constant(check.component, "TOO_LOW"), text, severity)


def _beyond(quality: Quality, name: str, component: str, reject: float, warn: float) -> Issue | None:
    part = quality.component(component)
    if part is None or part.native is None or abs(part.native) <= warn:
        return None
    severity = Severity.REJECT if abs(part.native) > reject else Severity.WARN
    limit = reject if severity is Severity.REJECT else warn
    text = (
        f"{component} of the face in {name} is about {part.native:.0f} degrees, beyond {limit:g}; send a picture "
        "taken more from the front."
    )
    return Issue(_constant(component, "TOO_LARGE"), text, severity)
