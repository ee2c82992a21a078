"""Fingerprints: from a finger minutiae record to a template, and from two templates to a score."""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from likeness.domain.answers import Explanation, Score, Stated
from likeness.domain.calibration import Calibration
from likeness.domain.deadline import NO_DEADLINE, Deadline
from likeness.domain.errors import InvalidInput, LikenessError, SampleRejected
from likeness.domain.modality import Clutter, Companion, Presented, TemplateSpace
from likeness.domain.samples import Extraction, Finding, Issue, Mode, Pick, Sample, Severity, Template
from likeness.fingerprint import parameters as p
from likeness.fingerprint import quality
from likeness.fingerprint.explain import ExplainedFinger, explained
from likeness.fingerprint.fingers import Finger, Fingers, best_pair, compare, pack, unpack
from likeness.fingerprint.formats import read
from likeness.fingerprint.kernels import drawn_pattern, load_kernels
from likeness.fingerprint.matcher import Matcher
from likeness.fingerprint.minutiae import FingerView, Record, position_of
from likeness.fingerprint.prepared import prepare
from likeness.fingerprint.shortlist import MODEL, Shortlister
from likeness.inference.concurrency.turns import Turns
from likeness.inference.models.sets import SetEmbedder


@dataclass(frozen=True, eq=False, slots=True)
class _Seen:
    """What one record held before anything was embedded; `views` are those with minutiae, in order."""

    extraction: Extraction
    views: tuple[FingerView, ...] = ()


