import gc
from dataclasses import replace

import numpy as np
import pytest

from likeness.domain.calibration import Calibration
from likeness.domain.errors import Corrupt, InvalidInput, LikenessError
from likeness.domain.modality import Presented
from likeness.domain.samples import Extraction, Mode, Pick, Sample, Selection, Severity, Template
from likeness.fingerprint import parameters as p
from likeness.fingerprint.fingers import NOTHING_IN_COMMON
from likeness.fingerprint.formats import Standard
from likeness.fingerprint.minutiae import FingerView, Minutiae
from likeness.fingerprint.modality import FingerprintModality
from likeness.inference.concurrency.turns import Turns
from tests.unit.fingerprint.drawn_fingers import record, sample, view


@pytest.fixture(scope="module")
def modality() -> FingerprintModality:
    return FingerprintModality.load(calibration=None, turns=Turns(1))


def some(of: FingerView, count: int) -> FingerView:
    m = of.minutiae
    return replace(of, minutiae=Minutiae(m.xy[:count], m.angle[:count], m.kind[:count], m.quality[:count]))


def one(modality: FingerprintModality, given: Sample, mode: Mode = Mode.PROBE) -> Extraction:
    return modality.extract([given], mode)[0]


def template(modality: FingerprintModality, *views: FingerView) -> Template:
    found = one(modality, sample(*views)).findings[0].template
    assert found is not None
    return found


def test_a_record_is_one_finding_with_a_vector_for_each_view(modality: FingerprintModality) -> None:
    found = one(modality, sample(view(0, position=1), view(1, position=2)))
    finding = found.findings[0]
    assert (len(found.findings), finding.index, finding.finger_positions) == (1, 0, (1, 2))
    assert finding.template is not None
    assert finding.template.vectors.shape == (2, modality.space.dimension)
    assert np.linalg.norm(finding.template.vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert set(found.timings) == {"decode", "quality", "embed"}
    assert found.width > 0


@pytest.mark.parametrize("standard", list(Standard))
def test_every_standard_is_read(modality: FingerprintModality, standard: Standard) -> None:
    found = one(modality, Sample(record(view(0), standard=standard), name="x"))
    assert found.rejection is None
    assert len(found.findings) == 1


def test_analysis_makes_no_template_and_judges_as_enrolment_does(modality: FingerprintModality) -> None:
    finding = one(modality, sample(some(view(0), 3)), Mode.ANALYSE).findings[0]
    assert finding.template is None
    assert [(i.reason, i.severity) for i in finding.issues] == [("TOO_FEW_MINUTIAE", Severity.REJECT)]


def test_few_minutiae_only_warn_a_probe(modality: FingerprintModality) -> None:
    for count, reason in ((3, "TOO_FEW_MINUTIAE"), (8, "FEW_MINUTIAE")):
        finding = one(modality, sample(some(view(0), count))).findings[0]
        assert [(i.reason, i.severity) for i in finding.issues] == [(reason, Severity.WARN)]
        assert finding.template is not None


def test_one_poor_view_does_not_stop_the_enrolment_of_the_others(modality: FingerprintModality) -> None:
    finding = one(modality, sample(view(0, position=1), some(view(1, position=2), 3)), Mode.ENROL).findings[0]
    assert [(i.reason, i.severity) for i in finding.issues] == [("TOO_FEW_MINUTIAE", Severity.WARN)]
    assert "position 2" in finding.issues[0].message


@pytest.mark.parametrize(
    ("data", "reason", "message"),
    [
        (b"not a record", "UNSUPPORTED_FORMAT", "byte 0"),
        (record(view(0))[:-9], "MALFORMED_RECORD", "7.3.4"),
        (record(some(view(0), 0)), "NO_MINUTIAE", "capture the finger again"),
        (b"x" * (2 << 20), "LIMIT_EXCEEDED", "split the record"),
    ],
)
def test_bad_input_is_rejected_by_name_and_the_batch_goes_on(
    modality: FingerprintModality, data: bytes, reason: str, message: str
) -> None:
    bad, good = modality.extract([Sample(data, name="mark-7.fmr"), sample(view(0))], Mode.ENROL)
    assert bad.rejection is not None
    assert bad.rejection.reason == reason
    assert "mark-7.fmr" in bad.rejection.message
    assert message in bad.rejection.message
    assert not bad.findings
    assert good.findings[0].template is not None


def test_a_record_that_was_declared_a_picture_is_rejected(modality: FingerprintModality) -> None:
    found = one(modality, Sample(record(view(0)), name="x", media_type="image/png"))
    assert found.rejection is not None
    assert found.rejection.reason == "MEDIA_TYPE_MISMATCH"


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (Selection(), True),
        (Selection(Pick.MOST_CENTRAL), True),
        (Selection(Pick.INDEX, 0), True),
        (Selection(Pick.INDEX, 1), False),
        (Selection(Pick.REGION), False),
    ],
)
def test_a_record_can_only_be_selected_as_a_whole(
    modality: FingerprintModality, selection: Selection, chosen: bool
) -> None:
    found = one(modality, sample(view(0), view(1), selection=selection))
    assert (found.rejection is None) == chosen
    assert bool(found.findings) == chosen


