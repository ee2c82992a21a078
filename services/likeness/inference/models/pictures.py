"""Models of ours that turn a whole picture into one vector, without a detector before them.

The graph takes float32 [batch, 3, side, side], RGB, 0..255.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from likeness.domain.errors import InvalidInput
from likeness.inference.models.catalogue import shipped_manifest
from likeness.inference.models.manifest import PictureManifest, read_manifest
from likeness.inference.models.runtime import OnnxModel
from likeness.inference.models.vectors import FloatArray, unit_vectors

Pictures = npt.NDArray[np.uint8]

PER_RUN = 16
"""Pictures that one call of the graph takes: what bounds its memory."""


class PictureEmbedder:
    """One loaded model of whole pictures; safe to call from several threads at once.

    Raises:
        NotFound, InvalidInput, Corrupt, Precondition: see `read_manifest` and `OnnxModel`.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        """`path` of the manifest; each call runs on `threads` threads."""
        self.manifest = read_manifest(path, PictureManifest)
        file = self.manifest.file()
        self._model = OnnxModel(path.parent / file.path, sha256=file.sha256, threads=threads)
        side = self.manifest.input.side
        outputs = {output.name: output.shape for output in self._model.outputs}
        self._output = self.manifest.embedding.output or self._model.outputs[0].name
        shape = self._model.input.shape
        if (
            len(shape) != 4
            or any(have not in (None, want) for have, want in zip(shape[1:], (3, side, side), strict=False))
            or self._output not in outputs
        ):
            raise InvalidInput(
                f"{file.name} takes {self._model.input} and gives {', '.join(outputs)}; {path} says "
                f"pictures of {side} pixels and the output {self._output}",
                reason="MODEL_INPUT_MISMATCH",
            )

    @classmethod
    def shipped(cls, name: str, *, threads: int = 1) -> PictureEmbedder:
        """The model of that id among the product's own."""
        return cls(shipped_manifest(name), threads=threads)

    @property
    def dimension(self) -> int:
        """Elements of a vector."""
        return self.manifest.embedding.dimension

    @property
    def side(self) -> int:
        """Pixels of both sides of a picture as the graph takes it."""
        return self.manifest.input.side

    def embed(self, pictures: Pictures) -> FloatArray:
        """Vectors of length 1, float32 [n, dimension], of pictures uint8 [n, side, side, 3], RGB.

        Raises:
            InvalidInput: the array has another shape or type.
            LikenessError: the graph failed or returned no vectors.
        """
        side = self.side
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[1:] != (side, side, 3):
            raise InvalidInput(
                f"Model {self.manifest.id} takes pictures of type uint8 and shape [n, {side}, {side}, 3] and was "
                f"given {pictures.dtype} {list(pictures.shape)}",
                reason="MODEL_INPUT_MISMATCH",
            )
        parts = [self._run(pictures[start : start + PER_RUN]) for start in range(0, len(pictures), PER_RUN)]
        return np.concatenate(parts) if parts else np.empty((0, self.dimension), np.float32)

    def _run(self, pictures: Pictures) -> FloatArray:
        pixels = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), dtype=np.float32)
        found = self._model.run(pixels, [self._output])[self._output]
        return unit_vectors(found, len(pictures), self.manifest)
