"""Both ways to candidates together, over the real engine: what is found, grouped, forgotten and separated."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from likeness.domain.answers import Candidate, Likelihood, Score, SearchOptions
from likeness.domain.references import Facets, Reference
from likeness.domain.samples import Mode, Sample
from likeness.domain.scope import Scope
from likeness.engine import local_shard
from likeness.object.modality import ObjectModality
from likeness.store.store import Store
from likeness.testing.vectors import VectorModality
from tests.support import ALICE, Bench
from tests.unit.object import frames, things
from tests.unit.object.things import Pixels, encoded, template


class Shelf(Bench):
    """Enrols drawn objects and searches with them."""

    def put(self, image: Pixels, subject: str, gallery: str = "g") -> str:
        described = Reference(
            "",
            "object",
            Facets(owner=ALICE.entity, galleries=frozenset({gallery})),
            subject_id=subject,
        )
        data = encoded(image)
        made = self.engine.enrol(ALICE, self.key(ALICE, data), described, Sample(data, "a photograph"))
        return made.reference.reference_id

    def find(self, image: Pixels, *galleries: str) -> tuple[Candidate, ...]:
        options = SearchOptions(k=5, galleries=frozenset(galleries))
        return self.engine.search(ALICE, Sample(encoded(image), "probe"), options).probes[0].candidates


@pytest.fixture
def shelf(tmp_path: Path, modality: ObjectModality) -> Iterator[Shelf]:
    with Store.open(tmp_path / "data", key_file=tmp_path / "keys.json") as store:
        yield Shelf(cast("VectorModality", modality), store)


def test_an_object_is_found_in_a_scene_and_its_views_are_one_candidate(shelf: Shelf) -> None:
    image = things.thing(1)
    views = {shelf.put(image, "the painting"), shelf.put(things.tilted(image), "the painting")}
    for n in range(2, 8):
        shelf.put(things.thing(n), f"another {n}")
    found = shelf.find(things.inside(image, things.thing(90, 640, 520), (200, 150), 0.8))
    assert found[0].reference.subject_id == "the painting"
    assert found[0].score.likelihood != Likelihood.SIMILAR
    assert {found[0].reference.reference_id, *found[0].further} == views
    assert all(c.score.likelihood == Likelihood.SIMILAR for c in found[1:])
    assert len({c.reference.subject_id for c in found}) == len(found)


def test_what_was_expunged_or_is_in_another_gallery_is_not_found(shelf: Shelf) -> None:
    image = things.thing(1)
    stays, gone = shelf.put(image, "stays", "a"), shelf.put(things.tilted(image), "gone", "b")
    assert [c.reference.reference_id for c in shelf.find(image, "b")] == [gone]
    shelf.engine.expunge(ALICE, shelf.key(ALICE), gone, reason="test")
    assert shelf.find(image, "b") == ()
    assert [c.reference.reference_id for c in shelf.find(image)] == [stays]


def test_the_fold_of_the_log_votes_as_the_enrolments_did(shelf: Shelf, modality: ObjectModality) -> None:
    for n in range(6):
        shelf.put(things.thing(n), str(n))
    asked = template(modality, things.tilted(things.thing(3)), Mode.PROBE)
    again = Bench(cast("VectorModality", modality), shelf.store)
    one, other = (
        bench.gallery.shortlist(asked, 4, bench.gallery.view(Scope(ALICE))).ids for bench in (shelf, again)
    )
    assert one == other
    assert again.gallery.register.references == 6


def ruled(image: Pixels, seed: int) -> Pixels:
    """The object with the shop's own ruler and label, photographed a little differently each time."""
    label = things.thing(777, 320, 80)
    return np.ascontiguousarray(np.vstack([image, label])[seed % 3 :, seed % 2 :])


def on_sheet(image: Pixels, seed: int) -> Pixels:
    """The object on the same patterned sheet, each time elsewhere."""
    sheet = things.thing(888, 480, 420)
    random = np.random.default_rng(seed)
    at = int(random.integers(0, 480 - 224)), int(random.integers(0, 420 - 182))
    return things.inside(image, sheet, at, 0.7)


def stamped(image: Pixels, seed: int) -> Pixels:
    """The object under the same half transparent stamp."""
    stamp = things.thing(999, image.shape[1], image.shape[0])
    mixed = image * 0.72 + stamp * 0.28
    return np.ascontiguousarray(np.roll(mixed.astype(np.uint8), seed % 4, axis=1))


@pytest.mark.parametrize("clutter", [ruled, on_sheet, stamped])
def test_what_many_references_share_makes_no_match(shelf: Shelf, clutter: object) -> None:
    """Other objects with the same clutter are no more than similar; the object itself is found in spite of it."""
    assert callable(clutter)
    for n in range(20):
        shelf.put(clutter(things.thing(n), n), str(n))
    for n in (100, 101, 102):
        found = shelf.find(clutter(things.thing(n), n))
        assert found
        assert {c.score.likelihood for c in found} == {str(Likelihood.SIMILAR)}
    found = shelf.find(clutter(things.tilted(things.thing(7), 0.08), 5))
    assert found[0].reference.subject_id == "7"
    assert found[0].score.value > found[1].score.value + 1