class FingerprintModality:
    """Implements `likeness.domain.modality.Modality`. Thread-safe.

    A record is one presentation: its views become one template with a vector for each view that has minutiae.

    Args:
        shortlister: turns minutiae into the shortlist's vectors.
        matcher: compares exactly.
        calibration: the table for this template space, or None.
        turns: at computing.

    Raises:
        InvalidInput: the calibration belongs to another template space.
    """

    name = "fingerprint"
    explains_templates = True
    groups_subjects = False
    lights_out = True

    def __init__(
        self,
        shortlister: Shortlister,
        matcher: Matcher,
        *,
        calibration: Calibration | None,
        turns: Turns,
    ) -> None:
        self.space = TemplateSpace(space_of(shortlister, matcher), shortlister.dimension)
        self.model = f"{shortlister.model}+minutiae-fusion@{matcher.version}"
        if calibration is not None and calibration.space != self.space.space_id:
            raise InvalidInput(
                f"Calibration {calibration.calibration_id} was measured in template space {calibration.space}; "
                f"that of the fingerprint models in use is {self.space.space_id}. Calibrate these models.",
                reason="CALIBRATION_UNFIT",
            )
        self.calibration = calibration
        self._shortlister = shortlister
        self._matcher = matcher
        self._turns = turns
        self._decoded: weakref.WeakKeyDictionary[Template, Fingers] = weakref.WeakKeyDictionary()

    @classmethod
    def load(cls, *, calibration: Calibration | None, turns: Turns) -> FingerprintModality:
        """Load the shipped models.

        Raises what `SetEmbedder` and `Fusion.load` raise.
        """
        embedder = SetEmbedder.shipped(MODEL)
        return cls(Shortlister(embedder), Matcher(), calibration=calibration, turns=turns)

    def extract(
        self, samples: Sequence[Sample], mode: Mode, deadline: Deadline = NO_DEADLINE
    ) -> list[Extraction]:
        """See `Modality.extract`. A record is one finding, of index 0, whatever number of fingers it holds."""
        found: list[Extraction] = []
        for start in range(0, len(samples), p.RECORDS_PER_TURN):
            with self._turns.one(deadline):
                found += self._extract(samples[start : start + p.RECORDS_PER_TURN], mode, deadline)
        return found

    def _extract(self, samples: Sequence[Sample], mode: Mode, deadline: Deadline) -> list[Extraction]:
        """In a turn that is held."""
        seen = []
        for sample in samples:
            deadline.check(f"{sample.name} waited to be read")
            seen.append(_see(sample, mode))
        if mode is Mode.ANALYSE:
            return [one.extraction for one in seen]
        views = [view for one in seen for view in one.views]
        started = time.perf_counter()
        vectors = self._shortlister.embed([view.minutiae for view in views])
        fingers = [
            Finger(position_of(view.position), prepare(view.minutiae), view.possible) for view in views
        ]
        each = (time.perf_counter() - started) / max(len(views), 1)
        made, at = [], 0
        for one in seen:
            end = at + len(one.views)
            made.append(self._complete(one, vectors[at:end], fingers[at:end], each))
            at = end
        return made

    def _complete(
        self, seen: _Seen, vectors: NDArray[np.float32], fingers: Sequence[Finger], each: float
    ) -> Extraction:
        """The extraction with its template."""
        if not seen.views:
            return seen.extraction
        template = Template(self.space.space_id, self.model, vectors, pack(fingers))
        self._decoded[template] = tuple(fingers)
        findings = tuple(replace(finding, template=template) for finding in seen.extraction.findings)
        timings = {**seen.extraction.timings, "embed": each * len(fingers)}
        return replace(seen.extraction, findings=findings, timings=timings)

    def shortlist(self, k: int) -> int:
        """See `Modality.shortlist`."""
        return max(p.SHORTLIST_LEAST, p.SHORTLIST_PER_CANDIDATE * k)

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
        """Log-odds that two records show the same fingers, summed over the fingers that both may hold."""
        del clutter
        with self._turns.one():
            return self._compare(probe, candidates, exact=exact)

    def _compare(
        self, probe: Template, candidates: Sequence[Template], *, exact: bool = False
    ) -> list[Score]:
        """In a turn that is held."""
        held = [self._fingers(one) for one in candidates]
        return compare(self._matcher, self._fingers(probe), held, exact=exact)

    def _fingers(self, template: Template) -> Fingers:
        """The decoded template, cached for as long as the template itself is referenced elsewhere."""
        held = self._decoded.get(template)
        if held is None:
            held = unpack(template.detail)
            self._decoded[template] = held
        return held

    def companion(self) -> Companion | None:
        """See `Modality.companion`: the vectors suffice."""
        return None

    def explain(self, probe: Presented, candidate: Presented, stated: Stated | None = None) -> Explanation:
        """See `Modality.explain`: the most similar pair of views, with the minutiae that were paired.

        Raises:
            InvalidInput: the two hold no finger in common, so that there is nothing to show.
        """
        with self._turns.one():
            return self._explained(probe, candidate, stated)

    def _explained(self, probe: Presented, candidate: Presented, stated: Stated | None) -> Explanation:
        """In a turn that is held."""
        pair = best_pair(self._matcher, self._fingers(probe.template), self._fingers(candidate.template))
        if pair is None:
            raise InvalidInput(
                f"{probe.name} and {candidate.name} hold no finger in common, so there is nothing to show.",
                reason="NO_FINGER_IN_COMMON",
            )
        score = self._compare(probe.template, [candidate.template])[0] if stated is None else stated.score
        captions = [f"Score {score.value:.2f} (log-odds), model {self.model}"]
        if self.calibration is not None:
            rate = self.calibration.rate(score.value) if stated is None else stated.fmr
            captions.append(f"Strangers score this high at a false match rate of {rate}")
        captions.append("A lead for a person to verify, not an identification")
        one, other = pair
        pairing = self._matcher.pair(one.prepared, other.prepared)
        return explained(
            ExplainedFinger(probe.name, one), ExplainedFinger(candidate.name, other), pairing, score, captions
        )

    def warm(self) -> None:
        """Compile or load every kernel and compare a drawn pattern with itself.

        Raises:
            LikenessError: the pattern is not found to be itself.
        """
        load_kernels()
        minutiae = drawn_pattern()
        vector = self._shortlister.embed([minutiae])
        finger = Finger(0, prepare(minutiae))
        template = Template(self.space.space_id, self.model, vector, pack([finger]))
        score = self.compare(template, [template])[0]
        self.explain(Presented(template, "self-test"), Presented(template, "self-test"))
        if not np.isfinite(vector).all() or not score.value > 0:
            raise LikenessError(
                f"The fingerprint models {self.model} do not find a pattern to be like itself (score "
                f"{score.value:.2f}); restore the model files."
            )


