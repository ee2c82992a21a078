"""How well a template can be searched, as far as minutiae show; NFIQ 2 (ISO/IEC 29794-4) would need the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from likeness.domain.samples import Issue, Mode, Quality, QualityComponent, Severity
from likeness.fingerprint.minutiae import DPI, UNKNOWN, FingerView, position_of

GOOD_COUNT = 40
"""Minutiae at which more add little; a full impression has 54 +- 30 on the templates that were measured."""
FEW = 12
"""Minutiae under which a template is warned of: the least that examiners traditionally asked of a mark."""
FEWEST = 4
"""Minutiae under which nothing can be compared."""
GOOD_SPREAD = 12.0
"""Millimetres, root mean square distance from the centre along both axes, of a full flat impression."""
LOW_RELIABILITY = 30.0
"""Mean quality of the minutiae under which a template is warned of, where the record states it."""

SMALLEST_SIDE = 9.0
"""Millimetres of the longer side of the smallest impression that scanners for identification make."""
LARGEST_SIDE = 45.0
"""Millimetres of the shorter side of one finger; the largest rolled impression has 41 x 38 (ANSI/NIST-ITL)."""

UNEQUAL_RESOLUTION = 0.05
"""Share by which resolutions across and down may differ: five times what is allowed of a scanner (FBI EBTS,
appendix F)."""

_MILLIMETRES = 25.4 / DPI
_CM_PER_INCH = 2.54


def assess(view: FingerView) -> Quality:
    """The components of one view and their mean; the record's own quality is taken where it states one."""
    count = len(view.minutiae)
    spread = 2.0 * float(np.sqrt(np.var(view.minutiae.xy, axis=0).sum())) * _MILLIMETRES if count else 0.0
    components = [
        QualityComponent("MinutiaeCount", 100.0 * min(1.0, count / GOOD_COUNT), float(count)),
        QualityComponent("MinutiaeSpread", 100.0 * min(1.0, spread / GOOD_SPREAD), spread, "mm"),
    ]
    known = view.minutiae.quality[view.minutiae.quality > 0]
    if len(known):
        reliability = float(known.mean())
        components.append(QualityComponent("MinutiaeReliability", reliability, reliability))
    if view.quality is not None:
        unified = float(view.quality)
        components.append(QualityComponent("RecordQuality", unified, unified))
    else:
        unified = math.prod(c.value for c in components) ** (1.0 / len(components))
    return Quality(unified, tuple(components))


def of_record(views: Sequence[FingerView]) -> Quality:
    """The quality of a record: of its only view, or the means over its views."""
    each = [assess(view) for view in views]
    if len(each) == 1:
        return each[0]
    components = []
    for name in dict.fromkeys(component.name for one in each for component in one.components):
        held = [component for one in each if (component := one.component(name)) is not None]
        native = [component.native for component in held if component.native is not None]
        value = sum(component.value for component in held) / len(held)
        mean = sum(native) / len(native) if native else None
        components.append(QualityComponent(name, value, mean, held[0].unit))
    unified = sum(one.unified for one in each) / max(len(each), 1)
    return Quality(unified, tuple(components))


def issues_of_record(views: Sequence[FingerView], name: str, mode: Mode) -> tuple[Issue, ...]:
    """What is wrong with the views of a record.

    A view that cannot be compared stops an enrolment only where no other view can: ten fingers of which one is
    scarred are nine fingers.
    """
    resolution = _resolution_issues(views, name)
    if len(views) == 1:
        return *resolution, *issues(assess(views[0]), name, mode)
    found = [issue for view in views for issue in issues(assess(view), _called(name, view), mode)]
    usable = any(len(view.minutiae) >= FEWEST for view in views)
    return *resolution, *(replace(issue, severity=Severity.WARN) if usable else issue for issue in found)


def _resolution_issues(views: Sequence[FingerView], name: str) -> tuple[Issue, ...]:
    """A resolution that no scanner has, or one other than the usual that makes fingers of a size that none has.

    The commonest slip is dots per inch where pixels per centimetre belong; such a finger does not find its mates.
    """
    for view in views:
        wrong = _wrong_resolution(view)
        if wrong:
            return (
                Issue(
                    "RESOLUTION_IMPLAUSIBLE",
                    f"{name} states {wrong}: were dots per inch written where pixels per centimetre belong? It is "
                    "compared as the record says; correct the resolution, or its mates will not be found.",
                    Severity.WARN,
                ),
            )
    return ()


def _wrong_resolution(view: FingerView) -> str:
    """What is implausible of the resolution that a view was recorded with; empty where nothing is."""
    across, down = (DPI / scale / _CM_PER_INCH for scale in view.scale)
    if max(view.scale) > (1.0 + UNEQUAL_RESOLUTION) * min(view.scale):
        return f"{across:.0f} pixels per cm across and {down:.0f} down, where those of scanners are equal"
    width, height = _millimetres(view)
    if view.scale == (1.0, 1.0) or not width or not height:
        return ""
    one_finger = position_of(view.position) != UNKNOWN or view.position == UNKNOWN
    if max(width, height) >= SMALLEST_SIDE and not (one_finger and min(width, height) > LARGEST_SIDE):
        return ""
    return f"{across:.0f} pixels per cm, which makes a finger of {width:.0f} x {height:.0f} mm"


def _millimetres(view: FingerView) -> tuple[float, float]:
    """Width and height: as declared, or of what the minutiae span where they are many; else 0."""
    if view.width and view.height:
        return view.width * _MILLIMETRES, view.height * _MILLIMETRES
    if len(view.minutiae) < GOOD_COUNT:
        return 0.0, 0.0
    width, height = (np.ptp(view.minutiae.xy, axis=0) * _MILLIMETRES).tolist()
    return width, height


def _called(name: str, view: FingerView) -> str:
    return f"Finger position {view.position}, view {view.number}, of {name}"


def issues(quality: Quality, name: str, mode: Mode) -> tuple[Issue, ...]:
    """What is wrong with a view; a probe is only advised."""
    strict = Severity.WARN if mode is Mode.PROBE else Severity.REJECT
    found = []
    count = quality.component("MinutiaeCount")
    if count is not None and count.native is not None:
        if count.native < FEWEST:
            found.append(
                Issue(
                    "TOO_FEW_MINUTIAE",
                    f"{name} has {count.native:.0f} minutiae, under {FEWEST}: there is nothing to compare; capture "
                    "the finger again.",
                    strict,
                )
            )
        elif count.native < FEW:
            found.append(
                Issue(
                    "FEW_MINUTIAE",
                    f"{name} has {count.native:.0f} minutiae, under {FEW}, as marks from scenes do; search it "
                    "exhaustively, and weigh the false match rate rather than the rank.",
                    Severity.WARN,
                )
            )
    reliability = quality.component("MinutiaeReliability")
    if reliability is not None and reliability.value < LOW_RELIABILITY:
        found.append(
            Issue(
                "MINUTIAE_RELIABILITY_LOW",
                f"The minutiae of {name} have a mean quality of {reliability.value:.0f}, under "
                f"{LOW_RELIABILITY:g}; capture the finger again if that is possible.",
                Severity.WARN,
            )
        )
    return tuple(found)
