"""Photographs of objects: from a photograph to a template, and from two templates to a score."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from likeness.domain.answers import Explanation, Score, Stated
from likeness.domain.calibration import Calibration
from likeness.domain.deadline import NO_DEADLINE, Deadline
from likeness.domain.errors import InvalidInput, LikenessError, SampleRejected
from likeness.domain.modality import Clutter, Companion, Presented, TemplateSpace
from likeness.domain.samples import Box, Extraction, Finding, Issue, Mode, Pick, Sample, Template
from likeness.imaging.decode import DecodeLimits, Picture, opened
from likeness.inference.concurrency.batcher import Batcher, BatchReport
from likeness.inference.concurrency.turns import Turns
from likeness.inference.models.pictures import PictureEmbedder
from likeness.object import matcher, similarity, views
from likeness.object import parameters as p
from likeness.object.detail_votes import DetailVotes
from likeness.object.explain import ExplainedObject, picture
from likeness.object.matcher import PreparedObject
from likeness.object.quality import assess, issues
from likeness.object.views import Pixels

Floats = NDArray[np.float32]

MODEL = "object-embed"
"""Name of the shipped embedder's manifest."""

_NO_LIMITS = DecodeLimits()


@dataclass(frozen=True, eq=False, slots=True)
class _Seen:
    """What was taken down of one sample before anything was embedded: its squares and details."""

    extraction: Extraction
    squares: Sequence[Pixels] = ()
    prepared: PreparedObject | None = None