def space_of(shortlister: Shortlister, matcher: Matcher) -> str:
    """The template space: it names everything that moves vectors, stored detail or scores."""
    return f"{shortlister.space}/detail-{p.DETAIL_VERSION}/fusion-{matcher.version}"


def _see(sample: Sample, mode: Mode) -> _Seen:
    """Decode, choose and measure."""
    begun = time.perf_counter()
    try:
        record = _read(sample)
    except SampleRejected as error:
        return _Seen(Extraction(rejection=Issue(error.reason, error.message)))
    decoded = time.perf_counter()
    views = tuple(view for view in record.views if len(view.minutiae))
    width, height = _size(record)
    rejection = _unusable(record, views, sample)
    if rejection is not None:
        timings = {"decode": decoded - begun}
        return _Seen(Extraction(rejection=rejection, width=width, height=height, timings=timings))
    finding = Finding(
        index=0,
        box=None,
        confidence=1.0,
        quality=quality.of_record(views),
        issues=(
            *(Issue(remark.reason, remark.message, Severity.WARN) for remark in record.remarks),
            *quality.issues_of_record(record.views, sample.name, mode),
        ),
        finger_positions=tuple(view.position for view in views),
    )
    timings = {"decode": decoded - begun, "quality": time.perf_counter() - decoded}
    return _Seen(Extraction((finding,), None, width, height, timings), views)


def _read(sample: Sample) -> Record:
    """The record of a sample.

    Raises:
        SampleRejected: see `formats.read`; also where the caller declared a picture.
    """
    record = read(sample.data, sample.name)
    far = max(
        (float(np.abs(view.minutiae.xy).max()) for view in record.views if len(view.minutiae)), default=0.0
    )
    if far > p.MAX_COORDINATE:
        raise SampleRejected(
            f"{sample.name} ({record.standard}) has a minutia {far:.0f} pixels at 500 dpi from the origin, beyond "
            f"{p.MAX_COORDINATE}; correct the coordinates, or the resolution in the record.",
            reason="COORDINATES_OUT_OF_RANGE",
        )
    claim = sample.media_type.partition(";")[0].strip().lower()
    if claim.startswith(("image/", "audio/", "video/")):
        raise SampleRejected(
            f"{sample.name} was declared as {claim[:64]} but is {record.standard}; declare "
            "application/octet-stream, or nothing.",
            reason="MEDIA_TYPE_MISMATCH",
        )
    return record


def _unusable(record: Record, views: Sequence[FingerView], sample: Sample) -> Issue | None:
    """Why nothing of a record can be used or was meant."""
    if not views:
        return Issue(
            "NO_MINUTIAE",
            f"{sample.name} ({record.standard}) has {len(record.views)} views and no minutiae in any; extract the "
            "template again from the image, or capture the finger again.",
        )
    selection = sample.selection
    if selection.pick is Pick.REGION or (selection.pick is Pick.INDEX and selection.index != 0):
        return Issue(
            "FINGER_NOT_SELECTED",
            f"{sample.name} is a record, and all its fingers are one presentation of index 0; select that, or "
            "send the fingers that are meant in a record of their own.",
        )
    return None


def _size(record: Record) -> tuple[int, int]:
    """Pixels at 500 dpi of the largest view, as the record declares them."""
    return (
        max((view.width for view in record.views), default=0),
        max((view.height for view in record.views), default=0),
    )
