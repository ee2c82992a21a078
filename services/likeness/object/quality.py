"""What is measured of a photograph before it is compared: size, sharpness, contrast, details; and what is wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likeness.domain.samples import Issue, Quality, QualityComponent, Severity
from likeness.imaging.opencv import cv2
from likeness.object import parameters as p

Pixels = NDArray[np.uint8]

_FULL_SIDE = 320.0  # pixels of the shorter side that leave nothing to be wished for
_FULL_SHARPNESS = 12.0
_FULL_CONTRAST = 40.0
_ONLY = (
    "Only the embedding can be trusted: its score says that two look similar, not that they are one object."
)


def assess(part: Pixels, details: int) -> Quality:
    """The quality of a photograph, or of its region, uint8 [h, w, 3] RGB, in which `details` were found.

    The unified score is the least component: one that fails is not made up for by the others.
    """
    side = min(part.shape[:2])
    grey = np.asarray(cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2GRAY), np.uint8)
    components = (
        _component("ShorterSide", float(side), _FULL_SIDE, "px"),
        _component("Sharpness", _sharpness(grey), _FULL_SHARPNESS, "grey levels"),
        _component("Contrast", float(grey.std()), _FULL_CONTRAST, "grey levels"),
        _component("Details", float(details), float(p.MAX_DETAILS), "details"),
    )
    return Quality(min(c.value for c in components), components)


def issues(quality: Quality, name: str) -> tuple[Issue, ...]:
    """What stops an enrolment (a blank) and what makes the answer rest on the embedding alone."""
    side, sharpness, contrast, details = (
        c.native if (c := quality.component(n)) is not None and c.native is not None else 0.0
        for n in ("ShorterSide", "Sharpness", "Contrast", "Details")
    )
    if contrast < p.BLANK_CONTRAST:
        return (
            Issue(
                "BLANK",
                f"{name} shows nothing: its grey levels differ by {contrast:.1f} on average, at least "
                f"{p.BLANK_CONTRAST:g} are needed. Send a photograph that shows the object.",
            ),
        )
    found = []
    if side < p.SMALL_SIDE:
        found.append(
            _warning(
                "SIDE_TOO_SMALL",
                f"{name} is {side:.0f} pixels on its shorter side, under {p.SMALL_SIDE}. {_ONLY}",
            )
        )
    if details < p.FEW_DETAILS:
        found.append(
            _warning("FEW_DETAILS", f"{name} has {details:.0f} details, under {p.FEW_DETAILS}. {_ONLY}")
        )
    if sharpness < p.BLURRED_UNDER:
        found.append(
            _warning(
                "BLURRED",
                f"{name} is blurred (sharpness {sharpness:.1f}, under {p.BLURRED_UNDER:g}). {_ONLY} Send a sharper "
                "photograph if there is one.",
            )
        )
    return tuple(found)


def _sharpness(grey: NDArray[np.uint8]) -> float:
    """The standard deviation of the Laplacian at `SHARP_SIDE` pixels, whatever the size sent."""
    scale = min(1.0, p.SHARP_SIDE / max(grey.shape))
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(small, cv2.CV_32F).std())


def _component(name: str, native: float, full: float, unit: str) -> QualityComponent:
    return QualityComponent(name, min(100.0, 100.0 * native / full), native, unit)


def _warning(reason: str, message: str) -> Issue:
    return Issue(reason, message, Severity.WARN)