class ObjectModality:
    """Implements `likeness.domain.modality.Modality`. Thread-safe.

    A photograph, or the region of it that was selected, is one presentation. It has a vector for each of its
    squares, see `views`.

    Args:
        embedder: turns squares into the shortlist's vectors; those of concurrent callers go together.
        calibration: the table for this template space, or None.
        turns: at computing; the embedder makes as many runs at once as there are cores.
        limits: what one photograph may cost.
        observe: called with every batch of the embedder.

    Raises:
        InvalidInput: embedder or calibration belong to another template space.
    """

    name = "object"
    explains_templates = False
    groups_subjects = True
    lights_out = True

    SPACE = "likeness-object/3"
    """The template space: weights of the embedder, codebook, details and fusion. Changes when any of them does."""

    def __init__(
        self,
        embedder: PictureEmbedder,
        *,
        calibration: Calibration | None,
        turns: Turns,
        limits: DecodeLimits = _NO_LIMITS,
        observe: Callable[[BatchReport], None] | None = None,
    ) -> None:
        for what, space in (
            (f"Model {embedder.manifest.id}", embedder.manifest.template_space),
            ("The calibration", calibration.space if calibration is not None else self.SPACE),
        ):
            if space != self.SPACE:
                raise InvalidInput(
                    f"{what} belongs to template space {space}, not to {self.SPACE}, which this version makes; "
                    "restore the shipped file, or calibrate again.",
                    reason="CALIBRATION_UNFIT" if what == "The calibration" else "MODEL_UNFIT",
                )
        self.model = embedder.manifest.label
        self.calibration = calibration
        self.space = TemplateSpace(self.SPACE, embedder.dimension)
        self._embedder = embedder
        self._turns = turns
        self._limits = limits
        self._batcher: Batcher[Pixels, Floats] = Batcher(
            self._embed,
            slots=turns.count,
            max_batch=p.MAX_BATCH,
            max_queue=p.MAX_QUEUE,
            turn=turns.one,
            observe=observe,
            name="the object embedder",
        )

    @classmethod
    def load(
        cls,
        *,
        calibration: Calibration | None,
        turns: Turns,
        limits: DecodeLimits = _NO_LIMITS,
        observe: Callable[[BatchReport], None] | None = None,
    ) -> ObjectModality:
        """Load the shipped models.

        Raises what `PictureEmbedder` and the constructor raise.
        """
        return cls(
            PictureEmbedder.shipped(MODEL),
            calibration=calibration,
            turns=turns,
            limits=limits,
            observe=observe,
        )

    def extract(
        self, samples: Sequence[Sample], mode: Mode, deadline: Deadline = NO_DEADLINE
    ) -> list[Extraction]:
        """See `Modality.extract`. A photograph, or its selected region, is one finding, of index 0.

        Raises:
            DeadlineExceeded: see `Modality.extract`.
            TooBusy: no memory became free to decode in.
        """
        seen = []
        for sample in samples:
            with opened(sample, self._limits, deadline=deadline) as photograph, self._turns.one(deadline):
                seen.append(self._see(photograph, sample, mode, deadline))
        if mode is Mode.ANALYSE:
            return [one.extraction for one in seen]
        started = time.perf_counter()
        squares = [square for one in seen for square in one.squares]
        vectors = iter(self._batcher.run(squares, deadline))
        each = (time.perf_counter() - started) / max(len(squares), 1)
        return [self._complete(one, vectors, each) for one in seen]

    def _embed(self, squares: list[Pixels]) -> list[Floats]:
        """In the batcher's turn, and those that are idle."""

        def embed(part: Sequence[Pixels]) -> list[Floats]:
            return list(self._embedder.embed(np.stack(part)))

        return self._turns.spread(embed, squares, p.LEAST_SQUARES)

    def _see(self, photograph: Picture, sample: Sample, mode: Mode, deadline: Deadline) -> _Seen:
        """Decode, cut to the region, measure and take down details."""
        begun = time.perf_counter()
        try:
            image = photograph.pixels()
            _check_sides(sample, image)
            region = _region(sample, image)
        except SampleRejected as error:
            return _Seen(Extraction(rejection=Issue(error.reason, error.message)))
        decoded = time.perf_counter()
        deadline.check(f"{sample.name} was decoded")
        height, width = image.shape[:2]
        prepared = matcher.prepare(image, region, as_probe=mode is Mode.PROBE)
        part = views.cropped(image, region)
        quality = assess(part, len(prepared.details))
        finding = Finding(
            index=0,
            box=region or Box(0.0, 0.0, float(width), float(height)),
            confidence=1.0,
            quality=quality,
            issues=issues(quality, sample.name),
        )
        timings = {"decode": decoded - begun, "describe": time.perf_counter() - decoded}
        extraction = Extraction((finding,), None, width, height, timings)
        if mode is Mode.ANALYSE:
            return _Seen(extraction)
        make = views.of_probe if mode is Mode.PROBE else views.of_reference
        return _Seen(extraction, make(part, self._embedder.side), prepared)

    def _complete(self, seen: _Seen, vectors: Iterator[Floats], each: float) -> Extraction:
        """The extraction with its template; takes as many vectors as it has squares."""
        if seen.prepared is None:
            return seen.extraction
        rows = np.stack([next(vectors) for _ in seen.squares])
        template = Template(self.SPACE, self.model, rows, seen.prepared.to_bytes())
        findings = tuple(replace(finding, template=template) for finding in seen.extraction.findings)
        timings = {**seen.extraction.timings, "embed": each * len(rows)}
        return replace(seen.extraction, findings=findings, timings=timings)

    def shortlist(self, k: int) -> int:
        """See `Modality.shortlist`; so many of each way to candidates."""
        return max(p.SHORTLIST, k + p.SHORTLIST_MARGIN)

    def levels(self, probe: Template) -> Floats:
        """See `Modality.levels`; how near each square is to photographs at random."""
        return similarity.levels(probe.vectors)

    def compare(
        self,
        probe: Template,
        candidates: Sequence[Template],
        *,
        clutter: Clutter | None = None,
        exact: bool = False,
    ) -> list[Score]:
        """Log-odds that two photographs show the same object; see `fusion`. Always exact.

        The probe's details weigh less the more references hold them, by the clutter; scores are then at most those
        of a comparison of two alone, by which they are calibrated.
        """
        del exact
        with self._turns.one():
            return matcher.compare(probe, candidates, clutter, self._turns)

    def companion(self) -> Companion | None:
        """See `Modality.companion`: local details vote, and those found in many references are clutter."""
        return DetailVotes(self._turns)

    def explain(self, probe: Presented, candidate: Presented, stated: Stated | None = None) -> Explanation:
        """See `Modality.explain`: what corresponds, drawn over both photographs, and the score's parts.

        What is drawn comes from the templates that were compared; the photographs are only its ground.

        Raises:
            SampleRejected: a sample is not a picture, or its region lies outside of it.
            DeadlineExceeded, TooBusy: no memory became free to decode in.
        """
        with self._limits.memory.pair():
            return self._explained(probe, candidate, stated)

    def _explained(self, probe: Presented, candidate: Presented, stated: Stated | None) -> Explanation:
        score = self.compare(probe.template, [candidate.template])[0] if stated is None else stated.score
        with self._turns.one():
            found = matcher.evidence(probe.template, candidate.template)
        sides = [self._side(side) for side in (probe, candidate)]
        captions = [f"Score {score.value:.2f} (log-odds): {score.likelihood}", f"Model {self.model}"]
        parts = [f"{name} {value:.3g}" for name, value in score.parts.items()]
        captions += [", ".join(parts[:4]), ", ".join(parts[4:])]
        if self.calibration is not None:
            rate = self.calibration.rate(score.value) if stated is None else stated.fmr
            captions.append(f"Strangers score this high at a false match rate of {rate}")
        captions.append("A lead for a person to verify, not an identification")
        return Explanation(picture(sides, found, captions), found)

    def _side(self, presented: Presented) -> ExplainedObject:
        if presented.sample is None:
            raise InvalidInput(f"A picture of {presented.name} needs its photograph; send it, or do not ask.")
        with opened(presented.sample, self._limits, working=0) as photograph, self._turns.one():
            image = photograph.pixels()
        return ExplainedObject(presented.name, image, _region(presented.sample, image))

    def warm(self) -> None:
        """Take down a drawn photograph and compare it with itself.

        Raises:
            LikenessError: it is not found to be itself.
        """
        image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8).repeat(4, 0).repeat(4, 1)
        vector = self._batcher.run([views.square(image, self._embedder.side)])[0]
        template = Template(self.SPACE, self.model, vector[None], matcher.prepare(image).to_bytes())
        score = self.compare(template, [template])[0]
        if not score.value > 0:
            raise LikenessError(
                f"The object models {self.model} do not find a photograph to be like itself (score "
                f"{score.value:.2f}); restore the model files."
            )


