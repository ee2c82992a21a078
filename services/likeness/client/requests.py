"""The requests of every method, built once for the synchronous and the asynchronous client."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

from google.protobuf import field_mask_pb2, timestamp_pb2
from google.protobuf.descriptor import EnumDescriptor

from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching

SampleLike = bytes | str | os.PathLike[str] | common.Sample
"""The bytes of a file, the path of one, or a sample from `sample(...)` with a name or a selection."""

ComparandLike = SampleLike | matching.Comparand
"""One side of a comparison; an enrolled reference is given by `reference(...)`."""

Progress = Callable[[int, int], None]
"""Called with how many references were compared, and how many there are to compare."""


class EnrollOptions(TypedDict, total=False):
    """`metadata`: see `metadata(...)`. `quality_override`: why to enrol in spite of quality issues.

    `request_id`: makes the enrolment idempotent across processes; a new one is made where none is given.
    """

    metadata: common.ReferenceMetadata
    quality_override: str
    request_id: str


class SearchOptions(TypedDict, total=False):
    """What to search; see `likeness.v1.SearchOptions`. `categories` by name, for example `wanted`."""

    galleries: Iterable[str]
    owners: Iterable[str]
    categories: Iterable[str]
    k: int
    max_fmr: float
    exhaustive: bool
    min_log_position: int
    group_by_subject: bool | None
    frontline: bool
    lights_out: bool


class ListOptions(TypedDict, total=False):
    """What to list; see `likeness.v1.ListRequest`. `categories` and `statuses` by name."""

    galleries: Iterable[str]
    owners: Iterable[str]
    categories: Iterable[str]
    statuses: Iterable[str]
    page_size: int


def new_request_id() -> str:
    """A request id that nobody else has."""
    return str(uuid.uuid4())


def utf8(text: str) -> str:
    """Text that can be sent: bytes of a file name that are not UTF-8 become question marks."""
    return text.encode("utf-8", "replace").decode()


def plain(file_name: str) -> str:
    """A file's name as the service takes it: what cannot be printed becomes a question mark."""
    return "".join(letter if letter.isprintable() else "?" for letter in file_name)


def sample(
    data: SampleLike, *, name: str = "", media_type: str = "", selection: common.Selection | None = None
) -> common.Sample:
    """A sample; a path gives its file name where no name is given.

    Raises:
        OSError: the file cannot be read.
    """
    if isinstance(data, common.Sample):
        return data
    if not isinstance(data, bytes):
        path = Path(data)
        data, name = path.read_bytes(), name or plain(path.name)
    return common.Sample(data=data, name=utf8(name), media_type=media_type, selection=selection)


def reference(reference_id: str) -> matching.Comparand:
    """An enrolled reference as one side of a comparison."""
    return matching.Comparand(reference_id=reference_id)


def metadata(
    *,
    subject_id: str = "",
    owner: str = "",
    galleries: Iterable[str] = (),
    category: str = "unspecified",
    status: str = "unspecified",
    notices: Iterable[str] = (),
    owner_reference: str = "",
    attributes: Mapping[str, str] | None = None,
    denied_entities: Iterable[str] = (),
    permitted_entities: Iterable[str] = (),
    permitted_purposes: Iterable[str] = (),
    denied_countries: Iterable[str] = (),
    permitted_countries: Iterable[str] = (),
    denied_groups: Iterable[str] = (),
    permitted_groups: Iterable[str] = (),
    disclosure: str = "unspecified",
    review_time: datetime | None = None,
    expire_time: datetime | None = None,
) -> common.ReferenceMetadata:
    """What an owner says of a reference; enumerations by name, for example `wanted`.

    Raises:
        ValueError: a name is not in the protocol, or a time has no time zone.
        TypeError: one text stands where several belong.
    """
    return common.ReferenceMetadata(
        subject_id=utf8(subject_id),
        owner=owner,
        galleries=_several("galleries", galleries),
        category=category_number(category),
        status=status_number(status),
        notices=_several("notices", notices),
        owner_reference=utf8(owner_reference),
        attributes=attributes or {},
        restrictions=common.Restrictions(
            denied_entities=_several("denied_entities", denied_entities),
            permitted_entities=_several("permitted_entities", permitted_entities),
            permitted_purposes=[
                purpose_number(name) for name in _several("permitted_purposes", permitted_purposes)
            ],
            denied_countries=_several("denied_countries", denied_countries),
            permitted_countries=_several("permitted_countries", permitted_countries),
            denied_groups=_several("denied_groups", denied_groups),
            permitted_groups=_several("permitted_groups", permitted_groups),
            disclosure=level_number(disclosure),
        ),
        review_time=_timestamp(review_time),
        expire_time=_timestamp(expire_time),
    )


def category_number(name: str) -> common.Category.ValueType:
    """The number of a category by its name, in any case: `wanted` or `CATEGORY_WANTED`; ValueError if none."""
    return common.Category.Value(_member(common.Category.DESCRIPTOR, name))


def status_number(name: str) -> common.Status.ValueType:
    """The number of a status by its name; ValueError if there is none."""
    return common.Status.Value(_member(common.Status.DESCRIPTOR, name))


def purpose_number(name: str) -> common.Purpose.ValueType:
    """The number of a purpose by its name; ValueError if there is none."""
    return common.Purpose.Value(_member(common.Purpose.DESCRIPTOR, name))


