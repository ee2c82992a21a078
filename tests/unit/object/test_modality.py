"""The object modality: what it takes, what it refuses, and what it makes of two photographs."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from likeness.domain.answers import Likelihood
from likeness.domain.calibration import Calibration
from likeness.domain.errors import InvalidInput
from likeness.domain.modality import Clutter, Presented
from likeness.domain.samples import Box, Extraction, Mode, Pick, Sample, Selection, Severity
from likeness.inference.concurrency.turns import Turns
from likeness.inference.models.pictures import PictureEmbedder
from likeness.object import parameters as p
from likeness.object import views
from likeness.object.matcher import PreparedObject
from likeness.object.modality import MODEL, ObjectModality
from tests.unit.object import things
from tests.unit.object.things import Pixels, encoded, template


def extract(
    modality: ObjectModality, image: Pixels, mode: Mode = Mode.ENROL, selection: Selection = Selection()
) -> Extraction:
    return modality.extract([Sample(encoded(image), "a photograph", selection=selection)], mode)[0]


def reasons(extraction: Extraction) -> dict[str, Severity]:
    return {issue.reason: issue.severity for issue in extraction.findings[0].issues}


def test_a_probe_begins_as_a_reference_and_goes_on_with_its_mirror_image_and_small_parts(
    modality: ObjectModality,
) -> None:
    image = things.thing(1)
    reference, probe = template(modality, image, Mode.ENROL), template(modality, image, Mode.PROBE)
    assert reference.vectors.shape == (views.REFERENCE, modality.space.dimension)
    assert len(probe.vectors) > views.COARSE
    assert np.linalg.norm(probe.vectors, axis=1) == pytest.approx(1, abs=1e-4)
    assert reference.vectors == pytest.approx(probe.vectors[: views.REFERENCE], abs=1e-5)
    assert modality.levels(probe).shape == (len(probe.vectors),)
    assert PreparedObject.from_bytes(reference.detail).mirrored is None
    assert PreparedObject.from_bytes(probe.detail).mirrored is not None
    assert reference.space == modality.space.space_id == ObjectModality.SPACE


def test_the_whole_photograph_is_one_finding(modality: ObjectModality) -> None:
    found = extract(modality, things.thing(1, 330, 250))
    assert [(f.index, f.box) for f in found.findings] == [(0, Box(0, 0, 330, 250))]
    assert (found.width, found.height) == (330, 250)
    assert set(found.timings) == {"decode", "describe", "embed"}
    assert not reasons(found)


def test_analysing_makes_no_template(modality: ObjectModality) -> None:
    found = extract(modality, things.thing(1), Mode.ANALYSE)
    assert found.findings[0].template is None
    assert found.findings[0].quality.component("Details") is not None


@pytest.mark.parametrize("attack", [things.tilted, things.mirrored, lambda i: i[40:220, 60:280]])
def test_the_same_object_is_distinguished_from_others(modality: ObjectModality, attack: object) -> None:
    assert callable(attack)
    image = things.thing(10)
    probe = template(modality, np.ascontiguousarray(attack(image)), Mode.PROBE)
    mate, *strangers = modality.compare(
        probe, [template(modality, things.thing(n), Mode.ENROL) for n in (10, 11, 12, 13)]
    )
    assert mate.likelihood != Likelihood.SIMILAR
    assert mate.parts["mirrored"] == float(attack is things.mirrored)
    assert all(stranger.likelihood == Likelihood.SIMILAR for stranger in strangers)
    assert mate.value > max(stranger.value for stranger in strangers) + 3


def test_comparing_with_none_gives_none(modality: ObjectModality) -> None:
    assert modality.compare(template(modality, things.thing(1), Mode.PROBE), []) == []


def test_evidence_must_lie_inside_the_region(modality: ObjectModality) -> None:
    """The object that is shared lies outside of the region: nothing of it counts, nor of the embedding."""
    scene, shared = things.thing(20, 480, 360), things.thing(21, 200, 160)
    one = things.inside(shared, scene, (10, 10), 1.0)
    other = things.inside(shared, things.thing(22, 480, 360), (20, 30), 1.0)
    reference = template(modality, other, Mode.ENROL)
    whole = modality.compare(template(modality, one, Mode.PROBE), [reference])[0]
    away = Selection(Pick.REGION, region=Box(230, 180, 240, 170))
    outside = modality.compare(template(modality, one, Mode.PROBE, away), [reference])[0]
    upon = Selection(Pick.REGION, region=Box(10, 10, 200, 160))
    on_it = modality.compare(template(modality, one, Mode.PROBE, upon), [reference])[0]
    assert whole.parts["inliers"] > 20
    assert outside.parts["inliers"] < 9
    assert outside.likelihood == Likelihood.SIMILAR
    assert on_it.parts["inliers"] > 20
    region = Selection(Pick.REGION, region=Box(250, 200, 200, 150))
    elsewhere = template(modality, other, Mode.ENROL, region)
    assert (
        modality.compare(template(modality, one, Mode.PROBE), [elsewhere])[0].likelihood == Likelihood.SIMILAR
    )


def test_a_region_is_cut_to_the_photograph_and_is_the_box(modality: ObjectModality) -> None:
    selection = Selection(Pick.REGION, region=Box(-20, 100, 200, 900))
    found = extract(modality, things.thing(1, 320, 260), Mode.ENROL, selection)
    assert found.findings[0].box == Box(0, 100, 180, 160)


@pytest.mark.parametrize(
    ("selection", "reason"),
    [
        (Selection(Pick.REGION, region=Box(1000, 0, 50, 50)), "REGION_UNUSABLE"),
        (Selection(Pick.REGION, region=Box(10, 10, 5, 200)), "REGION_UNUSABLE"),
        (Selection(Pick.REGION, region=Box(float("nan"), 0, 50, 50)), "REGION_UNUSABLE"),
        (Selection(Pick.REGION), "REGION_UNUSABLE"),
        (Selection(Pick.INDEX, index=1), "OBJECT_NOT_SELECTED"),
    ],
)
def test_a_selection_that_means_nothing_is_rejected(
    modality: ObjectModality, selection: Selection, reason: str
) -> None:
    found = extract(modality, things.thing(1), Mode.PROBE, selection)
    assert found.rejection is not None
    assert found.rejection.reason == reason
    assert not found.findings


def test_one_bad_sample_does_not_spoil_the_others(modality: ObjectModality) -> None:
    good = encoded(things.thing(1))
    found = modality.extract([Sample(b"no picture", "bad"), Sample(good, "good")], Mode.ENROL)
    assert found[0].rejection is not None
    assert "bad" in found[0].rejection.message
    assert found[1].findings[0].template is not None


def test_what_the_embedding_alone_must_carry_is_flagged(modality: ObjectModality) -> None:
    blurred = np.tile(np.linspace(0, 255, 300).astype(np.uint8)[None, :, None], (300, 1, 3))
    assert reasons(extract(modality, blurred)) == {"FEW_DETAILS": Severity.WARN, "BLURRED": Severity.WARN}
    tiny = np.ascontiguousarray(things.thing(1)[100:180, 100:190])
    assert reasons(extract(modality, tiny))["SIDE_TOO_SMALL"] is Severity.WARN
    blank = np.full((200, 200, 3), 250, np.uint8)
    assert reasons(extract(modality, blank)) == {"BLANK": Severity.REJECT}


def test_a_blank_photograph_is_never_more_than_similar(modality: ObjectModality) -> None:
    blank = np.full((200, 200, 3), 250, np.uint8)
    score = modality.compare(template(modality, blank, Mode.PROBE), [template(modality, blank, Mode.ENROL)])[
        0
    ]
    assert score.likelihood == Likelihood.SIMILAR
    assert np.isfinite(score.value)


def test_a_template_survives_its_bytes(modality: ObjectModality) -> None:
    probe, reference = (template(modality, things.thing(1), mode) for mode in (Mode.PROBE, Mode.ENROL))
    copy = type(reference).from_bytes(reference.to_bytes())
    assert modality.compare(probe, [copy])[0].value == modality.compare(probe, [reference])[0].value


def test_a_calibration_or_model_of_another_space_is_refused() -> None:
    rows = np.array([0.0, 1.0])
    other = Calibration("c", "elsewhere/1", "somewhere", 100, 40, rows, np.array([0.1, 0.01]), rows, rows)
    embedder = PictureEmbedder.shipped(MODEL)
    with pytest.raises(InvalidInput) as refused:
        ObjectModality(embedder, calibration=other, turns=Turns(1))
    assert refused.value.reason == "CALIBRATION_UNFIT"
    elsewhere = embedder.manifest.embedding.model_copy(update={"template_space": "elsewhere/1"})
    embedder.manifest = embedder.manifest.model_copy(update={"embedding": elsewhere})
    with pytest.raises(InvalidInput) as refused:
        ObjectModality(embedder, calibration=None, turns=Turns(1))
    assert refused.value.reason == "MODEL_UNFIT"
    own = replace(other, space=ObjectModality.SPACE)
    assert ObjectModality(PictureEmbedder.shipped(MODEL), calibration=own, turns=Turns(1)).calibration


def test_a_candidate_scores_the_same_however_it_was_read(modality: ObjectModality) -> None:
    """The engine reads a stored source again as a probe, and expects the score of the reference."""
    image = things.inside(things.thing(1), things.thing(2, 900, 700), (300, 200), 1.0)
    reference, again = template(modality, image, Mode.ENROL), template(modality, image, Mode.PROBE)
    itself, other = modality.compare(reference, [reference, again])
    assert other.value == pytest.approx(itself.value, abs=1e-4)
    assert other.parts == pytest.approx(itself.parts, abs=1e-4)


def test_warming_compares_a_drawn_photograph(modality: ObjectModality) -> None:
    modality.warm()


def test_an_explanation_needs_the_photographs(modality: ObjectModality) -> None:
    made = template(modality, things.thing(1), Mode.PROBE)
    with pytest.raises(InvalidInput):
        modality.explain(Presented(made, "probe"), Presented(made, "reference"))


def test_a_photograph_whose_side_no_template_can_tell_is_refused(modality: ObjectModality) -> None:
    long = np.zeros((32, 70_000, 3), np.uint8)
    long[:, ::7] = 255
    found = extract(modality, long)
    assert found.rejection is not None
    assert found.rejection.reason == "SIDE_TOO_LONG"


def test_nothing_is_called_strong_where_shared_clutter_cannot_be_recognised(modality: ObjectModality) -> None:
    """Whether it can be judged depends on how many references were searched, not on how many are compared."""
    probe = template(modality, things.thing(1), Mode.PROBE)
    same, *others = (template(modality, things.thing(n), Mode.ENROL) for n in range(1, 10))
    assert modality.compare(probe, [same])[0].likelihood == Likelihood.PROBABLE
    assert modality.compare(probe, [same, *others])[0].likelihood == Likelihood.PROBABLE
    counts = np.ones(len(PreparedObject.from_bytes(probe.detail).details), np.int64)
    few, many = (
        modality.compare(probe, [same], clutter=Clutter(counts, references))[0]
        for references in (p.CLUTTER_KNOWN_FROM - 1, p.CLUTTER_KNOWN_FROM)
    )
    assert (few.likelihood, many.likelihood) == (Likelihood.PROBABLE, Likelihood.STRONG)
    assert few.value == many.value


def test_the_score_of_a_pair_depends_on_probe_candidate_and_clutter_alone(modality: ObjectModality) -> None:
    """To the last bit: among others, in any order, and through pickle."""
    held = [template(modality, things.thing(n), Mode.ENROL) for n in range(12)]
    probe = template(modality, things.tilted(things.thing(3)), Mode.PROBE)
    counts = np.arange(len(PreparedObject.from_bytes(probe.detail).details)) % 9
    for clutter in (None, Clutter(counts, 40)):
        alone = [modality.compare(probe, [one], clutter=clutter)[0] for one in held]
        assert modality.compare(probe, held, clutter=clutter) == alone
        assert modality.compare(probe, held[::-1], clutter=clutter) == alone[::-1]
        copied, again = pickle.loads(pickle.dumps((probe, clutter)))  # noqa: S301
        assert modality.compare(copied, held[2:5], clutter=again) == alone[2:5]