def _check_sides(sample: Sample, image: Pixels) -> None:
    """Refuse a photograph whose sides a template cannot tell.

    Raises:
        SampleRejected: a side has more than `parameters.MAX_SIDE` pixels.
    """
    if max(image.shape[:2]) > p.MAX_SIDE:
        raise SampleRejected(
            f"{sample.name} is {image.shape[1]} x {image.shape[0]} pixels; send it with no side over {p.MAX_SIDE}.",
            reason="SIDE_TOO_LONG",
        )


def _region(sample: Sample, image: Pixels) -> Box | None:
    """The part of the photograph that is meant, cut to its borders; None for all of it.

    Raises:
        SampleRejected: the selection names an index other than 0, or a region that is outside or too small.
    """
    selection = sample.selection
    if selection.pick is Pick.INDEX and selection.index != 0:
        raise SampleRejected(
            f"{sample.name} is one presentation, of index 0; to mean one object among others, select its region.",
            reason="OBJECT_NOT_SELECTED",
        )
    if selection.pick is not Pick.REGION:
        return None
    asked = selection.region or Box(0, 0, 0, 0)
    height, width = image.shape[:2]
    if not all(math.isfinite(n) for n in (asked.x, asked.y, asked.width, asked.height)):
        asked = Box(0, 0, 0, 0)
    left, top = max(0.0, asked.x), max(0.0, asked.y)
    right, bottom = min(float(width), asked.x + asked.width), min(float(height), asked.y + asked.height)
    if not min(right - left, bottom - top) >= p.LEAST_REGION:
        raise SampleRejected(
            f"The region of {sample.name} shows less than {p.LEAST_REGION} pixels of the {width} x {height} that "
            "it has; give x, y, width and height in pixels of the photograph as it is seen.",
            reason="REGION_UNUSABLE",
        )
    return Box(left, top, right - left, bottom - top)