def level_number(name: str) -> common.Level.ValueType:
    """The number of a level of disclosure by its name; ValueError if there is none."""
    return common.Level.Value(_member(common.Level.DESCRIPTOR, name))


def _member(enum: EnumDescriptor, name: str) -> str:
    prefix = enum.name.upper() + "_"
    member = prefix + name.upper().removeprefix(prefix)
    if member not in enum.values_by_name:
        known = ", ".join(known.removeprefix(prefix).lower() for known in enum.values_by_name)
        raise ValueError(f"'{name}' is no {enum.name.lower()}; known: {known}")
    return member


@dataclass(frozen=True, slots=True)
class Requests:
    """Builds requests on behalf of one caller."""

    caller: common.CallerContext

    def enroll(
        self,
        data: SampleLike,
        *,
        metadata: common.ReferenceMetadata | None = None,
        quality_override: str = "",
        request_id: str = "",
    ) -> matching.EnrollRequest:
        """Enrol one sample."""
        override = common.QualityOverride(reason=quality_override) if quality_override else None
        return matching.EnrollRequest(
            caller=self.caller,
            request_id=request_id or new_request_id(),
            metadata=metadata,
            sample=sample(data),
            quality_override=override,
        )

    def get(self, reference_id: str) -> matching.GetRequest:
        """Read one reference."""
        return matching.GetRequest(caller=self.caller, reference_id=reference_id)

    def list(
        self,
        *,
        galleries: Iterable[str] = (),
        owners: Iterable[str] = (),
        categories: Iterable[str] = (),
        statuses: Iterable[str] = (),
        page_size: int = 0,
    ) -> matching.ListRequest:
        """List the first page."""
        return matching.ListRequest(
            caller=self.caller,
            galleries=_several("galleries", galleries),
            owners=_several("owners", owners),
            categories=[category_number(name) for name in _several("categories", categories)],
            statuses=[status_number(name) for name in _several("statuses", statuses)],
            page_size=page_size,
        )

    def update(
        self,
        reference_id: str,
        metadata: common.ReferenceMetadata,
        *,
        fields: Iterable[str] = ("*",),
        expected_log_position: int = 0,
        request_id: str = "",
    ) -> matching.UpdateRequest:
        """Change the metadata of a reference."""
        return matching.UpdateRequest(
            caller=self.caller,
            request_id=request_id or new_request_id(),
            reference_id=reference_id,
            metadata=metadata,
            expected_log_position=expected_log_position,
            update_mask=field_mask_pb2.FieldMask(paths=_several("fields", fields)),
        )

    def expunge(self, reference_id: str, reason: str, *, request_id: str = "") -> matching.ExpungeRequest:
        """Erase a reference."""
        return matching.ExpungeRequest(
            caller=self.caller,
            request_id=request_id or new_request_id(),
            reference_id=reference_id,
            reason=reason,
        )

    def search(
        self,
        probe: SampleLike,
        *,
        galleries: Iterable[str] = (),
        owners: Iterable[str] = (),
        categories: Iterable[str] = (),
        k: int = 0,
        max_fmr: float = 0.0,
        exhaustive: bool = False,
        min_log_position: int = 0,
        group_by_subject: bool | None = None,
        frontline: bool = False,
        lights_out: bool = False,
    ) -> matching.SearchRequest:
        """Search with one probe.

        Raises:
            ValueError: it is to be of the frontline and exhaustive at once.
        """
        if frontline and exhaustive:
            raise ValueError("a search is either of the frontline or exhaustive; give one of the two")
        profile = common.PROFILE_EXHAUSTIVE if exhaustive else common.PROFILE_INTERACTIVE
        options = common.SearchOptions(
            galleries=_several("galleries", galleries),
            owners=_several("owners", owners),
            categories=[category_number(name) for name in _several("categories", categories)],
            k=k,
            max_fmr=max_fmr,
            profile=common.PROFILE_FRONTLINE if frontline else profile,
            min_log_position=min_log_position,
            group_by_subject=group_by_subject,
            lights_out=lights_out,
        )
        return matching.SearchRequest(caller=self.caller, probe=sample(probe), options=options)

    def compare(
        self, probe: ComparandLike, candidate: ComparandLike, *, explain: bool = False
    ) -> matching.CompareRequest:
        """Compare 1:1."""
        return matching.CompareRequest(
            caller=self.caller, probe=_side(probe), candidate=_side(candidate), explain=explain
        )

    def analyze(self, data: SampleLike) -> matching.AnalyzeRequest:
        """Detect and measure quality."""
        return matching.AnalyzeRequest(caller=self.caller, sample=sample(data))


def _several(name: str, texts: Iterable[str]) -> Iterable[str]:
    """The texts; a single one would be taken apart, so that each of its letters were a gallery or an entity.

    Raises:
        TypeError: it is a single text.
    """
    if isinstance(texts, str):
        raise TypeError(f"{name} is the text '{texts}'; give a list: [{texts!r}]")
    return texts


def _side(side: ComparandLike) -> matching.Comparand:
    return side if isinstance(side, matching.Comparand) else matching.Comparand(sample=sample(side))


def _timestamp(moment: datetime | None) -> timestamp_pb2.Timestamp | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone; give one, for example datetime.UTC")
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(moment.astimezone(UTC))
    return stamp
