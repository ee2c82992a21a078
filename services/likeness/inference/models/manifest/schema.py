"""What the manifest of each kind of model says."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, PrivateAttr, model_validator

from likeness.domain.errors import InvalidInput, NotFound
from likeness.inference.models.manifest.tables import (
    Build,
    DetectionSettings,
    Edges,
    Embedding,
    FileEntry,
    Input,
    Landmarks,
    PictureInput,
    SelfTest,
    SetInput,
    Table,
    Vectors,
)

_DIGEST_DIGITS = 12  # of the SHA-256 of a manifest's content, in its label


class ModelKind(StrEnum):
    """What a model does."""

    DETECTOR = "detector"
    """Finds faces in pictures."""
    RECOGNISER = "recogniser"
    """Turns an aligned face into a vector."""
    SET_EMBEDDER = "set-embedder"
    """Turns a set of rows, such as the minutiae of a finger, into a vector."""
    PICTURE_EMBEDDER = "picture-embedder"
    """Turns a whole picture into a vector."""


class Family(StrEnum):
    """Which output layout the graph has, and thus which decoder reads it."""

    MTCNN = "mtcnn"
    """Three graphs in cascade (roles pnet, rnet, onet): Zhang et al. 2016."""
    YUNET = "yunet"
    """Anchor-free: per stride 8/16/32 the outputs cls, obj, bbox (4), kps (10); score = sqrt(cls x obj)."""
    SCRFD = "scrfd"
    """Per stride: score, distances to the four sides, five landmarks; Guo et al. 2021."""
    ARCFACE = "arcface"
    """One aligned chip in, one embedding out; how it was trained makes no difference here."""


_ROLES: Mapping[Family, frozenset[str]] = {
    Family.MTCNN: frozenset({"pnet", "rnet", "onet"}),
    Family.YUNET: frozenset({"model"}),
    Family.SCRFD: frozenset({"model"}),
    Family.ARCFACE: frozenset({"model"}),
}


class ModelManifest(Table):
    """What describes every model. See `models/README.md` for the meaning of every key by example."""

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,31}$")]
    kind: ModelKind
    title: str = ""
    licence: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    files: Annotated[tuple[FileEntry, ...], Field(min_length=1, max_length=8)]
    build: Build | None = None
    calibration: str = ""

    _origin: Path = PrivateAttr(default=Path())
    _digest: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _check_files(self) -> ModelManifest:
        if len({entry.name for entry in self.files}) != len(self.files):
            raise ValueError("two files have the same name")
        return self

    @property
    def origin(self) -> Path:
        """The TOML file that the manifest was read from."""
        return self._origin

    @property
    def label(self) -> str:
        """`id@version`, as written into templates and answers.

        An operator's own manifest may change without another version, so its label also carries the digest of its
        content; those that are shipped are checked against the list of the release.
        """
        return f"{self.id}@{self.version}" + (f"#{self._digest[:_DIGEST_DIGITS]}" if self._digest else "")

    @property
    def template_space(self) -> str:
        """The template space that its vectors live in; empty for a model that makes none."""
        return ""

    def file(self, role: str = "model") -> FileEntry:
        """The file with that role.

        Raises:
            NotFound: the model has none.
        """
        for entry in self.files:
            if entry.role == role:
                return entry
        raise NotFound(f"Model {self.id} has no file with the role {role}", reason="MODEL_FILE_UNKNOWN")


class FaceManifest(ModelManifest):
    """A detector or a recogniser of faces."""

    family: Family
    input: Input
    detection: DetectionSettings | None = None
    embedding: Embedding | None = None
    landmarks: Landmarks | None = None
    quality: dict[str, Edges] = Field(default_factory=dict)
    self_test: SelfTest | None = None

    @model_validator(mode="after")
    def _check(self) -> FaceManifest:
        if (self.family is Family.ARCFACE) != (self.kind is ModelKind.RECOGNISER):
            raise ValueError(f"family {self.family} does not belong to kind {self.kind}")
        roles = sorted(entry.role for entry in self.files)
        if roles != sorted(_ROLES[self.family]):
            wanted = ", ".join(sorted(_ROLES[self.family]))
            raise ValueError(f"family {self.family} needs exactly these file roles: {wanted}")
        if self.kind is ModelKind.RECOGNISER:
            self._check_recogniser()
        elif self.embedding or self.landmarks or self.self_test:
            raise ValueError("[embedding], [landmarks] and [self_test] belong to recognisers only")
        return self

    def _check_recogniser(self) -> None:
        if not self.embedding or not self.landmarks or self.detection:
            raise ValueError("a recogniser needs [embedding] and [landmarks], and has no [detection]")
        if self.input.dynamic:
            raise ValueError("a recogniser needs input.width and input.height")
        for x, y in self.landmarks.template:
            if not (0 <= x < self.input.width and 0 <= y < self.input.height):
                raise ValueError(f"landmark ({x}, {y}) lies outside the chip")

    @property
    def template_space(self) -> str:
        """The template space of a recogniser; empty for a detector."""
        return self.embedding.template_space if self.embedding else ""

    @property
    def detector(self) -> DetectionSettings:
        """The [detection] table, or its defaults."""
        return self.detection or DetectionSettings()

    @property
    def recogniser(self) -> Embedding:
        """The [embedding] table.

        Raises:
            InvalidInput: the model is not a recogniser.
        """
        if self.embedding is None:
            raise InvalidInput(f"Model {self.id} is a {self.kind}, not a recogniser", reason="MODEL_UNFIT")
        return self.embedding

    @property
    def template(self) -> npt.NDArray[np.float32]:
        """The landmark template, float32 [5,2] of (x, y) in chip pixels.

        Raises:
            InvalidInput: the model is not a recogniser.
        """
        if self.landmarks is None:
            raise InvalidInput(f"Model {self.id} has no landmark template", reason="MODEL_UNFIT")
        return np.array(self.landmarks.template, np.float32)


class EmbedderManifest(ModelManifest):
    """A network of our own that makes vectors of length 1; its only file lies next to the manifest."""

    embedding: Vectors

    @model_validator(mode="after")
    def _check_file(self) -> EmbedderManifest:
        if len(self.files) != 1 or self.files[0].role != "model" or self.files[0].path != self.files[0].name:
            raise ValueError("files must be one, with the role model and its own name as path")
        return self

    @property
    def template_space(self) -> str:
        """The template space of the vectors."""
        return self.embedding.template_space


class SetManifest(EmbedderManifest):
    """A model of sets of rows."""

    input: SetInput


class PictureManifest(EmbedderManifest):
    """A model of whole pictures."""

    input: PictureInput


CLASSES: Mapping[ModelKind, type[ModelManifest]] = {
    ModelKind.DETECTOR: FaceManifest,
    ModelKind.RECOGNISER: FaceManifest,
    ModelKind.SET_EMBEDDER: SetManifest,
    ModelKind.PICTURE_EMBEDDER: PictureManifest,
}
"""What a manifest is read as, by its kind."""
