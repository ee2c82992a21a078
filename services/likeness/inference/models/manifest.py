"""What a model is, described by one TOML file, so that another model needs a manifest and no code.

A manifest says which files make the model, what their digests are and where they come from; how pixels become
the graph's input; what the outputs mean; and in which template space the result lives. Unknown keys are
refused: a misspelt key that is ignored changes scores in silence.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from likeness.domain.errors import InvalidInput, NotFound
from likeness.inference.models import sums

SCHEMA = 1
MAX_MANIFEST_BYTES = 1 << 18
"""Largest manifest that is read: a hundred times the largest we write."""
_DIGEST_DIGITS = 12  # of the SHA-256 of a manifest's content, in its label
MAX_SIDE = 4096  # pixels; the largest fixed input side that is accepted
MAX_DIMENSION = 4096  # elements; the longest embedding that is accepted

Point = tuple[float, float]


class Kind(StrEnum):
    """What a model does."""

    DETECTOR = "detector"
    RECOGNISER = "recogniser"


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


def _three(value: Any) -> Any:
    return (value, value, value) if isinstance(value, int | float) else value


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise ValueError("must be a relative path that stays inside the manifest's folder")
    return value


PerChannel = Annotated[tuple[float, float, float], BeforeValidator(_three)]
RelativePath = Annotated[str, AfterValidator(_inside)]
Probability = Annotated[float, Field(gt=0, lt=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._/-]{0,99}$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FileEntry(_Table):
    """One file of the model.

    `path`, where given, is relative to the manifest or absolute and names a file that is already there;
    otherwise the file is built or fetched into the cache under `name`.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    sha256: Sha256
    role: Literal["model", "pnet", "rnet", "onet"] = "model"
    path: str = ""
    url: Annotated[str, Field(pattern=r"^(https://\S+)?$")] = ""


class Build(_Table):
    """How the files are made: `entry(target_dir)` of a Python `script`, from an installed `requirement`."""

    script: RelativePath
    entry: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")] = "build"
    requirement: str


class Input(_Table):
    """How an image becomes the graph's input.

    `width` and `height` in pixels; both 0 where the graph takes any size, whose sides must then be multiples of
    `multiple_of`. A pixel value v (0..255) becomes (v - mean) / std, per channel in the order of `colour`.
    `batch` is "dynamic", or the number of images that the graph takes at once.
    """

    width: Annotated[int, Field(ge=0, le=MAX_SIDE)] = 0
    height: Annotated[int, Field(ge=0, le=MAX_SIDE)] = 0
    multiple_of: Annotated[int, Field(ge=1, le=256)] = 1
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    colour: Literal["RGB", "BGR"]
    mean: PerChannel
    std: PerChannel
    batch: Literal["dynamic"] | Annotated[int, Field(ge=1, le=1024)] = "dynamic"

    @model_validator(mode="after")
    def _check(self) -> Input:
        if (self.width == 0) != (self.height == 0):
            raise ValueError("width and height are either both given or both 0 (any size)")
        if 0.0 in self.std:
            raise ValueError("std must not be 0")
        if self.width % self.multiple_of or self.height % self.multiple_of:
            raise ValueError("width and height must be multiples of multiple_of")
        return self

    @property
    def dynamic(self) -> bool:
        """Whether the graph takes images of any size."""
        return self.width == 0


class Detection(_Table):
    """How a detector's answers are read.

    `score_threshold` 0..1; `nms_iou` the overlap (intersection over union) above which the weaker of two boxes
    is dropped; `min_face_px` the smallest face sought; `max_side_px` the image side above which the image is
    reduced before detection (cost grows with pixels). `strides` in pixels and `anchors` per cell for SCRFD.
    `outputs` names the graph's outputs in the family's order where the graph's own order differs (YuNet: cls,
    obj, bbox, kps, each for every stride; SCRFD: score, bbox, kps, each for every stride).
    `stage_thresholds` are the three probabilities of the MTCNN cascade, `pyramid_factor` its scale step.
    """

    score_threshold: Probability = 0.6
    nms_iou: Annotated[float, Field(gt=0, lt=1)] = 0.4
    min_face_px: Annotated[float, Field(gt=0)] = 20.0
    max_side_px: Annotated[int, Field(ge=32, le=MAX_SIDE)] = 640
    strides: tuple[Annotated[int, Field(ge=1, le=256)], ...] = (8, 16, 32)
    anchors: Annotated[int, Field(ge=1, le=16)] = 2
    outputs: tuple[str, ...] = ()
    stage_thresholds: tuple[Probability, Probability, Probability] = (0.6, 0.7, 0.7)
    pyramid_factor: Annotated[float, Field(gt=0.1, lt=1)] = 0.709