def test_mates_score_above_strangers(modality: FingerprintModality) -> None:
    held = [template(modality, view(n)) for n in range(12)]
    scores = [[s.value for s in modality.compare(template(modality, view(n, 1)), held)] for n in range(12)]
    assert (np.argmax(scores, axis=1) == np.arange(12)).sum() >= 11


def test_a_stored_template_scores_as_the_one_it_was_made_of(modality: FingerprintModality) -> None:
    fresh, probe = template(modality, view(0)), template(modality, view(0, 1))
    stored = Template.from_bytes(fresh.to_bytes())
    assert modality.compare(probe, [fresh]) == modality.compare(probe, [stored])


def test_fingers_are_compared_with_those_they_may_be(modality: FingerprintModality) -> None:
    probe = template(modality, view(0, 1, position=1), view(1, 1, position=2))
    same = template(modality, view(1, position=2), view(0, position=1))
    swapped = template(modality, view(0, position=2), view(1, position=1))
    elsewhere = template(modality, view(0, position=7))
    unknown = template(modality, view(0))
    scores = [s.value for s in modality.compare(probe, [same, swapped, elsewhere, unknown])]
    assert scores[0] > scores[3] > scores[1] > scores[2] == NOTHING_IN_COMMON


def test_two_fingers_say_more_than_one(modality: FingerprintModality) -> None:
    both = template(modality, view(0, position=1), view(1, position=2))
    probe = template(modality, view(0, 1, position=1), view(1, 1, position=2))
    single = template(modality, view(0, 1, position=1))
    assert modality.compare(probe, [both])[0].value > modality.compare(single, [both])[0].value


def test_nothing_of_a_forgotten_template_is_retained(modality: FingerprintModality) -> None:
    held = template(modality, view(3))
    modality.compare(held, [held])
    gc.collect()
    before = len(modality._decoded)
    del held
    gc.collect()
    assert len(modality._decoded) == before - 1


def test_a_damaged_template_is_noticed(modality: FingerprintModality) -> None:
    held = template(modality, view(0))
    with pytest.raises(Corrupt):
        modality.compare(held, [replace(held, detail=held.detail[:-1])])


def test_an_explanation_shows_pairs_that_the_transform_brings_together(modality: FingerprintModality) -> None:
    probe, candidate = template(modality, view(0, 1)), template(modality, view(0))
    explained = modality.explain(Presented(probe, "probe.fmr"), Presented(candidate, "candidate.fmr"))
    assert explained.picture.startswith(b"\x89PNG")
    evidence = explained.evidence
    assert evidence is not None
    assert len(evidence.probe) == len(evidence.candidate) >= 8
    motion = np.array(evidence.transform).reshape(3, 3)
    moved = np.column_stack([evidence.probe, np.ones(len(evidence.probe))]) @ motion.T
    assert np.median(np.hypot(*(moved[:, :2] - evidence.candidate).T)) < 10
    places = {tuple(place) for place in view(0, 1).minutiae.xy.tolist()}
    assert set(evidence.probe) <= places


def test_fingers_that_have_nothing_in_common_are_not_explained(modality: FingerprintModality) -> None:
    one_, other = template(modality, view(0, position=1)), template(modality, view(0, position=2))
    with pytest.raises(InvalidInput, match="no finger in common"):
        modality.explain(Presented(one_, "a"), Presented(other, "b"))


def test_a_calibration_of_another_space_is_refused() -> None:
    rates = np.array([1.0, 0.1])
    other = Calibration(
        "other/1", "elsewhere/1", "made up", 100, 15, np.array([0.0, 1.0]), rates, rates, rates
    )
    with pytest.raises(InvalidInput, match="elsewhere/1"):
        FingerprintModality.load(calibration=other, turns=Turns(1))


