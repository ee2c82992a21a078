"""Models of ours that turn a set of rows, such as the minutiae of one finger, into one vector.

The graph takes float32 [batch, count, columns]; the last column is 1 in rows that are there and
0 in those that only fill a batch up, and the result does not depend on how many of the latter there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from likeness.domain.errors import InvalidInput
from likeness.inference.models.catalogue import shipped_manifest
from likeness.inference.models.manifest import COUNT_STEP, MAX_ROWS, SetManifest, read_manifest
from likeness.inference.models.runtime import OnnxModel
from likeness.inference.models.vectors import FloatArray, unit_vectors

ROWS_PER_RUN = MAX_ROWS
"""Rows that one call of the graph takes, fillers included: what bounds its memory."""


class SetEmbedder:
    """One loaded model of sets; safe to call from several threads at once, each call on `threads` threads.

    Raises:
        NotFound, InvalidInput, Corrupt, Precondition: see `read_manifest` and `OnnxModel`.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        """`path` of the manifest."""
        self.manifest = read_manifest(path, SetManifest)
        file = self.manifest.file()
        self._model = OnnxModel(path.parent / file.path, sha256=file.sha256, threads=threads)
        shape = self._model.input.shape
        outputs = {output.name: output.shape for output in self._model.outputs}
        self._output = self.manifest.embedding.output or self._model.outputs[0].name
        if len(shape) != 3 or shape[2] != self.manifest.input.columns or self._output not in outputs:
            raise InvalidInput(
                f"{file.name} takes {self._model.input} and gives {', '.join(outputs)}; {path} says "
                f"{self.manifest.input.columns} columns and the output {self._output}",
                reason="MODEL_INPUT_MISMATCH",
            )

    @classmethod
    def shipped(cls, name: str, *, threads: int = 1) -> SetEmbedder:
        """The model of that id among the product's own."""
        return cls(shipped_manifest(name), threads=threads)

    @property
    def dimension(self) -> int:
        """Elements of a vector."""
        return self.manifest.embedding.dimension

    @property
    def space(self) -> str:
        """The template space that the vectors live in."""
        return self.manifest.template_space

    def embed(self, sets: Sequence[FloatArray]) -> FloatArray:
        """One vector of length 1 per set; the zero vector for an empty one.

        Args:
            sets: float32 [n, columns - 1] each, without the last column; n at most `max_count`.

        Returns:
            float32 [len(sets), dimension].

        Raises:
            InvalidInput: a set has another shape, more rows, or values that are not finite.
            LikenessError: the graph failed or returned no vectors.
        """
        for number, one in enumerate(sets):
            self._check(number, one)
        found = np.zeros((len(sets), self.dimension), np.float32)
        waiting = sorted((i for i, one in enumerate(sets) if len(one)), key=lambda i: len(sets[i]))
        while waiting:
            count = self._filled(len(sets[waiting[0]]))
            most = max(1, ROWS_PER_RUN // count)
            batch = [i for i in waiting[:most] if len(sets[i]) <= count]
            waiting = waiting[len(batch) :]
            found[batch] = self._run([sets[i] for i in batch], count)
        return found

    def _filled(self, count: int) -> int:
        whole = -(-count // COUNT_STEP) * COUNT_STEP
        return max(self.manifest.input.min_count, whole)

    def _run(self, sets: Sequence[FloatArray], count: int) -> FloatArray:
        rows = np.zeros((len(sets), count, self.manifest.input.columns), np.float32)
        for row, one in zip(rows, sets, strict=True):
            row[: len(one), :-1] = one
            row[: len(one), -1] = 1.0
        found = self._model.run(rows, [self._output])[self._output]
        return unit_vectors(found, len(sets), self.manifest)

    def _check(self, number: int, one: FloatArray) -> None:
        columns = self.manifest.input.columns - 1
        if one.ndim != 2 or one.shape[1] != columns or len(one) > self.manifest.input.max_count:
            raise InvalidInput(
                f"Set {number} has shape {list(one.shape)}; model {self.manifest.id} takes at most "
                f"{self.manifest.input.max_count} rows of {columns} columns",
                reason="MODEL_INPUT_MISMATCH",
            )
        if not np.isfinite(one).all():
            raise InvalidInput(
                f"Set {number} has values that are not finite; correct the record that it came from",
                reason="MODEL_INPUT_MISMATCH",
            )