def scores(shelf: Shelf, image: Pixels, galleries: frozenset[str], **options: object) -> dict[str, Score]:
    """What each reference that is answered scores."""
    asked = SearchOptions(galleries=galleries, group_by_subject=False, **options)  # type: ignore[arg-type]
    (answer,) = shelf.engine.search(ALICE, Sample(encoded(image), "probe"), asked).probes
    return {c.reference.reference_id: c.score for c in answer.candidates}


def test_every_profile_gives_the_same_pair_the_same_score(
    shelf: Shelf, modality: ObjectModality, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interactive and exhaustive, few candidates and many, in small batches, before and after other searches."""
    mine, other = frozenset({"g"}), frozenset({"h"})
    for n in range(20):
        shelf.put(on_sheet(things.thing(n), n), str(n))
        shelf.put(things.thing(300 + n), f"another {n}", "h")
    for image in (on_sheet(things.thing(100), 100), on_sheet(things.tilted(things.thing(7), 0.08), 5)):
        whole = scores(shelf, image, mine, k=40, exhaustive=True)
        assert len(whole) == 20
        scores(shelf, image, other, k=5)
        monkeypatch.setattr(local_shard, "EXHAUSTIVE_BATCH", 3)
        found = [scores(shelf, image, mine, k=k, exhaustive=e) for k in (1, 5, 40) for e in (False, True)]
        monkeypatch.undo()
        assert all(entry.items() <= whole.items() for entry in found)
        assert {len(entry) for entry in found} == {1, 5, 20}
        probe = modality.extract([Sample(encoded(image))], Mode.PROBE)[0].findings[0].template
        assert probe is not None
        view = shelf.gallery.view(Scope(ALICE, mine))
        copied, clutter = pickle.loads(pickle.dumps((probe, shelf.gallery.clutter(probe, view))))  # noqa: S301
        held = shelf.memory.templates(list(whole))
        again = modality.compare(copied, list(held.values()), clutter=clutter)
        assert dict(zip(held, again, strict=True)) == whole


@pytest.mark.parametrize("kind", ["form", "chat"])
def test_what_shares_a_frame_scores_the_same_in_every_profile(shelf: Shelf, kind: str) -> None:
    """Few share the frame, so that it is hardly clutter: 1:1 gives the same but for what is, and nothing strong."""
    frame = frames.FRAMES[kind]
    held = shelf.put(frame(things.thing(1)), "in the frame")
    for n in range(2, 12):
        shelf.put(things.thing(n), str(n))
    for thing, likelihoods in (
        (things.thing(50), [Likelihood.SIMILAR] * 3),
        (things.thing(1), [Likelihood.STRONG, Likelihood.STRONG, Likelihood.PROBABLE]),
    ):
        image = frame(thing)
        found = [scores(shelf, image, frozenset(), k=20, exhaustive=e)[held] for e in (False, True)]
        alone = shelf.engine.compare(ALICE, Sample(encoded(image), "probe"), held).score
        assert [score.likelihood for score in (*found, alone)] == likelihoods
        assert found[0] == found[1]
        assert 0 <= alone.value - found[0].value < 0.05
        assert alone.parts["contradicted"] == found[0].parts["contradicted"]


def test_a_detail_that_one_reference_holds_often_is_not_common(
    shelf: Shelf, modality: ObjectModality
) -> None:
    tiles = np.tile(things.thing(3, 60, 50), (6, 6, 1))
    shelf.put(tiles, "tiles")
    clutter = shelf.gallery.clutter(template(modality, tiles, Mode.PROBE), shelf.gallery.view(Scope(ALICE)))
    assert clutter is not None
    assert clutter.counts.max() == 1


@pytest.mark.parametrize("exhaustive", [False, True])
def test_strangers_before_a_shared_background_are_similar_in_every_profile(
    shelf: Shelf, exhaustive: bool
) -> None:
    for n in range(20):
        shelf.put(on_sheet(things.thing(n), n), str(n))
    found = scores(shelf, on_sheet(things.thing(101), 101), frozenset(), k=20, exhaustive=exhaustive)
    assert {score.likelihood for score in found.values()} == {str(Likelihood.SIMILAR)}


def test_a_gallery_too_small_to_know_its_clutter_calls_nothing_strong(shelf: Shelf) -> None:
    """Whatever the number of candidates: those of another gallery do not count."""
    mate = shelf.put(things.thing(1), "1", "small")
    for n in range(2, 12):
        shelf.put(things.thing(n), str(n), "large")
    small, large = frozenset({"small"}), frozenset({"small", "large"})
    for exhaustive in (False, True):
        alone = scores(shelf, things.thing(1), small, exhaustive=exhaustive)[mate]
        among = scores(shelf, things.thing(1), large, exhaustive=exhaustive)[mate]
        assert (alone.likelihood, among.likelihood) == (Likelihood.PROBABLE, Likelihood.STRONG)
