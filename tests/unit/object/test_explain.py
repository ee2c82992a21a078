"""The explanation: evidence in pixels of the photographs, and a picture that shows it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from likeness.domain.modality import Presented
from likeness.domain.samples import Box, Mode, Pick, Sample, Selection
from likeness.object.modality import ObjectModality
from tests.unit.object import things
from tests.unit.object.things import Pixels, encoded


def presented(
    modality: ObjectModality, image: Pixels, mode: Mode, selection: Selection = Selection()
) -> Presented:
    sample = Sample(encoded(image), mode.value, selection=selection)
    return Presented(things.template(modality, image, mode, selection), sample.name, sample)


def test_corresponding_points_are_where_the_paste_put_them(modality: ObjectModality) -> None:
    image = things.thing(1)
    scene = things.inside(image, things.thing(2, 600, 480), (150, 100), 0.7)
    explanation = modality.explain(
        presented(modality, scene, Mode.PROBE), presented(modality, image, Mode.ENROL)
    )
    found = explanation.evidence
    assert found is not None
    one, other = np.array(found.probe), np.array(found.candidate)
    assert len(one) == len(other) > 20
    assert np.median(np.abs(other * 0.7 + (150, 100) - one)) < 2
    hull = np.array(found.probe_outline)
    assert hull.min(0) == pytest.approx((150, 100), abs=60)
    assert (hull.min(0) > (140, 90)).all()
    assert (hull.max(0) < (150 + 0.7 * 320 + 10, 100 + 0.7 * 260 + 10)).all()
    matrix = np.array(found.transform).reshape(3, 3)
    corner = matrix @ (150.0, 100, 1)
    assert corner[:2] / corner[2] == pytest.approx((0, 0), abs=4)


def test_of_a_mirrored_probe_the_points_lie_in_the_probe_as_it_was_sent(modality: ObjectModality) -> None:
    image = things.thing(3)
    explanation = modality.explain(
        presented(modality, things.mirrored(image), Mode.PROBE), presented(modality, image, Mode.ENROL)
    )
    found = explanation.evidence
    assert found is not None
    one, other = np.array(found.probe), np.array(found.candidate)
    assert np.median(np.abs(319 - one[:, 0] - other[:, 0])) < 1.5
    assert np.median(np.abs(one[:, 1] - other[:, 1])) < 1.5
    matrix = np.array(found.transform).reshape(3, 3)
    moved = np.column_stack([one, np.ones(len(one))]) @ matrix.T
    assert np.median(np.abs(moved[:, :2] / moved[:, 2:] - other)) < 2


def test_the_picture_shows_both_with_lines_between(modality: ObjectModality) -> None:
    image = things.thing(1)
    sides = [presented(modality, things.tilted(image), Mode.PROBE), presented(modality, image, Mode.ENROL)]
    explanation = modality.explain(sides[0], sides[1])
    drawn = cv2.imdecode(np.frombuffer(explanation.picture, np.uint8), cv2.IMREAD_COLOR)
    assert drawn is not None
    assert drawn.shape[1] > 700
    orange = (np.abs(drawn[:, :, ::-1].astype(int) - (255, 140, 0)).max(2) < 30).sum()
    assert orange > 300
    strangers = modality.explain(sides[0], presented(modality, things.thing(9), Mode.ENROL))
    plain = cv2.imdecode(np.frombuffer(strangers.picture, np.uint8), cv2.IMREAD_COLOR)
    assert plain is not None
    assert strangers.evidence is not None
    assert len(strangers.evidence.probe) < 9


def test_the_region_is_drawn(modality: ObjectModality) -> None:
    image = things.thing(1)
    selection = Selection(Pick.REGION, region=Box(40, 40, 200, 160))
    explanation = modality.explain(
        presented(modality, image, Mode.PROBE, selection), presented(modality, image, Mode.ENROL)
    )
    drawn = cv2.imdecode(np.frombuffer(explanation.picture, np.uint8), cv2.IMREAD_COLOR)
    assert drawn is not None
    assert (np.abs(drawn[:, :, ::-1].astype(int) - (0, 110, 220)).max(2) < 40).sum() > 300
    assert explanation.evidence is not None
    points = np.array(explanation.evidence.probe)
    assert (points.min(0) > (38, 38)).all()
    assert (points.max(0) < (242, 202)).all()
