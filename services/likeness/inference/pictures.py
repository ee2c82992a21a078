"""Models that turn a whole picture into one vector, without a detector before them; told by one JSON file.

A manifest (`models/*.json`) names the file, its digest and where it comes from, as those of `manifest` do for
models with detectors and landmarks. The graph takes float32 [batch, 3, side, side], RGB, 0..255.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from likeness.domain.errors import InvalidInput, LikenessError, NotFound
from likeness.inference.catalogue import shipped_manifests
from likeness.inference.manifest import MAX_DIMENSION, MAX_MANIFEST_BYTES
from likeness.inference.runtime import OnnxModel

FloatArray = npt.NDArray[np.float32]
Pictures = npt.NDArray[np.uint8]

PER_RUN = 16
"""Pictures that one call of the graph takes: what bounds its memory."""


class PictureManifest(BaseModel):
    """One model of whole pictures.

    `file` lies beside the manifest. `side` in pixels of the square that pictures are squeezed into. Templates of
    two spaces are never compared: `template_space` must change whenever anything changes that moves vectors.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,31}$")]
    title: str
    licence: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    side: Annotated[int, Field(ge=16, le=1024)]
    output: str
    dimension: Annotated[int, Field(ge=2, le=MAX_DIMENSION)]
    template_space: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._/-]{0,99}$")]

    @property
    def label(self) -> str:
        """`id@version`, as written into templates and answers."""
        return f"{self.id}@{self.version}"


def read_picture_manifest(path: Path) -> PictureManifest:
    """Reads a manifest of at most `MAX_MANIFEST_BYTES`.

    Raises:
        NotFound: the file is not there.
        InvalidInput: it is too large or breaks the schema.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise NotFound(f"The manifest {path} cannot be read: {error}", reason="MANIFEST_MISSING") from error
    if len(data) > MAX_MANIFEST_BYTES:
        raise InvalidInput(
            f"{path} is larger than {MAX_MANIFEST_BYTES} bytes, which no manifest is",
            reason="MANIFEST_INVALID",
        )
    try:
        return PictureManifest.model_validate_json(data)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InvalidInput(
            f"{path} is not a manifest of a model of pictures: {problems}", reason="MANIFEST_INVALID"
        ) from error


class PictureEmbedder:
    """One loaded model of whole pictures; safe to call from several threads at once.

    Raises:
        NotFound, InvalidInput, Corrupt, Precondition: see `read_picture_manifest` and `OnnxModel`.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        """`path` of the manifest; each call runs on `threads` threads."""
        self.manifest = read_picture_manifest(path)
        self._model = OnnxModel(
            path.parent / self.manifest.file, sha256=self.manifest.sha256, threads=threads
        )
        side = self.manifest.side
        outputs = {output.name: output.shape for output in self._model.outputs}
        shape = self._model.input.shape
        if (
            len(shape) != 4
            or any(have not in (None, want) for have, want in zip(shape[1:], (3, side, side), strict=False))
            or self.manifest.output not in outputs
        ):
            raise InvalidInput(
                f"{self.manifest.file} takes {self._model.input} and gives {', '.join(outputs)}; {path} says "
                f"pictures of {side} pixels and the output {self.manifest.output}",
                reason="MODEL_INPUT_MISMATCH",
            )

    @classmethod
    def shipped(cls, name: str, *, threads: int = 1) -> PictureEmbedder:
        """The model of that name in the folder of the product's own manifests."""
        return cls(shipped_manifests() / f"{name}.json", threads=threads)

    @property
    def dimension(self) -> int:
        """Elements of a vector."""
        return self.manifest.dimension

    @property
    def side(self) -> int:
        """Pixels of both sides of a picture as the graph takes it."""
        return self.manifest.side

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
        vectors = self._model.run(pixels, [self.manifest.output])[self.manifest.output].astype(np.float32)
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
        if (
            vectors.shape != (len(pictures), self.dimension)
            or not np.isfinite(vectors).all()
            or (lengths <= 0).any()
        ):
            raise LikenessError(
                f"Model {self.manifest.id} returned values that are no vectors of {self.dimension} elements; "
                "restore its file",
                reason="EMBEDDING_INVALID",
            )
        return np.asarray(vectors / lengths, np.float32)
