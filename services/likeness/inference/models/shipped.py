"""Models that we trained ourselves and ship next to their manifest, one JSON file each (`models/*.json`).

A manifest names the file, its digest and where it comes from, as those of `manifest` do for models that are built
from somebody else's weights. What a model takes is defined by the classes that stand on these.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from likeness.domain.errors import InvalidInput, LikenessError
from likeness.inference.models.catalogue import shipped_manifests
from likeness.inference.models.manifest import MAX_DIMENSION, manifest_bytes

FloatArray = npt.NDArray[np.float32]


class ShippedManifest(BaseModel):
    """What every model of ours tells.

    `file` lies next to the manifest. Templates of two spaces are never compared: `template_space` must change
    whenever anything changes that moves vectors.
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
    output: str
    dimension: Annotated[int, Field(ge=2, le=MAX_DIMENSION)]
    template_space: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._/-]{0,99}$")]

    @property
    def label(self) -> str:
        """`id@version`, as written into templates and answers."""
        return f"{self.id}@{self.version}"


_Manifest = TypeVar("_Manifest", bound=ShippedManifest)


def path_of(name: str) -> Path:
    """Where the manifest of that name is, in the folder of the product's own."""
    return shipped_manifests() / f"{name}.json"


def read_manifest(path: Path, kind: type[_Manifest]) -> _Manifest:
    """Read a manifest of at most `MAX_MANIFEST_BYTES`.

    Raises:
        NotFound: the file is not there.
        InvalidInput: it is too large or breaks the schema.
        Corrupt: it is not as it was released.
    """
    data = manifest_bytes(path)
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InvalidInput(
            f"{path} does not describe a model as it must: {problems}", reason="MANIFEST_INVALID"
        ) from error


def unit_vectors(found: FloatArray, count: int, manifest: ShippedManifest) -> FloatArray:
    """What a graph gave for `count` inputs, as vectors of length 1: float32 [count, dimension].

    Raises:
        LikenessError: these are no such vectors.
    """
    vectors = found.astype(np.float32)
    if vectors.shape == (count, manifest.dimension) and np.isfinite(vectors).all():
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if (lengths > 0).all():
            return np.asarray(vectors / lengths, np.float32)
    raise LikenessError(
        f"Model {manifest.id} returned values that are no vectors of {manifest.dimension} elements; restore its "
        "file",
        reason="EMBEDDING_INVALID",
    )
