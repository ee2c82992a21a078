"""Faces: from a photograph to templates, and from two templates to a score."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from likeness.domain.answers import Explanation, Score, Stated
from likeness.domain.calibration import Calibration
from likeness.domain.deadline import NO_DEADLINE, Deadline
from likeness.domain.errors import InvalidInput, LikenessError, SampleRejected
from likeness.domain.modality import Clutter, Companion, Presented, TemplateSpace
from likeness.domain.samples import Extraction, Finding, Issue, Mode, Pick, Sample, Selection, Template
from likeness.face import parameters
from likeness.face.align import chip
from likeness.face.detect import Detection, Detector, Floats, Pixels
from likeness.face.detectors import load_detector
from likeness.face.explain import ExplainedFace, picture
from likeness.face.judge import issues, limits_of, several
from likeness.face.quality import assess
from likeness.face.selection import Indexed, choose, without_bystanders
from likeness.face.turning import Sight, look
from likeness.imaging.decode import DecodeLimits, Picture, opened
from likeness.index.cosines import cosines
from likeness.inference.concurrency.assistant import Assistant
from likeness.inference.concurrency.batcher import Batcher, BatchReport
from likeness.inference.concurrency.turns import Turns
from likeness.inference.models.catalogue import Catalogue
from likeness.inference.models.embedder import Embedder
from likeness.inference.models.manifest import FaceManifest

_NO_LIMITS = DecodeLimits()

Task = tuple[Sample, Mode]
"""What an assistant is given: one sample to extract."""


@dataclass(frozen=True, eq=False, slots=True)
class _Seen:
    """What was found in one sample before anything was embedded; `chips` belong to the findings one by one."""

    extraction: Extraction
    chips: list[Pixels]


class FaceModality:
    """Implements `likeness.domain.modality.Modality`. Thread-safe.

    Args:
        detector: finds faces.
        embedder: turns aligned chips into embeddings; chips of concurrent callers are embedded together.
        model: the version written into templates and answers.
        quality_limits: what is noted and what stops an enrolment, by quality component.
        calibration: the table for the embedder's template space, or None.
        turns: at computing, shared with the embedder; it makes as many runs at once as there are cores.
        limits: what one photograph may cost.
        observe: called with every batch of the embedder.
        assistant: another process that takes a part of the samples.

    Raises:
        InvalidInput: the calibration belongs to another template space.
    """

    name = "face"
    explains_templates = False
    groups_subjects = False
    lights_out = False

    def __init__(
        self,
        detector: Detector,
        embedder: Embedder,
        *,
        model: str,
        quality_limits: Mapping[str, parameters.Limit],
        calibration: Calibration | None,
        turns: Turns,
        limits: DecodeLimits = _NO_LIMITS,
        observe: Callable[[BatchReport], None] | None = None,
        assistant: Assistant[Task, Extraction] | None = None,
    ) -> None:
        if calibration is not None and calibration.space != embedder.space:
            raise InvalidInput(
                f"Calibration {calibration.calibration_id} was measured in template space {calibration.space}; the "
                f"recogniser's is {embedder.space}. Calibrate this recogniser.",
                reason="CALIBRATION_UNFIT",
            )
        self.detector = detector
        self.embedder = embedder
        self.model = model
        self.calibration = calibration
        self.space = TemplateSpace(embedder.space, embedder.dimension)
        self._turns = turns
        self._limits = limits
        self._limits_of_quality = quality_limits
        self._template = embedder.manifest.template
        self._observe = observe
        self._assistant = assistant
        self._batcher: Batcher[Pixels, Floats] = Batcher(
            self._embed_batch,
            slots=turns.count,
            max_batch=parameters.MAX_BATCH,
            max_queue=parameters.MAX_QUEUE,
            turn=turns.one,
            observe=observe,
            name="the face embedder",
        )

    @classmethod
    def load(
        cls,
        catalogue: Catalogue,
        *,
        detector_id: str,
        recogniser_id: str,
        calibration: Calibration | None,
        turns: Turns,
        limits: DecodeLimits = _NO_LIMITS,
        observe: Callable[[BatchReport], None] | None = None,
        assistant: Assistant[Task, Extraction] | None = None,
    ) -> FaceModality:
        """Load the two models by the ids of their manifests.

        Raises what `Catalogue.open`, `Embedder` and `load_detector` raise.
        """
        found = catalogue.get(detector_id, FaceManifest)
        recognised = catalogue.get(recogniser_id, FaceManifest)
        return cls(
            load_detector(catalogue, found),
            Embedder.open(catalogue, recognised, turns=turns),
            model=f"{recognised.label}+{found.label}",
            quality_limits=limits_of(found, recognised),
            calibration=calibration,
            turns=turns,
            limits=limits,
            observe=observe,
            assistant=assistant,
        )

    def extract(
        self, samples: Sequence[Sample], mode: Mode, deadline: Deadline = NO_DEADLINE
    ) -> list[Extraction]:
        """See `Modality.extract`. Indices of findings count the faces from the largest down.

        Raises:
            Unavailable: the assistant ended while it worked on the sample.
            DeadlineExceeded: see `Modality.extract`.
            TooBusy: no memory became free to decode in.
        """
        alone = len(samples) == 1 and len(samples[0].data) <= parameters.ASSISTED_BYTES
        if alone and self._assistant is not None:
            return [self._assistant.do((samples[0], mode), self.extract_one, deadline)]
        return self._extract(samples, mode, deadline)

    def extract_one(self, task: Task, deadline: Deadline = NO_DEADLINE) -> Extraction:
        """Extract one sample in this process."""
        sample, mode = task
        return self._extract([sample], mode, deadline)[0]

    def _extract(self, samples: Sequence[Sample], mode: Mode, deadline: Deadline) -> list[Extraction]:
        seen = []
        for sample in samples:
            with opened(sample, self._limits, deadline=deadline) as photograph, self._turns.one(deadline):
                one = self._see(photograph, sample, mode, deadline)
                if len(samples) == 1 and mode is not Mode.ANALYSE and self._may_go_on(one):
                    deadline.check(f"{sample.name} waited to be embedded")
                    return self._finish([one], self._embed)
                seen.append(one)
        if mode is Mode.ANALYSE:
            return [one.extraction for one in seen]
        return self._finish(seen, lambda chips: self._batcher.run(chips, deadline))

    def _may_go_on(self, seen: _Seen) -> bool:
        """Whether to embed in the turn that was taken to see: nobody waits for it, and to give it up and queue for
        another costs 2% of the throughput at four callers (`benchmarks/serving.py`)."""
        few = len(seen.chips) <= parameters.MAX_BATCH
        return few and self._turns.waiting == 0 and self._batcher.depth == 0

    def _finish(
        self, seen: Sequence[_Seen], embed: Callable[[list[Pixels]], list[Floats]]
    ) -> list[Extraction]:
        started = time.perf_counter()
        chips = [chip for one in seen for chip in one.chips]
        vectors = iter(embed(chips) if chips else ())
        each = (time.perf_counter() - started) / max(len(chips), 1)
        return [self._complete(one, vectors, each) for one in seen]

    def _embed_batch(self, chips: list[Pixels]) -> list[Floats]:
        """In the batcher's turn."""
        return list(self.embedder.embed(np.stack(chips)))

    def _embed(self, chips: list[Pixels]) -> list[Floats]:
        """In a turn that is held already."""
        vectors = list(self.embedder.embed(np.stack(chips)))
        if self._observe is not None:
            self._observe(BatchReport(len(chips), self._batcher.depth))
        return vectors

    def _see(self, photograph: Picture, sample: Sample, mode: Mode, deadline: Deadline) -> _Seen:
        """Decode, detect, choose, measure and align."""
        begun = time.perf_counter()
        try:
            image = photograph.pixels()
        except SampleRejected as error:
            return _Seen(Extraction(rejection=Issue(error.reason, error.message)), [])
        decoded = time.perf_counter()
        deadline.check(f"{sample.name} was decoded")
        sight = look(self.detector, image)
        chosen = self._choose(sight.as_sent, sample, mode, (image.shape[1], image.shape[0]))
        findings = self._findings(chosen, sight, sample, mode) if not isinstance(chosen, Issue) else ()
        chips = [
            self.align(sight.image, sight.faces[finding.index])
            for finding in findings
            if mode is not Mode.ANALYSE
        ]
        timings = {"decode": decoded - begun, "detect": time.perf_counter() - decoded}
        rejection = chosen if isinstance(chosen, Issue) else None
        return _Seen(Extraction(findings, rejection, image.shape[1], image.shape[0], timings), chips)

    def _choose(
        self, found: list[Detection], sample: Sample, mode: Mode, size: tuple[int, int]
    ) -> Indexed | Issue:
        """The faces that are meant, or why there are none."""
        if not found:
            return Issue(
                "NO_FACE",
                f"No face was found in {sample.name}; send a photograph that shows a face, upright, with the eyes "
                f"at least {self._limits_of_quality['InterEyeDistance'].reject:g} pixels apart.",
            )
        chosen = choose(found, sample.selection, size)
        if mode is Mode.ENROL and sample.selection.pick is Pick.ONLY:
            chosen = without_bystanders(chosen)
        return chosen or Issue(
            "FACE_NOT_SELECTED",
            f"None of the {len(found)} faces in {sample.name} is the one selected; Analyze tells their indices and "
            "boxes.",
        )

    def _findings(self, chosen: Indexed, sight: Sight, sample: Sample, mode: Mode) -> tuple[Finding, ...]:
        general = sight.issue(sample.name)
        if sample.selection.pick is Pick.ONLY and len(without_bystanders(chosen)) > 1:
            general += (several(len(chosen), mode, sample.name),)
        findings = []
        for index, sent in chosen:
            face = sight.faces[index]
            measured = assess(face, sight.image, [other for other in sight.faces if other is not face])
            findings.append(
                Finding(
                    index=index,
                    box=sent.box,
                    confidence=face.confidence,
                    quality=measured,
                    landmarks=tuple((float(x), float(y)) for x, y in sent.landmarks),
                    issues=general + issues(measured, self._limits_of_quality, mode, sample.name),
                )
            )
        return tuple(findings)

    def _complete(self, seen: _Seen, vectors: Iterator[Floats], each: float) -> Extraction:
        """The extraction with its templates; takes as many vectors as it has chips."""
        if not seen.chips:
            return seen.extraction
        findings = tuple(
            replace(finding, template=Template(self.space.space_id, self.model, next(vectors)[None]))
            for finding in seen.extraction.findings
        )
        timings = {**seen.extraction.timings, "embed": each * len(findings)}
        return replace(seen.extraction, findings=findings, timings=timings)

    def align(self, image: Pixels, face: Detection) -> Pixels:
        """The face moved onto the recogniser's landmark template; uint8 [h, w, 3], RGB."""
        return chip(image, face, self._template, self.embedder.size)

    def shortlist(self, k: int) -> int:
        """See `Modality.shortlist`."""
        return k + parameters.SHORTLIST_MARGIN

    def levels(self, probe: Template) -> NDArray[np.float32] | None:
        """See `Modality.levels`."""
        del probe
        return None

    def compare(
        self,
        probe: Template,
        candidates: Sequence[Template],
        *,
        clutter: Clutter | None = None,
        exact: bool = False,
    ) -> list[Score]:
        """The cosine of the embeddings, -1..1; always exact, and the same whatever else is compared with it."""
        del clutter, exact
        if not candidates:
            return []
        found = cosines(np.concatenate([c.vectors for c in candidates]), probe.vectors[:1])[:, 0]
        return [Score(value, {"cosine": value}) for value in found.tolist()]

    def companion(self) -> Companion | None:
        """See `Modality.companion`: the embeddings suffice."""
        return None

    def explain(self, probe: Presented, candidate: Presented, stated: Stated | None = None) -> Explanation:
        """See `Modality.explain`: both photographs with box and landmarks, the aligned faces, the score.

        Where a sample shows several faces and none was selected, the largest is taken.

        Raises:
            SampleRejected: a sample is not a picture, or shows no face or not the one selected.
        """
        with self._limits.memory.pair():
            return self._explained([self._side(probe), self._side(candidate)], stated)

    def _explained(self, sides: list[ExplainedFace], stated: Stated | None) -> Explanation:
        score = self._cosine(sides) if stated is None else stated.score.value
        captions = [f"Score {score:.3f} (cosine)", f"Model {self.model}"]
        if self.calibration is not None:
            rate = self.calibration.rate(score) if stated is None else stated.fmr
            captions.append(f"Strangers score this high at a false match rate of {rate}")
        captions.append("A lead for a person to verify, not an identification")
        return Explanation(picture(sides, captions))

    def _cosine(self, sides: list[ExplainedFace]) -> float:
        one, other = self._batcher.run([side.chip for side in sides])
        return float(cosines(one[None], other[None])[0, 0])

    def _side(self, presented: Presented) -> ExplainedFace:
        sample = presented.sample
        if sample is None:
            raise InvalidInput(f"A picture of {presented.name} needs its photograph; send it, or do not ask.")
        if sample.selection.pick is Pick.ONLY:
            sample = replace(sample, selection=Selection(Pick.MOST_PROMINENT))
        with opened(sample, self._limits, working=0) as photograph, self._turns.one():
            return self._side_of(photograph.pixels(), sample)

    def _side_of(self, image: Pixels, sample: Sample) -> ExplainedFace:
        """In a turn that is held."""
        sight = look(self.detector, image)
        chosen = self._choose(sight.as_sent, sample, Mode.PROBE, (image.shape[1], image.shape[0]))
        if isinstance(chosen, Issue):
            raise SampleRejected(chosen.message, reason=chosen.reason)
        face = sight.faces[chosen[0][0]]
        return ExplainedFace(sample.name, sight.image, face, self.align(sight.image, face))

    def warm(self) -> None:
        """Run detector and embedder once on blank pictures."""
        self.detector.warm()
        width, height = self.embedder.size
        vector = self._batcher.run([np.full((height, width, 3), 128, np.uint8)])[0]
        if not np.isfinite(vector).all():
            raise LikenessError(f"The recogniser of {self.model} returned values that are not finite.")
