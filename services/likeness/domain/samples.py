"""Samples, what is found in them, and the templates made from them."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import Corrupt

_MAGIC = b"LKT1"
_LENGTHS = struct.Struct("<III")
_MAX_HEADER_BYTES = 4096


class Mode(StrEnum):
    """Why a sample is read; enrolment is strict about quality, the others only advise."""

    ENROL = "enrol"
    PROBE = "probe"
    ANALYSE = "analyse"


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned rectangle in pixels of the sample as it is seen (after EXIF rotation)."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        """Centre (x, y) in pixels."""
        return self.x + self.width / 2, self.y + self.height / 2


class Pick(StrEnum):
    """How to choose among several presentations in one sample."""

    ONLY = "only"
    """Exactly one is expected; several are refused at enrolment and each is answered in a search."""
    MOST_PROMINENT = "most_prominent"
    """The one with the largest box, the nearer to the centre among equals."""
    MOST_CENTRAL = "most_central"
    """The one whose centre is nearest to the centre of the sample."""
    INDEX = "index"
    """The one with the index that Analyze reported."""
    REGION = "region"
    """The one that overlaps a given box the most."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which presentation in a sample is meant."""

    pick: Pick = Pick.ONLY
    index: int = 0
    region: Box | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One input: undecoded bytes as the caller sent them.

    `name` is what the caller calls it (a file name, a position in a stream); errors speak of it by that name.
    """

    data: bytes
    name: str = "sample"
    media_type: str = ""
    selection: Selection = Selection()


@dataclass(frozen=True, slots=True)
class QualityComponent:
    """One quality measure, named as in ISO/IEC 29794 (faces: part 5).

    `value` is 0..100, higher is better; `native` is the raw measurement in `unit` (for example pixels).
    """

    name: str
    value: float
    native: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Quality:
    """The unified quality score, 0..100, and the components it was made from."""

    unified: float = 0.0
    components: tuple[QualityComponent, ...] = ()

    def component(self, name: str) -> QualityComponent | None:
        """The component of that name, or None."""
        return next((c for c in self.components if c.name == name), None)


class Severity(StrEnum):
    """What an issue does: REJECT stops a strict enrolment, WARN only tells."""

    REJECT = "reject"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Issue:
    """Something wrong with a sample or a presentation in it.

    `reason` is a constant such as NO_FACE or INTER_EYE_DISTANCE_TOO_SMALL; `message` names the measure, its
    limit and the remedy.
    """

    reason: str
    message: str
    severity: Severity = Severity.REJECT


@dataclass(frozen=True, eq=False)
class Template:
    """What a modality extracts from one presentation.

    `vectors` float32 [n, d]: the shortlist's view of it, L2-normalised unless the space's metric says
    otherwise. `detail`: the modality's own encoding for the exact comparison, empty where the vectors suffice.
    `space` names the template space; templates of different spaces are never compared. `model` is the version
    of the model that made it.
    """

    space: str
    model: str
    vectors: NDArray[np.float32]
    detail: bytes = b""

    def to_bytes(self) -> bytes:
        """Serialise: magic, three lengths, a JSON header, the vectors (little-endian float32), the detail."""
        vectors = np.ascontiguousarray(self.vectors, dtype="<f4")
        header = json.dumps(
            {"space": self.space, "model": self.model, "shape": vectors.shape}, separators=(",", ":")
        ).encode()
        raw = vectors.tobytes()
        return _MAGIC + _LENGTHS.pack(len(header), len(raw), len(self.detail)) + header + raw + self.detail

    @classmethod
    def from_bytes(cls, data: bytes) -> Template:
        """Read what `to_bytes` wrote.

        Raises:
            Corrupt: the lengths do not add up, or the header does not describe the bytes.
        """
        start = len(_MAGIC) + _LENGTHS.size
        if len(data) < start or data[: len(_MAGIC)] != _MAGIC:
            raise Corrupt("A stored template does not begin with its magic number; restore it from a backup.")
        head, raw, detail = _LENGTHS.unpack_from(data, len(_MAGIC))
        if head > _MAX_HEADER_BYTES or start + head + raw + detail != len(data):
            raise Corrupt("The lengths in a stored template do not add up; restore it from a backup.")
        try:
            header = json.loads(data[start : start + head])
            rows, columns = (int(n) for n in header["shape"])
            vectors = np.frombuffer(data, "<f4", count=raw // 4, offset=start + head).reshape(rows, columns)
            return cls(
                space=str(header["space"]),
                model=str(header["model"]),
                vectors=vectors.astype(np.float32, copy=False),
                detail=data[start + head + raw :],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise Corrupt("The header of a stored template does not describe its bytes.") from error


@dataclass(frozen=True, slots=True)
class Finding:
    """One presentation found in a sample: a face, a finger view, an object.

    `landmarks` are (x, y) pixels in the modality's own order (faces: left eye, right eye, nose, left and right
    mouth corner, as seen in the image). `template` is None where only quality was asked for.
    `finger_positions` are the codes of ISO/IEC 19794-2, one per view of a fingerprint record.
    """

    index: int
    box: Box | None
    confidence: float
    quality: Quality
    landmarks: tuple[tuple[float, float], ...] = ()
    issues: tuple[Issue, ...] = ()
    template: Template | None = None
    finger_positions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Extraction:
    """The outcome for one sample: findings, or the reason why there are none.

    `width` and `height` are pixels of the sample as it is seen; 0 where it could not be decoded. `timings` are
    seconds per stage (decode, detect, embed, ...).
    """

    findings: tuple[Finding, ...] = ()
    rejection: Issue | None = None
    width: int = 0
    height: int = 0
    timings: Mapping[str, float] = field(default_factory=dict)
