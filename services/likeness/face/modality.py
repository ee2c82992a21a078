"""Faces: from a photograph to templates, and from two templates to a score."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from likeness.domain.answers import Score
from likeness.domain.calibration import Calibration
from likeness.domain.errors import LikenessError, SampleRejected
from likeness.domain.modality import TemplateSpace
from likeness.domain.samples import (
    Extraction,
    Finding,
    Issue,
    Mode,
    Pick,
    Sample,
    Selection,
    Template,
)
from likeness.face import parameters, quality
from likeness.face.detect import Detection, Detector, Floats, Pixels
from likeness.face.detectors import load_detector
from likeness.face.explain import picture
from likeness.face.selection import Indexed, choose, without_bystanders
from likeness.imaging.decode import Limits, decode
from likeness.imaging.geometry import similarity, warp
from likeness.inference.batcher import Batcher, BatchReport
from likeness.inference.catalogue import Catalogue
from likeness.inference.embedder import Embedder
from likeness.inference.manifest import Edges
from likeness.inference.threads import ThreadPlan

_NO_LIMITS = Limits()


@dataclass(frozen=True, eq=False, slots=True)
class _Seen:
    """A photograph with its chosen faces and their chips, before anything was embedded."""

    image: Pixels
    faces: Indexed
    chips: list[Pixels]
    total: int
    timings: dict[str, float]


class FaceModality:
    """Implements `likeness.domain.modality.Modality`. Thread-safe.

    Args:
        detector: finds faces.
        embedder: turns aligned chips into embeddings; chips of concurrent callers are embedded together.
        model: the version written into templates and answers.
        calibration: the table for the embedder's template space, or None.
        workers: embedding runs at once.
        edges: quality limits of these models, where they differ from ours.
        limits: what one photograph may cost.
        observe: told of every batch of the embedder.
    """

    name = "face"

    def __init__(
        self,
        detector: Detector,
        embedder: Embedder,
        *,
        model: str,
        calibration: Calibration | None,
        workers: int,
        edges: Mapping[str, Edges] | None = None,
        limits: Limits = _NO_LIMITS,
        observe: Callable[[BatchReport], None] | None = None,
    ) -> None:
        self.detector = detector
        self.embedder = embedder
        self.model = model
        self.calibration = calibration
        self.space = TemplateSpace(embedder.space, embedder.dimension)
        self._edges = dict(edges or {})
        self._limits = limits
        self._template = embedder.manifest.template
        self._batcher: Batcher[Pixels, Floats] = Batcher(
            lambda chips: list(embedder.embed(np.stack(chips))),
            slots=workers,
            max_batch=parameters.MAX_BATCH,
            max_queue=parameters.MAX_QUEUE,
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
        threads: ThreadPlan,
        limits: Limits = _NO_LIMITS,
        observe: Callable[[BatchReport], None] | None = None,
    ) -> FaceModality:
        """Load the two models by the ids of their manifests. Raises what `Catalogue.open` raises."""
        found, recognised = catalogue.get(detector_id), catalogue.get(recogniser_id)
        return cls(
            load_detector(catalogue, found, threads.intra_op),
            Embedder.open(catalogue, recognised, threads.intra_op),
            model=f"{recognised.label}+{found.label}",
            calibration=calibration,
            workers=threads.workers,
            edges={**found.quality, **recognised.quality},
            limits=limits,
            observe=observe,
        )

    def extract(self, samples: Sequence[Sample], mode: Mode) -> list[Extraction]:
        """See `Modality.extract`."""
        return [self._extract(sample, mode) for sample in samples]

    def _extract(self, sample: Sample, mode: Mode) -> Extraction:
        try:
            seen = self._see(sample, mode)
        except SampleRejected as error:
            return Extraction(rejection=Issue(error.reason, error.message))
        height, width = seen.image.shape[:2]
        started = time.perf_counter()
        embeddings = [None] * len(seen.faces) if mode is Mode.ANALYSE else self._batcher.run(seen.chips)
        if mode is not Mode.ANALYSE:
            seen.timings["embed"] = time.perf_counter() - started
        findings = tuple(
            self._finding(index, face, chip, embedding, seen, sample.name)
            for (index, face), chip, embedding in zip(seen.faces, seen.chips, embeddings, strict=True)
        )
        return Extraction(findings, width=width, height=height, timings=seen.timings)

    def _see(self, sample: Sample, mode: Mode) -> _Seen:
        """Decode, detect, choose and align.

        Raises:
            SampleRejected: no picture, no face, or none that was meant.
        """
        begun = time.perf_counter()
        image = decode(sample, self._limits)
        decoded = time.perf_counter()
        found = self.detector.detect(image)[: parameters.MAX_FACES]
        if not found:
            raise SampleRejected(
                f"No face was found in {sample.name}; send a photograph that shows a face, upright, with the eyes "
                f"at least {parameters.MIN_INTER_EYE_PX:g} pixels apart.",
                reason="NO_FACE",
            )
        chosen = choose(found, sample.selection, (image.shape[1], image.shape[0]))
        if mode is Mode.ENROL and sample.selection.pick is Pick.ONLY:
            chosen = without_bystanders(chosen)
        if not chosen:
            raise SampleRejected(
                f"None of the {len(found)} faces in {sample.name} is the one selected; Analyze tells their indices "
                "and boxes.",
                reason="FACE_NOT_SELECTED",
            )
        chips = [self.align(image, face) for _, face in chosen]
        timings = {"decode": decoded - begun, "detect": time.perf_counter() - decoded}
        return _Seen(image, chosen, chips, len(found), timings)

    def align(self, image: Pixels, face: Detection) -> Pixels:
        """The face moved onto the recogniser's landmark template; uint8 [h, w, 3], RGB."""
        return warp(image, similarity(face.landmarks, self._template), self.embedder.size)

    def _finding(
        self, index: int, face: Detection, chip: Pixels, embedding: Floats | None, seen: _Seen, name: str
    ) -> Finding:
        size = (seen.image.shape[1], seen.image.shape[0])
        measured = quality.assess(face, chip, size, seen.total)
        template = None
        if embedding is not None:
            template = Template(self.space.space_id, self.model, embedding[None])
        return Finding(
            index=index,
            box=face.box,
            confidence=face.confidence,
            quality=measured,
            landmarks=tuple((float(x), float(y)) for x, y in face.landmarks),
            issues=quality.issues(measured, name, self._edges),
            template=template,
        )

    def shortlist(self, k: int) -> int:
        """See `Modality.shortlist`."""
        return parameters.SHORTLIST_FACTOR * k + parameters.SHORTLIST_MARGIN

    def compare(self, probe: Template, candidates: Sequence[Template]) -> list[Score]:
        """The cosine of the embeddings, -1..1."""
        if not candidates:
            return []
        cosines = np.concatenate([c.vectors for c in candidates]) @ probe.vectors[0]
        return [Score(value, {"cosine": value}) for value in cosines.tolist()]

    def explain(self, probe: Sample, candidate: Sample) -> bytes:
        """See `Modality.explain`: both photographs with box and landmarks, the aligned faces, the score."""
        sides = [self._side(probe), self._side(candidate)]
        chips = np.stack([chip for _, _, chip in sides])
        one, other = self.embedder.embed(chips)
        score = float(one @ other)
        captions = [f"Score {score:.3f} (cosine of two embeddings by {self.model})"]
        if self.calibration is not None:
            rate = self.calibration.rate(score)
            captions.append(f"Strangers score this high at a false match rate of {rate}")
        captions.append("A lead for a person to verify, not an identification")
        return picture(sides, captions)

    def _side(self, sample: Sample) -> tuple[Pixels, Detection, Pixels]:
        chosen = sample
        if sample.selection.pick is Pick.ONLY:
            chosen = Sample(sample.data, sample.name, sample.media_type, Selection(Pick.MOST_PROMINENT))
        seen = self._see(chosen, Mode.PROBE)
        return seen.image, seen.faces[0][1], seen.chips[0]

    def warm(self) -> None:
        """Run detector and embedder once on a grey picture."""
        width, height = self.embedder.size
        self.detector.detect(np.full((240, 240, 3), 128, np.uint8))
        vector = self._batcher.run([np.full((height, width, 3), 128, np.uint8)])[0]
        if not np.isfinite(vector).all():
            raise LikenessError(f"The recogniser of {self.model} returned values that are not finite.")
