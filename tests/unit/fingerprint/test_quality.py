from dataclasses import replace

import numpy as np
import pytest

from likeness.domain.samples import Mode, Severity
from likeness.fingerprint import quality
from likeness.fingerprint.minutiae import FingerView, Minutiae
from tests.unit.fingerprint.drawn_fingers import view


def with_quality(of: FingerView, value: int, count: int | None = None) -> FingerView:
    m = of.minutiae
    quality = np.full(len(m), value, np.uint8)
    return replace(of, minutiae=Minutiae(m.xy[:count], m.angle[:count], m.kind[:count], quality[:count]))


def test_the_records_own_quality_is_taken_where_it_tells_one() -> None:
    found = quality.assess(replace(view(0), quality=37))
    assert found.unified == 37
    assert found.component("RecordQuality") is not None


def test_more_minutiae_over_more_of_the_finger_are_better() -> None:
    whole, part = view(0), with_quality(view(0), 0, 10)
    assert quality.assess(whole).unified > quality.assess(part).unified
    spread = quality.assess(whole).component("MinutiaeSpread")
    assert spread is not None
    assert spread.native is not None
    assert 4 < spread.native < 20
    assert spread.unit == "mm"


@pytest.mark.parametrize(("mode", "severity"), [(Mode.ENROL, Severity.REJECT), (Mode.PROBE, Severity.WARN)])
def test_only_an_enrolment_is_strict(mode: Mode, severity: Severity) -> None:
    found = quality.issues_of_record([with_quality(view(0), 0, 3)], "x", mode)
    assert [(i.reason, i.severity) for i in found] == [("TOO_FEW_MINUTIAE", severity)]


def test_doubtful_minutiae_are_warned_of() -> None:
    low = quality.issues_of_record([with_quality(view(0), 12)], "x", Mode.ENROL)
    assert [(i.reason, i.severity) for i in low] == [("MINUTIAE_RELIABILITY_LOW", Severity.WARN)]
    assert not quality.issues_of_record([with_quality(view(0), 80)], "x", Mode.ENROL)


def test_a_record_is_as_good_as_its_views_are_on_average() -> None:
    one, other = replace(view(0), quality=80), replace(view(1), quality=20)
    found = quality.of_record([one, other])
    assert found.unified == 50
    count = found.component("MinutiaeCount")
    assert count is not None
    assert count.native == (len(one.minutiae) + len(other.minutiae)) / 2
    assert quality.of_record([one]) == quality.assess(one)


def test_where_no_view_can_be_compared_an_enrolment_stops() -> None:
    views = [with_quality(view(n), 0, 2) for n in range(2)]
    assert {i.severity for i in quality.issues_of_record(views, "x", Mode.ENROL)} == {Severity.REJECT}


@pytest.mark.parametrize(
    ("per_cm", "suspect"), [(197, False), (250, False), (394, True), (500, True), (1000, True), (60, True)]
)
def test_a_resolution_is_judged_by_the_minutiae_where_no_size_is_declared(per_cm: int, suspect: bool) -> None:
    """As if a finger of 15 x 18 mm, 50 minutiae, had been recorded at 500 dpi with another resolution written."""
    random = np.random.default_rng(3)
    factor = 500 / 2.54 / per_cm
    xy = random.uniform((0, 0), (295, 354), (50, 2)).astype(np.float32) * np.float32(factor)
    plain = np.zeros(50, np.uint8)
    many = Minutiae(xy, plain.astype(np.float32), plain, plain)
    few = Minutiae(xy[:20], plain[:20].astype(np.float32), plain[:20], plain[:20])
    scale = (1.0, 1.0) if per_cm == 197 else (factor, factor)
    for minutiae, wanted in ((many, suspect), (few, False)):
        found = quality.issues_of_record([FingerView(minutiae, scale=scale)], "x", Mode.ENROL)
        assert ("RESOLUTION_IMPLAUSIBLE" in [issue.reason for issue in found]) == wanted
