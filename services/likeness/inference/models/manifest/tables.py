"""The tables that a manifest is made of, and what may be in them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

MAX_SIDE = 4096  # pixels; the largest fixed input side that is accepted
MAX_DIMENSION = 4096  # elements; the longest embedding that is accepted
MAX_ROWS = 4096  # of one set
COUNT_STEP = 16  # rows; sets are filled up to a multiple of this, so that few shapes occur

Point = tuple[float, float]


def _three(value: Any) -> Any:
    return (value, value, value) if isinstance(value, int | float) else value


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts[1:] or not path.name:
        raise ValueError("must be a relative path that stays inside the folder of models")
    return value


PerChannel = Annotated[tuple[float, float, float], BeforeValidator(_three)]
RelativePath = Annotated[str, AfterValidator(_inside)]
Probability = Annotated[float, Field(gt=0, lt=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._/-]{0,99}$")]


class Table(BaseModel):
    """A table whose keys are all known; it never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FileEntry(Table):
    """One file of the model.

    `path`, where given, is relative to the manifest or absolute and names a file that is already there;
    otherwise the file is built or fetched into the cache under `name`.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    sha256: Sha256
    role: Literal["model", "pnet", "rnet", "onet"] = "model"
    path: str = ""
    url: Annotated[str, Field(pattern=r"^(https://\S+)?$")] = ""


class Build(Table):
    """How the files are made: `entry(target_dir)` of a Python `script`, from an installed `requirement`.

    `script` is relative to the manifest; models in folders of their own may share one, `../OTHER/SCRIPT`.
    """

    script: RelativePath
    entry: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")] = "build"
    requirement: str


class Input(Table):
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


class SetInput(Table):
    """How sets of rows become the graph's input.

    `columns` of a row, the last of which says whether it is there; `min_count` and `max_count` rows of a set as the
    graph takes it, fillers included.
    """

    columns: Annotated[int, Field(ge=2, le=64)]
    min_count: Annotated[int, Field(ge=1, le=256)]
    max_count: Annotated[int, Field(ge=1, le=MAX_ROWS, multiple_of=COUNT_STEP)]


class PictureInput(Table):
    """How a whole picture becomes the graph's input: `side` in pixels of the square that it is squeezed into."""

    side: Annotated[int, Field(ge=16, le=1024)]


class DetectionSettings(Table):
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


class Vectors(Table):
    """What a model returns: vectors of `dimension` elements.

    `output` names the graph's output; empty means the only one. `template_space` must change whenever anything
    changes that moves vectors: templates of two spaces are never compared.
    """

    template_space: Identifier
    dimension: Annotated[int, Field(ge=2, le=MAX_DIMENSION)]
    output: str = ""


class Embedding(Vectors):
    """What a recogniser returns and how two of its results are compared.

    `mirror`: the mean of the embeddings of the chip and of its mirror image is used. `zooms`: the mean over the
    chip magnified by each of these factors about its centre is used. `normalise`: the result is
    divided by its Euclidean length. `metric` cosine is the inner product of normalised embeddings.
    `output` names the graph's output; empty means the only one. `template_space` must change whenever anything
    changes that moves embeddings (weights, input, mirror, zooms, landmarks): templates of two spaces are never
    compared.
    """

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


class Landmarks(Table):
    """Where the five landmarks lie in the aligned chip.

    Pixels, (0, 0) the centre of the top left pixel; in the order left eye, right eye, nose, left and right
    mouth corner as seen in the image.
    """

    template: Annotated[tuple[Point, ...], Field(min_length=5, max_length=5)]


class Edges(Table):
    """Limits for one quality component in its native unit; a lower measurement warns or is rejected."""

    reject: float | None = None
    warn: float | None = None


class SelfTest(Table):
    """The known answer of a recogniser: how its embedding of `selftest.standard_chip` begins."""

    embedding: Annotated[tuple[float, ...], Field(min_length=1, max_length=64)]
