"""A shard in this process: gallery, memory and comparison together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from likeness.domain.deadline import Deadline, holding
from likeness.domain.modality import Clutter, Modality
from likeness.domain.references import Facets
from likeness.domain.samples import Template
from likeness.domain.scope import Scope
from likeness.domain.storage import Storage
from likeness.engine.answering import Timings
from likeness.engine.gallery import Gallery, GalleryView, everything
from likeness.engine.memory import Memory
from likeness.engine.merge import ranked
from likeness.engine.shard import Progress, Scored, ShardAnswer, ShardQuery, ShardStatus, no_progress

EXHAUSTIVE_BATCH = 2048
"""Templates held in memory at once by an exhaustive comparison; the deadline is checked between batches."""


class LocalShard:
    """Implements `Shard`.

    Args:
        modality: what compares.
        gallery: the fold of the log, already started.
        store: where the templates are.
        memory: of templates that were read lately.
    """

    def __init__(self, modality: Modality, gallery: Gallery, store: Storage, memory: Memory) -> None:
        self._modality = modality
        self._gallery = gallery
        self._store = store
        self._memory = memory

    @classmethod
    def folded(cls, modality: Modality, store: Storage, *, holds: Callable[[str], bool] = everything) -> Self:
        """A shard that folds the whole log, without snapshots; `holds`: see `Gallery`."""
        gallery = Gallery.of(modality, store, holds=holds)
        gallery.start()
        return cls(modality, gallery, store, Memory(store))

    def search(self, query: ShardQuery, deadline: Deadline, progress: Progress = no_progress) -> ShardAnswer:
        """See `Shard.search`. All probes are compared within the same view."""
        self.wait_for(query.min_position, deadline)
        timings = Timings()
        with timings.put_on_errors():
            return self._answer(query, deadline, progress, timings)

    def _answer(
        self, query: ShardQuery, deadline: Deadline, progress: Progress, timings: Timings
    ) -> ShardAnswer:
        with timings.stage("search"):
            view = self._gallery.view(query.scope, now=query.now)
        search = _Search(
            modality=self._modality,
            gallery=self._gallery,
            store=self._store,
            memory=self._memory,
            query=query,
            view=view,
            deadline=deadline,
            timings=timings,
            tally=_Tally(progress, view.searched * len(query.probes)),
        )
        with holding(deadline):
            scored = tuple(tuple(search.scored(number)) for number in range(len(query.probes)))
        return ShardAnswer(
            scored=scored,
            searched=view.searched,
            elsewhere=view.elsewhere,
            position=view.position,
            generation=view.generation,
            unknown_galleries=view.unknown_galleries,
            hit_only=view.hit_only,
            timings=timings.seconds,
        )

    def clutter(self, query: ShardQuery, deadline: Deadline) -> tuple[Clutter | None, ...]:
        """See `Shard.clutter`."""
        if not self._gallery.learns_clutter:
            return (None,) * len(query.probes)
        self.wait_for(query.min_position, deadline)
        view = self._gallery.view(query.scope, now=query.now)
        with holding(deadline):
            return tuple(self._gallery.clutter(probe, view) for probe in query.probes)

    def wait_for(self, position: int, deadline: Deadline) -> None:
        """See `Shard.wait_for`."""
        self._gallery.wait_for(position, deadline)

    def facets(self, reference_id: str) -> Facets | None:
        """See `Shard.facets`."""
        return self._gallery.facets(reference_id)

    def enrolled(self, scope: Scope, after: int) -> NDArray[np.int64]:
        """See `Shard.enrolled`."""
        return self._gallery.enrolled(scope, after)

    def status(self) -> ShardStatus:
        """See `Shard.status`."""
        return self._gallery.status()


class _Tally:
    """Counts what was compared, over every probe."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._compared = 0

    def add(self, compared: int) -> None:
        """So many references were compared since the last call."""
        self._compared += compared
        self._progress(self._compared, self._total)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class _Search:
    """One query under way."""

    modality: Modality
    gallery: Gallery
    store: Storage
    memory: Memory
    query: ShardQuery
    view: GalleryView
    deadline: Deadline
    timings: Timings
    tally: _Tally

    def scored(self, number: int) -> list[Scored]:
        """The references that were compared with the probe of that number, best first."""
        if self.view.searched == 0:
            return []
        self.deadline.check("candidates were being searched")
        probe = self.query.probes[number]
        clutter = self.query.clutter[number] if self.query.clutter else None
        return (
            self._exhaustive(probe, clutter) if self.query.exhaustive else self._shortlisted(probe, clutter)
        )

    def _shortlisted(self, probe: Template, clutter: Clutter | None) -> list[Scored]:
        with self.timings.stage("search"):
            found = self.gallery.shortlist(probe, self.query.count, self.view)
        with self.timings.stage("compare"):
            return ranked(self._compared(probe, self.memory.templates(found.ids), clutter or found.clutter))

    def _exhaustive(self, probe: Template, clutter: Clutter | None) -> list[Scored]:
        best: list[Scored] = []
        with self.timings.stage("search"):
            clutter = clutter or self.gallery.clutter(probe, self.view)
            ids = self.gallery.allowed_ids(self.view)
        for start in range(0, len(ids), EXHAUSTIVE_BATCH):
            self.deadline.check(f"{start} of {len(ids)} references were compared")
            batch = ids[start : start + EXHAUSTIVE_BATCH]
            with self.timings.stage("compare"):
                best += self._compared(probe, self.store.templates(batch), clutter, exact=True)
                best = ranked(best)[: self.query.count]
            self.tally.add(len(batch))
        return best

    def _compared(
        self,
        probe: Template,
        templates: Mapping[str, Template],
        clutter: Clutter | None,
        *,
        exact: bool = False,
    ) -> list[Scored]:
        usable = [(i, t) for i, t in templates.items() if t.space == probe.space]
        scores = self.modality.compare(
            probe, [template for _, template in usable], clutter=clutter, exact=exact
        )
        return [(i, score) for (i, _), score in zip(usable, scores, strict=True)]