class Embedding(_Table):
    """What a recogniser returns and how two of its results are compared.

    `mirror`: the mean of the embeddings of the chip and of its mirror image is used. `zooms`: the mean over the
    chip magnified by each of these factors about its centre is used. `normalise`: the result is
    divided by its Euclidean length. `metric` cosine is the inner product of normalised embeddings.
    `output` names the graph's output; empty means the only one. `template_space` must change whenever anything
    changes that moves embeddings (weights, input, mirror, zooms, landmarks): templates of two spaces are never
    compared.
    """

    template_space: Identifier
    dimension: Annotated[int, Field(ge=2, le=MAX_DIMENSION)]
    output: str = ""
    normalise: bool = True
    mirror: bool = True
    zooms: Annotated[tuple[Annotated[float, Field(ge=1, le=2)], ...], Field(min_length=1, max_length=4)] = (
        1.0,
    )
    metric: Literal["cosine", "inner_product"] = "cosine"

    @model_validator(mode="after")
    def _check(self) -> Embedding:
        if self.metric == "cosine" and not self.normalise:
            raise ValueError("metric cosine needs normalise = true")
        return self


class Landmarks(_Table):
    """Where the five landmarks lie in the aligned chip.

    Pixels, (0, 0) the centre of the top left pixel; in the order left eye, right eye, nose, left and right
    mouth corner as seen in the image.
    """

    template: Annotated[tuple[Point, ...], Field(min_length=5, max_length=5)]


class Edges(_Table):
    """Limits for one quality component in its native unit; a lower measurement warns or is rejected."""

    reject: float | None = None
    warn: float | None = None


class SelfTest(_Table):
    """The known answer of a recogniser: how its embedding of `selftest.standard_chip` begins."""

    embedding: Annotated[tuple[float, ...], Field(min_length=1, max_length=64)]


class Manifest(_Table):
    """One model. See `models/README.md` for the meaning of every key by example."""

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,31}$")]
    kind: Kind
    family: Family
    title: str = ""
    licence: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    files: Annotated[tuple[FileEntry, ...], Field(min_length=1, max_length=8)]
    build: Build | None = None
    input: Input
    detection: Detection | None = None
    embedding: Embedding | None = None
    landmarks: Landmarks | None = None
    quality: dict[str, Edges] = Field(default_factory=dict)
    calibration: str = ""
    self_test: SelfTest | None = None

    _origin: Path = PrivateAttr(default=Path())
    _digest: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _check(self) -> Manifest:
        if (self.family is Family.ARCFACE) != (self.kind is Kind.RECOGNISER):
            raise ValueError(f"family {self.family} does not belong to kind {self.kind}")
        roles = sorted(entry.role for entry in self.files)
        if roles != sorted(_ROLES[self.family]):
            wanted = ", ".join(sorted(_ROLES[self.family]))
            raise ValueError(f"family {self.family} needs exactly these file roles: {wanted}")
        if len({entry.name for entry in self.files}) != len(self.files):
            raise ValueError("two files have the same name")
        if self.kind is Kind.RECOGNISER:
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
    def detector(self) -> Detection:
        """The [detection] table, or its defaults."""
        return self.detection or Detection()

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

    def file(self, role: str = "model") -> FileEntry:
        """The file with that role.

        Raises:
            NotFound: the model has none.
        """
        for entry in self.files:
            if entry.role == role:
                return entry
        raise NotFound(f"Model {self.id} has no file with the role {role}", reason="MODEL_FILE_UNKNOWN")


def parse_manifest(text: str, origin: Path) -> Manifest:
    """Reads a manifest from TOML text; `origin` names it in errors and anchors its relative paths.

    Raises:
        InvalidInput: the text is not TOML or breaks the schema; every broken key is named.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{origin} is not TOML: {error}", reason="MANIFEST_INVALID") from error
    try:
        manifest = Manifest.model_validate(table)
    except ValidationError as error:
        problems = "; ".join(_problem(detail) for detail in error.errors())
        raise InvalidInput(
            f"{origin} is not a model manifest: {problems}. See models/README.md",
            reason="MANIFEST_INVALID",
        ) from error
    manifest._origin = origin
    return manifest


def read_manifest(path: Path) -> Manifest:
    """Reads a manifest file of at most `MAX_MANIFEST_BYTES`.

    Raises:
        NotFound: the file is not there.
        InvalidInput: too large, not UTF-8, or see `parse_manifest`.
        Corrupt: it is shipped, and not as it was released.
    """
    data = manifest_bytes(path)
    try:
        manifest = parse_manifest(data.decode("utf-8"), path)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text: {error}", reason="MANIFEST_INVALID") from error
    if sums.listing_of(path) is None:
        manifest._digest = hashlib.sha256(data).hexdigest()
    return manifest


def manifest_bytes(path: Path) -> bytes:
    """The bytes of a manifest of at most `MAX_MANIFEST_BYTES`, checked as `sums.read` says.

    Raises:
        NotFound, InvalidInput, Corrupt: see `read_manifest`.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise NotFound(f"The manifest {path} cannot be read: {error}", reason="MANIFEST_MISSING") from error
    if size > MAX_MANIFEST_BYTES:
        raise InvalidInput(
            f"{path} is larger than {MAX_MANIFEST_BYTES} bytes, which no manifest is",
            reason="MANIFEST_INVALID",
        )
    return sums.read(path)


def _problem(detail: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in detail["loc"]) or "the whole"
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        message = "unknown key; remove it or correct its spelling"
    elif detail["type"] == "missing":
        message = "missing; add it"
    return f"{key}: {message}"
