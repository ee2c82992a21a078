"""What a modality offers to the engine, which never asks which one it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from likeness.domain.answers import Explanation, Score, Stated
from likeness.domain.calibration import Calibration
from likeness.domain.deadline import NO_DEADLINE, Deadline
from likeness.domain.samples import Extraction, Mode, Sample, Template


@dataclass(frozen=True, slots=True)
class TemplateSpace:
    """A space in which templates may be compared: its id and the dimension of its shortlist vectors.

    Shortlist vectors are compared by inner product; a space whose vectors are L2-normalised thus uses cosine.
    """

    space_id: str
    dimension: int


@dataclass(frozen=True, slots=True)
class Presented:
    """One side of a comparison that is to be explained.

    `sample` is None for a reference of a modality whose templates tell enough by themselves; otherwise its
    selection names the presentation that was compared. `name` is what errors call it by.
    """

    template: Template
    name: str
    sample: Sample | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Clutter:
    """How common each detail of a probe is in the references of a search: a background, a ruler, a watermark.

    A value that can be pickled; those that `Companion.clutter` learnt in disjoint parts of a scope add up to that
    of the whole.

    Attributes:
        counts: int64 [n], for each detail of the probe, how many references hold it.
        references: how many were searched for them.
    """

    counts: NDArray[np.int64]
    references: int

    def __add__(self, other: Self) -> Clutter:
        """The clutter of both parts of a scope, learnt with the same probe."""
        return Clutter(self.counts + other.counts, self.references + other.references)


@dataclass(frozen=True, eq=False, slots=True)
class Proposal:
    """What a companion proposes for a probe: rows, best first, and what it learnt of the probe on the way."""

    rows: list[int]
    clutter: Clutter


class Companion(Protocol):
    """A second way to candidates, folded from the log like the vectors, row for row with them.

    One writer calls `add` and `remove`; any number of readers call `search` and `clutter` at the same time.
    """

    def add(self, row: int, template: Template) -> None:
        """Take in the template whose vectors begin at this row."""

    def remove(self, row: int) -> None:
        """Forget what was taken in for this row; nothing of it stays in memory."""

    def search(self, probe: Template, count: int, mask: NDArray[np.bool_]) -> Proposal:
        """The rows most like the probe among those of the mask, bool [rows], at most `count`; and their clutter.

        The clutter is that of `clutter`, whatever the count.
        """

    def clutter(self, probe: Template, mask: NDArray[np.bool_]) -> Clutter:
        """How common each detail of the probe is in the rows of the mask, bool [rows]."""


class Modality(Protocol):
    """Face, fingerprint or object, behind one face."""

    @property
    def name(self) -> str:
        """`face`, `fingerprint` or `object`."""

    @property
    def space(self) -> TemplateSpace:
        """The space that this modality's templates live in."""

    @property
    def model(self) -> str:
        """The version of the models in use, as written into templates and answers."""

    @property
    def calibration(self) -> Calibration | None:
        """The measured table from score to false match rate, or None where none was measured."""

    def extract(
        self, samples: Sequence[Sample], mode: Mode, deadline: Deadline = NO_DEADLINE
    ) -> list[Extraction]:
        """One extraction per sample, in order; a bad sample is rejected with its reason, never raised.

        Raises:
            DeadlineExceeded: the deadline passed, or the caller went away; nothing further is computed.
        """

    def shortlist(self, k: int) -> int:
        """How many references the exact comparison needs from the index to find the best `k`."""

    def levels(self, probe: Template) -> NDArray[np.float32] | None:
        """What is taken off the scores of each of a probe's vectors before they stand in one list: float32 [v].

        None where the scores of all vectors mean the same.
        """

    def compare(
        self,
        probe: Template,
        candidates: Sequence[Template],
        *,
        clutter: Clutter | None = None,
        exact: bool = False,
    ) -> list[Score]:
        """The comparison score of the probe with each candidate, in order.

        Args:
            probe: what is compared.
            candidates: with what.
            clutter: what a search learnt of the probe, from the companion; None where nothing was learnt, as in a
                comparison of two alone.
            exact: no candidate may be rejected by a cheaper comparison, however many there are.
        """

    @property
    def explains_templates(self) -> bool:
        """Whether templates are enough for an explanation; if not, it needs the samples."""

    @property
    def groups_subjects(self) -> bool:
        """Whether a search answers with one candidate per subject unless it asks otherwise."""

    @property
    def lights_out(self) -> bool:
        """Whether, where a policy grants it, an answer may be used without a person who looks at it."""

    def companion(self) -> Companion | None:
        """A new, empty second way to candidates, or None where the vectors suffice."""

    def explain(self, probe: Presented, candidate: Presented, stated: Stated | None = None) -> Explanation:
        """What a person, and a machine, can check the comparison by.

        `stated` is the score that the explanation shows, as the answer states it; None shows the exact one.
        """

    def warm(self) -> None:
        """Run every model once, so that the first request finds them ready."""
