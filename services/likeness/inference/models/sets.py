"""Models of ours that turn a set of rows, such as the minutiae of one finger, into one vector.

The graph takes float32 [batch, count, columns]; the last column is 1 in rows that are there and
0 in those that only fill a batch up, and the result does not depend on how many of the latter there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, field_validator

from likeness.domain.errors import InvalidInput
from likeness.inference.models.runtime import OnnxModel
from likeness.inference.models.shipped import (
    FloatArray,
    ShippedManifest,
    path_of,
    read_manifest,
    unit_vectors,
)

ROWS_PER_RUN = 4096
"""Rows that one call of the graph takes, fillers included: what bounds its memory."""
_COUNT_STEP = 16  # counts are filled up to a multiple of this, so that few shapes occur


class SetManifest(ShippedManifest):
    """One model of sets.

    `columns` of a row, the one that says whether it is there included; `min_count` and `max_count` rows of a set as
    the graph takes it, fillers included.
    """

    columns: Annotated[int, Field(ge=2, le=64)]
    min_count: Annotated[int, Field(ge=1, le=256)]
    max_count: Annotated[int, Field(ge=1, le=ROWS_PER_RUN)]

    @field_validator("max_count")
    @classmethod
    def _whole_steps(cls, value: int) -> int:
        if value % _COUNT_STEP:
            raise ValueError(f"must be a multiple of {_COUNT_STEP}")
        return value


class SetEmbedder:
    """One loaded model of sets; safe to call from several threads at once, each call on `threads` threads.

    Raises:
        NotFound, InvalidInput, Corrupt, Precondition: see `read_manifest` and `OnnxModel`.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        """`path` of the manifest."""
        self.manifest = read_manifest(path, SetManifest)
        self._model = OnnxModel(
            path.parent / self.manifest.file, sha256=self.manifest.sha256, threads=threads
        )
        shape = self._model.input.shape
        outputs = {output.name: output.shape for output in self._model.outputs}
        if len(shape) != 3 or shape[2] != self.manifest.columns or self.manifest.output not in outputs:
            raise InvalidInput(
                f"{self.manifest.file} takes {self._model.input} and gives {', '.join(outputs)}; {path} says "
                f"{self.manifest.columns} columns and the output {self.manifest.output}",
                reason="MODEL_INPUT_MISMATCH",
            )

    @classmethod
    def shipped(cls, name: str, *, threads: int = 1) -> SetEmbedder:
        """The model of that name in the folder of the product's own manifests."""
        return cls(path_of(name), threads=threads)

    @property
    def dimension(self) -> int:
        """Elements of a vector."""
        return self.manifest.dimension

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
        whole = -(-count // _COUNT_STEP) * _COUNT_STEP
        return max(self.manifest.min_count, whole)

    def _run(self, sets: Sequence[FloatArray], count: int) -> FloatArray:
        rows = np.zeros((len(sets), count, self.manifest.columns), np.float32)
        for row, one in zip(rows, sets, strict=True):
            row[: len(one), :-1] = one
            row[: len(one), -1] = 1.0
        found = self._model.run(rows, [self.manifest.output])[self.manifest.output]
        return unit_vectors(found, len(sets), self.manifest)

    def _check(self, number: int, one: FloatArray) -> None:
        columns = self.manifest.columns - 1
        if one.ndim != 2 or one.shape[1] != columns or len(one) > self.manifest.max_count:
            raise InvalidInput(
                f"Set {number} has shape {list(one.shape)}; model {self.manifest.id} takes at most "
                f"{self.manifest.max_count} rows of {columns} columns",
                reason="MODEL_INPUT_MISMATCH",
            )
        if not np.isfinite(one).all():
            raise InvalidInput(
                f"Set {number} has values that are not finite; correct the record that it came from",
                reason="MODEL_INPUT_MISMATCH",
            )
