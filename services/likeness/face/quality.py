"""Quality of a face, by components named as in ISO/IEC 29794-5:2025; each 0..100, higher is better.

Native values and their mapping to 0..100 follow OFIQ, the standard's reference implementation, as far as five
landmarks and plain image statistics allow:

| component | native value | as OFIQ? |
|---|---|---|
| DetectorConfidence | the detector's score | not an OFIQ name; ours |
| InterEyeDistance | px between the eyes, over the cosine of yaw | yes |
| HeadPoseYaw, -Pitch, -Roll | degrees, see `pose` | mapping yes, estimate ours |
| Uprightness | log-odds that the landmarks fit an upright face | ours, see `upright` |
| Sharpness | share of fine detail in the contrast of the face | ours: OFIQ has a trained forest |
| UnderExposurePrevention, OverExposurePrevention | share of dark, of bright pixels in the face | yes, on luma |
| DynamicRange | bits of entropy of the luminance of the face | yes, on luma |
| LeftwardCrop-, RightwardCropOfTheFaceImage | eye to edge, in inter-eye distances | yes |
| MarginAbove-, MarginBelowOfTheFaceImage | eyes to edge, in eye-to-chin distances | yes, chin estimated |
| SingleFacePresent | size of the next largest face over this one's | yes |

`Quality.unified` stands in the place of UnifiedQualityScore. OFIQ's is a trained network; ours is the geometric
mean of the components that bear on recognition, and falls with every one of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from likeness.domain.samples import Quality, QualityComponent
from likeness.face import parameters, pose, upright
from likeness.face.detect import Detection, Pixels
from likeness.imaging.geometry import similarity, warp
from likeness.imaging.opencv import cv2

_FRAMING = frozenset(
    (
        "LeftwardCropOfTheFaceImage",
        "RightwardCropOfTheFaceImage",
        "MarginAboveOfTheFaceImage",
        "MarginBelowOfTheFaceImage",
        "SingleFacePresent",
    )
)
"""How the picture is framed for a document; it does not bear on recognition and stays out of the unified score."""

_APART = _FRAMING | {"Uprightness"}
"""What stays out of the unified score: apart from the framing, a test that a face passes or fails."""

_MAX_CORRECTED_YAW = 60.0  # degrees; beyond, the cosine would blow up a distance that is mostly error


def assess(face: Detection, image: Pixels, others: Sequence[Detection] = ()) -> Quality:
    """Measures one face.

    Args:
        face: box and landmarks in the picture.
        image: uint8 [height, width, 3], RGB.
        others: the other faces in the picture.
    """
    view = face_view(face, image)
    components = (
        _component("DetectorConfidence", 100 * face.confidence, face.confidence),
        *_geometry(face),
        _uprightness(view),
        *_luminance(view),
        *_margins(face, image.shape[1], image.shape[0]),
        _single(face, others),
    )
    return Quality(_unified(components), components)


def face_view(face: Detection, image: Pixels) -> Pixels:
    """Luminance of the face, upright and at a fixed size: uint8 [side, side]."""
    side = parameters.FACE_VIEW_SIDE
    return np.asarray(
        cv2.cvtColor(
            warp(image, similarity(face.landmarks, _VIEW_TEMPLATE), (side, side)), cv2.COLOR_RGB2GRAY
        ),
        dtype=np.uint8,
    )


def _geometry(face: Detection) -> tuple[QualityComponent, ...]:
    head = pose.estimate(face.landmarks)
    turn = math.radians(min(abs(head.yaw), _MAX_CORRECTED_YAW))
    eyes = face.inter_eye / math.cos(turn)
    angles = (("Yaw", head.yaw), ("Pitch", head.pitch), ("Roll", head.roll))
    return (
        _component("InterEyeDistance", 100 * _sigmoid(eyes, 70, 20), eyes, "px"),
        *(_component(f"HeadPose{name}", _facing(angle), angle, "degree") for name, angle in angles),
    )


def _uprightness(view: Pixels) -> QualityComponent:
    odds = upright.log_odds(view)
    return _component("Uprightness", 100 * upright.share(odds), odds)


def _facing(degrees: float) -> float:
    """100 cos^2 of an angle, 0 from a right angle on."""
    return 100 * math.cos(math.radians(min(abs(degrees), 90.0))) ** 2


def _luminance(view: Pixels) -> tuple[QualityComponent, ...]:
    """The components that are measured on the pixels of the face."""
    inside = view.take(_OVAL)
    histogram = np.bincount(inside, minlength=256) / inside.size
    present = histogram[histogram > 0]
    entropy = float(-(present * np.log2(present)).sum())
    dark = float(histogram[: parameters.DARK_LEVEL + 1].sum())
    bright = float(histogram[parameters.BRIGHT_LEVEL :].sum())
    detail = _detail(view)
    return (
        _component("Sharpness", 100 * detail / parameters.SHARPNESS_FULL, detail),
        _component("UnderExposurePrevention", 120 * (0.832 - _sigmoid(dark, 0.92, 0.05)), dark),
        _component("OverExposurePrevention", 1 / (bright + 0.01), bright),
        _component("DynamicRange", 12.5 * entropy, entropy, "bit"),
    )


def _detail(view: Pixels) -> float:
    """Standard deviation of the detail between two blurs, over that of the luminance; within the oval."""
    luminance = view.astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(luminance, (0, 0), sigma) for sigma in parameters.SHARPNESS_SIGMAS)
    contrast = float(luminance.take(_OVAL).std())
    return float((fine - coarse).take(_OVAL).std()) / max(
        contrast, 1.0
    )  # one grey level: less is no contrast


def _margins(face: Detection, width: int, height: int) -> tuple[QualityComponent, ...]:
    (left, left_y), (right, right_y), _, *mouth = face.landmarks.tolist()
    eyes = (left_y + right_y) / 2
    mouth_x, mouth_y = (sum(ends) / 2 for ends in zip(*mouth, strict=True))
    apart = max(face.inter_eye, 1.0)
    chin = max(parameters.CHIN_PER_MOUTH * math.hypot(mouth_x - (left + right) / 2, mouth_y - eyes), 1.0)
    natives = (
        ("LeftwardCropOfTheFaceImage", left / apart, 0.9),
        ("RightwardCropOfTheFaceImage", (width - right) / apart, 0.9),
        ("MarginAboveOfTheFaceImage", eyes / chin, 1.4),
        ("MarginBelowOfTheFaceImage", (height - eyes) / chin, 1.8),
    )
    return tuple(
        _component(name, 100 * _sigmoid(native, middle, 0.1), native) for name, native, middle in natives
    )


def _single(face: Detection, others: Sequence[Detection]) -> QualityComponent:
    largest = max((other.box.area for other in others), default=0.0)
    share = math.sqrt(largest / max(face.box.area, 1.0))
    return _component("SingleFacePresent", 100 * (1 - share), share)


def _component(name: str, value: float, native: float, unit: str = "") -> QualityComponent:
    return QualityComponent(name, min(max(value, 0.0), 100.0), native, unit)


def _sigmoid(value: float, middle: float, width: float) -> float:
    return 1 / (1 + math.exp(min(-(value - middle) / width, 700.0)))  # exp(700) is near the largest float


def _unified(components: Sequence[QualityComponent]) -> float:
    logs = [math.log(max(c.value, parameters.UNIFIED_SMALLEST)) for c in components if c.name not in _APART]
    return math.exp(sum(logs) / len(logs))


def _view_template() -> NDArray[np.float64]:
    """The mean head's landmarks in the view."""
    head = np.array(parameters.MEAN_HEAD)[:, :2]
    height, apart = parameters.FACE_VIEW_EYES
    scale = apart / float(head[1, 0] - head[0, 0])
    return np.add(head * scale, (parameters.FACE_VIEW_SIDE / 2, height))


def _oval() -> NDArray[np.intp]:
    """Which pixels of the view are face, counted row by row."""
    x, y, across, down = parameters.FACE_VIEW_OVAL
    mask = np.zeros((parameters.FACE_VIEW_SIDE, parameters.FACE_VIEW_SIDE), np.uint8)
    return np.flatnonzero(cv2.ellipse(mask, (x, y), (across, down), 0, 0, 360, 1, -1))


_VIEW_TEMPLATE = _view_template()
_OVAL = _oval()