def test_the_self_test_notices_a_matcher_that_finds_nothing(
    modality: FingerprintModality, monkeypatch: pytest.MonkeyPatch
) -> None:
    modality.warm()
    monkeypatch.setattr(modality._matcher, "_fusion", replace(modality._matcher._fusion, bias=-1e3))
    with pytest.raises(LikenessError, match="like itself"):
        modality.warm()


def test_the_space_names_the_versions_that_move_scores(modality: FingerprintModality) -> None:
    version = modality._matcher.version
    assert modality.space.space_id.endswith(f"/fusion-{version}")
    assert modality.model.endswith(f"@{version}")


def test_coordinates_that_no_finger_has_are_refused(
    modality: FingerprintModality, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(p, "MAX_COORDINATE", 50)
    found = one(modality, sample(view(0)))
    assert found.rejection is not None
    assert found.rejection.reason == "COORDINATES_OUT_OF_RANGE"


def test_a_mark_of_several_possible_fingers_scores_as_one_of_any(modality: FingerprintModality) -> None:
    plain = record(view(0), standard=Standard.TYPE_9_EFS)
    print_of_left_index = template(modality, view(0, 1, position=7))

    def score(listed: bytes) -> float:
        length = plain.index(b"\x1d")
        fields = plain[length:].replace(b"9.302:0\x1d", b"9.302:" + listed + b"\x1d")
        data = b"9.001:%d" % (len(fields) + len(b"9.001:0000")) + fields
        found = one(modality, Sample(data, name="mark")).findings[0].template
        assert found is not None
        return modality.compare(found, [print_of_left_index])[0].value

    unknown = score(b"0")
    assert unknown > 0
    assert score(b"\x1e".join(b"%02d" % finger for finger in range(1, 11))) == unknown
    assert score(b"1") == NOTHING_IN_COMMON
    assert score(b"06\x1e07") == unknown
    assert score(b"1\x1e6") == NOTHING_IN_COMMON
    assert score(b"1\x1e13") == unknown


@pytest.mark.parametrize(
    ("per_cm", "suspect"), [(197, False), (0, False), (394, False), (500, True), (1000, True), (77, True)]
)
def test_a_resolution_that_makes_no_finger_is_remarked(
    modality: FingerprintModality, per_cm: int, suspect: bool
) -> None:
    data = bytearray(record(replace(view(0), width=360, height=400)))
    data[18:22] = per_cm.to_bytes(2, "big") * 2
    for mode in (Mode.ENROL, Mode.PROBE):
        found = one(modality, Sample(bytes(data), name="finger.fmr"), mode)
        assert found.rejection is None
        issues = [issue for issue in found.findings[0].issues if issue.reason == "RESOLUTION_IMPLAUSIBLE"]
        assert len(issues) == int(suspect)
        assert all(issue.severity is Severity.WARN and "dots per inch" in issue.message for issue in issues)


@pytest.mark.parametrize(
    ("across", "down", "suspect"),
    [
        (197, 500, "197 pixels per cm across and 500 down"),
        (500, 197, "500 pixels per cm across and 197 down"),
        (197, 394, "197 pixels per cm across and 394 down"),
        (394, 394, ""),
        (0, 197, ""),
        (200, 197, ""),
        (0, 500, "500 pixels per cm, which makes a finger of 7 x 8 mm"),
    ],
)
def test_unequal_resolutions_are_remarked(
    modality: FingerprintModality, across: int, down: int, suspect: str
) -> None:
    data = bytearray(record(replace(view(0), width=360, height=400)))
    data[18:22] = across.to_bytes(2, "big") + down.to_bytes(2, "big")
    found = one(modality, Sample(bytes(data), name="finger.fmr"), Mode.ENROL).findings[0]
    issues = [issue for issue in found.issues if issue.reason == "RESOLUTION_IMPLAUSIBLE"]
    assert len(issues) == bool(suspect)
    assert all(suspect in issue.message and issue.severity is Severity.WARN for issue in issues)


def test_remarks_on_a_record_are_issues_that_only_warn(modality: FingerprintModality) -> None:
    padded = Sample(record(view(0)) + bytes(9), name="finger.fmr")
    found = one(modality, padded, Mode.ENROL).findings[0]
    assert [(i.reason, i.severity) for i in found.issues] == [("RECORD_LENGTH_WRONG", Severity.WARN)]
