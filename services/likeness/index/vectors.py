"""The vector index: a sealed generation, a growing exact tail, and the switch from one build to the next."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import Corrupt, InvalidInput
from likeness.index.kinds import FLAT_COMPONENTS, restored, seal
from likeness.index.rows import Mask, Rows
from likeness.index.scan import Neighbours, Vectors, merge, nothing
from likeness.index.segments import Segment, Tail
from likeness.index.snapshot import Generation, IndexState

WAITING_SHARE = 0.1
"""Rows in the tail, as a share of those sealed, from which a build is due: the tail is scanned exactly, at 15 to
20 times the cost per row of a sealed one, so at a tenth it costs a search about as much again."""
REMOVED_SHARE = 0.25
"""Removed rows, as a share of those held, from which a build is due: they are read in every search."""
REMOVED_ROWS = 1024
_FIRST_ROWS = 1024


@dataclass(frozen=True, slots=True)
class _View:
    """What a search sees: replaced as a whole, never changed. Rows under `sealed` were part of the last build."""

    generation: Generation
    segments: tuple[Segment, ...]
    tail: Tail
    sealed: int = 0


class VectorIndex:
    """Vectors by row, searched by inner product (cosine, for L2-normalised vectors).

    Rows are numbered 0, 1, 2, ... as they are added and never used again. One writer at a time (`add`,
    `remove`); any number of searches at the same time, without locks; `build` at the same time as both.
    """

    def __init__(self, dimension: int, *, space: str, flat_components: int = FLAT_COMPONENTS) -> None:
        """`flat_components`: up to how many rows times dimension a build keeps a flat scan."""
        if dimension < 1:
            raise InvalidInput(
                f"An index of dimension {dimension} holds nothing; the dimension is at least 1."
            )
        self.dimension = dimension
        self.space = space
        self._flat_components = flat_components
        self._writing = threading.Lock()
        self._building = threading.Lock()
        self._alive = np.zeros(_FIRST_ROWS, np.bool_)
        self._dead = 0
        self._view = _View(Generation(f"{space}/flat/0-0-0", space, "flat", 0, 0), (), Tail(0, dimension))

    def __len__(self) -> int:
        """Rows given out so far, removed ones included."""
        tail = self._view.tail
        return tail.first + len(tail)

    @property
    def live(self) -> int:
        """Rows that a search can return."""
        return len(self) - self._dead

    @property
    def tail(self) -> int:
        """Rows added since the current generation was built, removed ones included; they are scanned exactly."""
        return len(self) - self._view.sealed

    @property
    def nbytes(self) -> int:
        """Memory that the vectors take."""
        view = self._view
        return sum(segment.nbytes for segment in view.segments) + view.tail.nbytes

    @property
    def generation(self) -> Generation:
        """The build in use."""
        return self._view.generation

    def add(self, vectors: NDArray[np.float32]) -> int:
        """Append vectors, float32 [n, d]; returns the row of the first.

        Raises:
            InvalidInput: the shape is not [n, d], or a value is not finite.
        """
        checked = self._checked(vectors, "vectors")
        with self._writing:
            first = len(self)
            end = first + len(checked)
            if end > len(self._alive):
                grown = np.zeros(max(end, 2 * len(self._alive)), np.bool_)
                grown[:first] = self._alive[:first]
                self._alive = grown
            self._alive[first:end] = True
            self._view.tail.add(checked)  # publishes the rows
        return first

    def remove(self, rows: Iterable[int]) -> None:
        """Never return these rows again, and overwrite their vectors in memory. Removing twice is no error.

        Raises:
            InvalidInput: a row was never given out; nothing was removed then.
        """
        listed = sorted(set(rows))
        with self._writing:
            if listed and not 0 <= listed[0] <= listed[-1] < len(self):
                raise InvalidInput(
                    f"Rows {listed[0]}..{listed[-1]} are not all among the {len(self)} rows given out."
                )
            view = self._view
            for row in listed:
                if self._alive[row]:
                    self._alive[row] = False
                    self._dead += 1
                    for segment in (*view.segments, view.tail):
                        segment.erase(row)

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: Mask | None = None, *, exact: bool = False
    ) -> Neighbours:
        """The best `k` rows for each query.

        Args:
            queries: float32 [q, d].
            k: how many; fewer come back where fewer are allowed.
            allowed: bool [rows] from `Columns.mask`; rows beyond its end are not allowed. None allows all.
            exact: compare every allowed row at full precision instead of shortlisting.

        Returns:
            Scores float32 [q, k], descending, and rows int64 [q, k], padded with -inf and -1.

        Raises:
            InvalidInput: k under 1, queries not [q, d], or a value that is not finite.
        """
        checked = self._checked(queries, "queries")
        if k < 1:
            raise InvalidInput(f"A search for {k} rows finds nothing; ask for at least 1.", field="k")
        while True:
            scores, rows = self._search(checked, k, allowed, exact)
            if self._alive[rows[rows >= 0]].all():
                return scores, rows
            # A row was removed while it was being read: its score means nothing and its place is another's.

    def _search(self, queries: Vectors, k: int, allowed: Mask | None, exact: bool) -> Neighbours:
        view = self._view
        total = view.tail.first + len(view.tail)
        alive = self._alive
        limit = total if allowed is None else min(total, len(allowed))
        if not limit:
            return nothing(len(queries), k)
        if allowed is None and not self._dead:
            mask = None
        else:
            mask = alive[:limit] if allowed is None else alive[:limit] & allowed[:limit]
        wanted = min(k, limit)
        found = [
            segment.search(queries, wanted, mask, exact=exact) for segment in (*view.segments, view.tail)
        ]
        if wanted < k:
            found.append(nothing(len(queries), k - wanted))
        return merge(found, k)

    @property
    def due(self) -> bool:
        """Whether a build is worth its cost: many rows wait to be sealed, or many that were removed are held."""
        view = self._view
        held = [len(segment.rows) for segment in (*view.segments, view.tail)]
        removed = sum(held) - self.live
        return self.tail > max(
            self._flat_components // self.dimension, WAITING_SHARE * view.generation.rows
        ) or removed > max(REMOVED_ROWS, REMOVED_SHARE * sum(held))

    def sample(self, count: int, seed: int = 0) -> tuple[Rows, Vectors]:
        """Live rows drawn at random, at most `count`, int64 [n] ascending, and their vectors, float32 [n, d]."""
        view = self._view
        alive = np.flatnonzero(self._alive[: view.tail.first + len(view.tail)])
        rows = np.sort(np.random.default_rng(seed).choice(alive, min(count, len(alive)), replace=False))
        vectors = np.zeros((len(rows), self.dimension), np.float32)
        for segment in (*view.segments, view.tail):
            positions = segment.rows.positions(rows)
            vectors[positions >= 0] = segment.take(positions[positions >= 0])
        return rows, vectors

    def build(self, position: int) -> Generation:
        """Make a new generation of every live row while adds, removals and searches go on; then switch to it.

        `position` is the log position that the index has applied at the time of the call.
        """
        with self._building:
            with self._writing:
                before = self._view
                first = len(self)
                tail = Tail(first, self.dimension)
                frozen = (*before.segments, before.tail)
                self._view = _View(before.generation, frozen, tail, before.sealed)
                alive = self._alive[:first].copy()
            sealed = seal(frozen, alive, self.dimension, self._flat_components)
            held = len(sealed.rows)
            # Rows are never used again and removals never undone, so the two counts name the contents.
            name = f"{self.space}/{sealed.kind}/{position}-{first}-{held}"
            generation = Generation(name, self.space, sealed.kind, position, held, sealed.params)
            with self._writing:
                for row in np.flatnonzero(alive & ~self._alive[:first]):
                    sealed.erase(int(row))
                self._view = _View(generation, (sealed,), self._view.tail, first)
            return generation

    def capture(self) -> IndexState:
        """Copy what a snapshot needs; call it between two changes. The sealed segments are shared, not copied.

        A row removed afterwards may be zeros in the state; the log that removed it is replayed over it.
        """
        with self._writing:
            view = self._view
            segments = (*view.segments, view.tail)
            described = []
            arrays: dict[str, NDArray[np.generic]] = {}
            for number, segment in enumerate(segments):
                about, held = segment.state()
                described.append(about)
                arrays |= {f"{number}/{key}": array for key, array in held.items()}
            arrays["alive"] = np.packbits(self._alive[: len(self)], bitorder="little")
            about = {
                "generation": asdict(view.generation),
                "dimension": self.dimension,
                "rows": len(self),
                "sealed": view.sealed,
                "segments": described,
            }
            return IndexState(view.generation, about, arrays)

    @classmethod
    def restore(cls, state: IndexState, *, flat_components: int = FLAT_COMPONENTS) -> VectorIndex:
        """The index as it was captured.

        Raises:
            Corrupt: the state does not describe an index.
        """
        try:
            about = state.about
            rows, described = int(str(about["rows"])), about["segments"]
            made = cls(
                int(str(about["dimension"])), space=state.generation.space, flat_components=flat_components
            )
            if not isinstance(described, list):
                raise TypeError("its segments are not listed")
            segments = []
            for number, description in enumerate(described):
                prefix = f"{number}/"
                held = {k.removeprefix(prefix): a for k, a in state.arrays.items() if k.startswith(prefix)}
                segments.append(restored(description, held, made.dimension))
            *sealed, tail = segments
            bits = state.arrays["alive"]
            if bits.dtype != np.uint8 or bits.shape != (-(-rows // 8),):
                raise ValueError("it does not say of each row whether it is alive")
            alive = np.unpackbits(bits.view(np.uint8), count=rows, bitorder="little")
            if not isinstance(tail, Tail) or tail.first + len(tail) != rows:
                raise ValueError("its rows do not add up")
            if any(segment.rows.end > rows for segment in sealed):
                raise ValueError("a segment holds rows that were not given out")
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(
                f"An index snapshot cannot be used ({error}); rebuild the index from the log."
            ) from error
        made._alive = alive.astype(np.bool_)
        made._dead = rows - int(made._alive.sum())
        made._view = _View(state.generation, tuple(sealed), tail, int(str(about["sealed"])))
        return made

    def _checked(self, vectors: NDArray[np.float32], what: str) -> Vectors:
        checked = np.ascontiguousarray(vectors, np.float32)
        if checked.ndim != 2 or checked.shape[1] != self.dimension:
            raise InvalidInput(
                f"The {what} have shape {list(np.shape(vectors))}; this index takes [n, {self.dimension}]."
            )
        if not np.isfinite(checked).all():
            raise InvalidInput(f"The {what} hold a value that is not finite; extract the template again.")
        return checked
