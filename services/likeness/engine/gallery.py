"""The references of one modality in memory: a fold of the log that answers which of them resemble a probe."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from likeness.domain.changes import ChangeKind, LogEntry, unknown_kind
from likeness.domain.deadline import Deadline
from likeness.domain.errors import Corrupt, DeadlineExceeded, Exhausted, Precondition
from likeness.domain.modality import Clutter, Companion, Modality, TemplateSpace
from likeness.domain.references import Caller, Facets
from likeness.domain.samples import Template
from likeness.domain.scope import Scope, may_know, rights
from likeness.domain.storage import Storage
from likeness.engine.register import Register
from likeness.engine.shard import ShardStatus
from likeness.index.columns import ColumnsState
from likeness.index.recall import Recall, measure_recall
from likeness.index.sights import Sight
from likeness.index.snapshot import Snapshot
from likeness.index.vectors import VectorIndex

log = logging.getLogger(__name__)

MAX_WAITING = 8
"""Searches that may wait for a log position at once. Each holds a worker, and a position far ahead never comes."""

DEEPER = 4
"""Times as many vectors are asked for where too few references were among those that were found."""

SELF_TEST_TOLERANCE = 0.01
"""How much less than its own inner product a stored vector may score against itself: what quantisation costs."""

WAIT_STEP = 0.5
"""Seconds after which a search that waits for a log position looks whether anybody still waits for it."""

LONGEST_WAIT = 60.0
"""Seconds that a search waits for a log position, whatever its deadline: an index that is so far behind is not
about to come, and the caller does better to ask again."""

_EXTRA = ("ids", "positions", "other_ids", "other_positions", "other_cells", "other_facets")

ANOTHER_LOG = "SNAPSHOT_OF_ANOTHER_LOG"
"""The reason of the refusal of a snapshot that is ahead of the log."""

TAIL_BATCH = 4096
"""Log entries read at once while catching up; bounds the memory that their templates take."""


@dataclass(frozen=True, slots=True)
class GalleryView:
    """What one search may see.

    `mask` bool [rows] marks the rows that take part; `searched` counts their references, and `elsewhere` those in
    scope that cannot take part, because their template lives in another space. `unknown_galleries` are those that
    hold no reference that the caller may know of. `hit_only`: whether there are references of which no more than a
    hit may be shown; they are in another view.
    """

    mask: NDArray[np.bool_]
    searched: int
    elsewhere: int
    position: int
    generation: str
    unknown_galleries: tuple[str, ...] = ()
    hit_only: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Shortlist:
    """The references to compare with a probe, best first, and what was learnt of the probe over the whole view.

    `clutter` is None where the modality has no companion.
    """

    ids: list[str]
    clutter: Clutter | None


def everything(reference_id: str) -> bool:  # noqa: ARG001
    """Holds every reference."""
    return True


class Gallery:
    """Folds the log of one modality into an index.

    `apply` is called by the store's writer, in order; searches go on meanwhile.

    Args:
        modality: whose references are folded.
        space: the space of its templates.
        store: the log that is followed.
        companion: makes the second way to candidates, empty; it is not in snapshots but folded from the stored
            templates.
        levels: see `Modality.levels`.
        holds: whether a reference, by its id, belongs to this fold; of the others it knows nothing.
    """

    def __init__(
        self,
        modality: str,
        space: TemplateSpace,
        store: Storage,
        *,
        companion: Callable[[], Companion | None] = lambda: None,
        levels: Callable[[Template], NDArray[np.float32] | None] = lambda _: None,
        holds: Callable[[str], bool] = everything,
    ) -> None:
        self.modality = modality
        self.space = space
        self._store = store
        self.index = VectorIndex(space.dimension, space=space.space_id)
        self.register = Register()
        self._elsewhere = Register()
        self._make_companion = companion
        self._companion = companion()
        self._levels = levels
        self._holds = holds
        self._position = 0
        self._folding = threading.RLock()
        self._moved = threading.Condition()
        self._waiting = threading.Semaphore(MAX_WAITING)

    @classmethod
    def of(cls, modality: Modality, store: Storage, *, holds: Callable[[str], bool] = everything) -> Self:
        """The fold of a modality's references, empty until `start`."""
        return cls(
            modality.name,
            modality.space,
            store,
            companion=modality.companion,
            levels=modality.levels,
            holds=holds,
        )

    @property
    def position(self) -> int:
        """The log position that has been applied."""
        return self._position

    @property
    def references(self) -> int:
        """References held, suspended and expired ones included."""
        return self.register.references + self._elsewhere.references

    def reset(self) -> None:
        """Forget everything; `start` then folds the log from its beginning."""
        with self._folding:
            self.index = VectorIndex(self.space.dimension, space=self.space.space_id)
            self.register, self._elsewhere = Register(), Register()
            self._companion = self._make_companion()
            self._position = 0

    # -- folding ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Follow the log from now on, and catch up with what is already there."""
        self._store.follow(self.apply)
        self.catch_up()

    def catch_up(self) -> None:
        """Apply every log entry that was committed and not yet applied."""
        with self._folding:
            while self._position < self._store.head():
                entries = self._store.tail(self._position, limit=TAIL_BATCH)
                if not entries:
                    break
                self._fold(entries)

    def apply(self, entries: Sequence[LogEntry]) -> None:
        """Apply entries that were just committed; entries already applied are passed over."""
        with self._folding:
            fresh = [entry for entry in entries if entry.position > self._position]
            if fresh and fresh[0].position > self._position + 1:
                self.catch_up()
                fresh = [entry for entry in fresh if entry.position > self._position]
            self._fold(fresh)

    def _fold(self, entries: Sequence[LogEntry]) -> None:
        for entry in entries:
            self._fold_one(entry)
            self._position = entry.position
        with self._moved:
            self._moved.notify_all()

    def _fold_one(self, entry: LogEntry) -> None:
        match entry.kind:
            case ChangeKind.ENROL | ChangeKind.UPDATE | ChangeKind.EXPUNGE if not self._concerns(entry):
                pass
            case ChangeKind.ENROL:
                self._enrol(entry)
            case ChangeKind.UPDATE:
                self._update(entry)
            case ChangeKind.EXPUNGE:
                self._expunge(entry)
            case _:
                raise unknown_kind(entry.position, entry.kind)

    def _concerns(self, entry: LogEntry) -> bool:
        return entry.modality == self.modality and self._holds(entry.reference_id)

    def _update(self, entry: LogEntry) -> None:
        if entry.facets is None:
            raise Corrupt(
                f"Log entry {entry.position} updates a reference and has no facets; restore a backup."
            )
        self._register_of(entry).update(entry.reference_id, entry.facets)

    def _expunge(self, entry: LogEntry) -> None:
        register = self._register_of(entry)
        rows = register.remove(entry.reference_id)
        if register is self.register:
            self.index.remove(rows)
            if self._companion is not None and len(rows):
                self._companion.remove(rows[0])

    def _register_of(self, entry: LogEntry) -> Register:
        return self.register if entry.reference_id in self.register else self._elsewhere

    def _enrol(self, entry: LogEntry) -> None:
        if entry.template is None or entry.facets is None:
            return  # expunged since: the log remembers the enrolment, the template is gone
        if entry.reference_id in self.register:
            return  # a snapshot may already hold it
        template = entry.template
        if template.space != self.space.space_id:
            self._elsewhere.add(entry.reference_id, entry.facets, 1, entry.position)
            return
        if template.vectors.ndim != 2 or template.vectors.shape[1] != self.space.dimension:
            raise Corrupt(
                f"The template of {entry.reference_id} has vectors of shape {list(template.vectors.shape)}, but "
                f"its space {self.space.space_id} has dimension {self.space.dimension}; restore it from a backup."
            )
        self.register.columns.reserve(entry.facets)  # where it is refused there must be no vector either
        # The companion first: it may refuse a template, and then nothing of it must be anywhere. The columns last:
        # a reader takes part in what they show, so a row shown must have its vector.
        if self._companion is not None:
            self._companion.add(len(self.register), template)
        self.index.add(template.vectors)
        self.register.add(entry.reference_id, entry.facets, len(template.vectors), entry.position)

    # -- keeping ----------------------------------------------------------------------------------------------

    def status(self) -> ShardStatus:
        """How this fold stands; quick, and safe to call from any thread."""
        generation = self.index.generation
        return ShardStatus(
            self._position, self.references, self.index.tail, generation.name, str(generation.kind)
        )

    def self_test(self) -> None:
        """Search for one stored vector: what was enrolled must be found.

        Raises:
            Corrupt: a stored vector does not find itself.
        """
        rows, vectors = self.index.sample(1)
        if not len(rows):
            return
        scores, _ = self.index.search(vectors, 1)
        itself = float(vectors[0] @ vectors[0])
        if not scores[0, 0] >= itself - SELF_TEST_TOLERANCE:
            raise Corrupt(
                f"A stored {self.modality} vector scores {scores[0, 0]:.4f} against itself instead of "
                f"{itself:.4f}: it does not find itself; remove the snapshots folder and start again, so that the "
                "index is folded from the log."
            )

    def build_if_due(self) -> str:
        """Build the next generation of the index if there is enough to build it of; its name, empty if not."""
        return self.index.build(self._position).name if self.index.due else ""

    def recall(self, sample: int) -> Recall:
        """The recall of the index, measured with so many searches."""
        return measure_recall(self.index, sample=sample)

    # -- snapshots --------------------------------------------------------------------------------------------

    def capture(self) -> Snapshot:
        """A consistent copy of this fold at its log position."""
        with self._folding:
            columns, ids, positions = self.register.capture()
            other, other_ids, other_positions = self._elsewhere.capture()
            extra: dict[str, NDArray[np.generic]] = {
                "ids": ids,
                "positions": positions,
                "other_ids": other_ids,
                "other_positions": other_positions,
                "other_cells": other.cells,
                "other_facets": other.facets,
            }
            return Snapshot(self._position, self.index.capture(), columns, extra)

    def restore(self, snapshot: Snapshot) -> None:
        """Begin from a snapshot instead of from an empty log; call it before `start`.

        Raises:
            Corrupt: its parts do not belong together, or it belongs to another template space or another log.
        """
        if snapshot.position > self._store.head():  # first: it was made from this log, whatever its space
            raise Corrupt(
                f"The snapshot of the {self.modality} index is at log position {snapshot.position}, but the log "
                f"ends at {self._store.head()}: the database is an older copy, or was cut off. Restore its newest "
                "backup; if this is it, restored on purpose, remove the folder snapshots in the home folder.",
                reason=ANOTHER_LOG,
            )
        if snapshot.index.generation.space != self.space.space_id:
            raise Corrupt(
                f"The snapshot holds templates of {snapshot.index.generation.space}, not of {self.space.space_id}.",
                reason="SNAPSHOT_OF_ANOTHER_SPACE",
            )
        try:
            extra = {name: np.asarray(snapshot.extra[name]) for name in _EXTRA}
            register = Register.restore(snapshot.columns, extra["ids"], extra["positions"])
            elsewhere = Register.restore(
                ColumnsState(extra["other_cells"], extra["other_facets"]),
                extra["other_ids"],
                extra["other_positions"],
            )
        except KeyError as error:
            raise Corrupt(f"The snapshot lacks {error}; rebuild the index from the log.") from error
        index = VectorIndex.restore(snapshot.index)
        if len(index) != len(register):
            raise Corrupt("The snapshot has another number of vectors than of rows.")
        with self._folding:
            self.index, self.register, self._elsewhere = index, register, elsewhere
            self._companion = self._make_companion()
            self._position = snapshot.position
            self._accompany()

    def _accompany(self) -> None:
        """Fold the stored templates of every row into the companion; those expunged since are gone."""
        if self._companion is None:
            return
        held = self.register.references_in(self.register.columns.mask(lambda _: True, None))
        for start in range(0, len(held), TAIL_BATCH):
            for reference_id, template in self._store.templates(held[start : start + TAIL_BATCH]).items():
                if template.space == self.space.space_id:
                    self._companion.add(self.register.rows(reference_id)[0], template)

    # -- knowing ----------------------------------------------------------------------------------------------

    def facets(self, reference_id: str) -> Facets | None:
        """The facets of a reference; None where there is none of that id, or it was expunged."""
        for register in (self.register, self._elsewhere):
            if (facets := register.facets(reference_id)) is not None:
                return facets
        return None

    def enrolled(self, scope: Scope, after: int) -> NDArray[np.int64]:
        """The log positions, ascending and after `after`, of the enrolment of what the scope's caller may list.

        It is decided here and not over the rows of the store: what the caller may not know of is never read, so
        that no time tells how much of it there is. Expunged references are not among them.
        """
        if self._position < self._store.head():
            self.catch_up()  # what was acknowledged is listed, or the reason why it cannot be is the answer
        caller, now = scope.caller, int(time.time())

        def own(facets: Facets) -> bool:
            return facets.owner == caller.entity and scope.allows(facets)

        def others(facets: Facets) -> bool:
            return facets.owner != caller.entity and scope.allows(facets)

        found, known = [], _known(caller)
        for register in (self.register, self._elsewhere):
            mask = register.columns.mask(own, None, key=("own", scope.key), within=known)
            of_others = register.columns.mask(others, now, key=("others", scope.key), within=known)
            mask |= of_others[: len(mask)]
            found.append(register.enrolled(mask, after))
        return np.sort(np.concatenate(found))

    # -- searching --------------------------------------------------------------------------------------------

    def wait_for(self, position: int, deadline: Deadline) -> None:
        """Return once `position` has been applied.

        Raises:
            Precondition: the log has no such position, so that waiting would be in vain.
            DeadlineExceeded: it was not, in time.
            Exhausted: too many callers wait already.
        """
        if self._position >= position:
            return
        head = self._store.head()
        if position > head:
            raise Precondition(
                f"The log ends at position {head} and {position} was demanded; demand the log_position of an "
                "answer of this service, or search without min_log_position.",
                reason="LOG_POSITION_UNKNOWN",
                metadata={"log_position": str(head)},
            )
        if not self._waiting.acquire(blocking=False):
            raise Exhausted(
                f"{MAX_WAITING} searches already wait for log positions that are not reached yet; search without "
                "min_log_position, or retry later.",
                reason="TOO_MANY_WAIT",
            )
        try:
            self._wait_for(position, deadline)
        finally:
            self._waiting.release()

    def _wait_for(self, position: int, deadline: Deadline) -> None:
        until = min(deadline.at, time.monotonic() + LONGEST_WAIT)
        with self._moved:
            while not self._moved.wait_for(lambda: self._position >= position, WAIT_STEP):
                if deadline.remaining and time.monotonic() < until:
                    continue  # a caller that goes away wakes nobody, so it is asked after now and then
                raise DeadlineExceeded(
                    f"The index has applied the log up to {self._position} and did not reach the demanded "
                    f"{position} in time; allow more time.",
                    metadata={"log_position": str(self._position)},
                )

    def view(self, scope: Scope, *, now: int | None = None) -> GalleryView:
        """The rows that take part in a search of this scope at `now`, Unix seconds; None is the clock's."""
        now = int(time.time()) if now is None else now
        position, generation = self._position, self.index.generation.name
        mask = _mask(self.register, scope, now)
        searched = self.register.count(mask)
        elsewhere = int(np.count_nonzero(_mask(self._elsewhere, scope, now))) if len(self._elsewhere) else 0
        hits = scope.hit_only
        return GalleryView(
            mask,
            searched,
            elsewhere,
            position,
            generation,
            unknown_galleries=self._unknown_galleries(scope),
            hit_only=self.register.columns.has_any(hits.matches, key=hits.key, within=_shown(hits)),
        )

    def _unknown_galleries(self, scope: Scope) -> tuple[str, ...]:
        """Galleries that the scope names and in which its caller may know of nothing."""
        if not scope.galleries:
            return ()
        known = _known(scope.caller)
        held = (
            register.columns.known_galleries(scope.galleries, known)
            for register in (self.register, self._elsewhere)
        )
        return tuple(sorted(scope.galleries.difference(*held)))

    @property
    def learns_clutter(self) -> bool:
        """Whether `clutter` is ever anything."""
        return self._companion is not None

    def shortlist(self, probe: Template, count: int, view: GalleryView) -> Shortlist:
        """The references most like the probe: at most `count` of each way to candidates."""
        near = self._nearest(probe, count, view)
        if self._companion is None:
            return Shortlist(near, None)
        found = self._companion.search(probe, count, view.mask)
        further = self.register.references_at(np.asarray(found.rows, np.int64))
        return Shortlist(list(dict.fromkeys([*near, *further])), found.clutter)

    def clutter(self, probe: Template, view: GalleryView) -> Clutter | None:
        """What `shortlist` learns of the probe, without a shortlist."""
        return None if self._companion is None else self._companion.clutter(probe, view.mask)

    def _nearest(self, probe: Template, count: int, view: GalleryView) -> list[str]:
        """The `count` references with the nearest vectors, best first.

        A reference may have several vectors, and some have many: the index is asked for more until enough
        references are among them. How many are asked for depends on what the view holds alone. Each vector of the
        probe finds as many; what they found stands in one list by how far it is above the vector's level.
        """
        visible = int(np.count_nonzero(view.mask))
        depth = count * math.ceil(visible / max(1, view.searched))
        levels = self._levels(probe)
        while True:
            scores, rows = self.index.search(probe.vectors, min(depth, visible), view.mask)
            above = scores if levels is None else scores - levels[:, None]
            order = np.argsort(-above, axis=None, kind="stable")
            best = rows.reshape(-1)[order]
            found = list(dict.fromkeys(self.register.references_at(best[best >= 0])))[:count]
            if len(found) >= min(count, view.searched) or depth >= visible:
                return found
            depth *= DEEPER

    def allowed_ids(self, view: GalleryView) -> list[str]:
        """Every reference of the view, in order of enrolment."""
        return self.register.references_in(view.mask)


def _mask(register: Register, scope: Scope, now: int) -> NDArray[np.bool_]:
    return register.columns.mask(scope.matches, now, key=scope.key, within=_shown(scope))


def _shown(scope: Scope) -> Sight:
    """What requests like that of the scope may show its caller, whatever they ask for."""
    return Sight(scope.shows, ("shown", scope.shows_key))


def _known(caller: Caller) -> Sight:
    """What the caller may know of by its identifier."""
    return Sight(lambda facets: may_know(caller, facets), ("known", rights(caller)))
