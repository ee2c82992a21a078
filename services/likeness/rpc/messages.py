"""From bytes to a request, in the order that costs least: size first, then its frame, then the message itself.

A message of 60 MiB may be one photograph or thirty million empty names, which take seconds to turn into objects
while nothing else runs. So what is not a sample's data has a limit of its own, checked on the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError

from likeness.domain import wire
from likeness.domain.errors import Exhausted, InvalidInput, LikenessError
from likeness.v1 import common_pb2 as common

MAX_FRAME_FIELDS = 4096
"""Fields of a request and of the messages in it that lead to a sample; a list has at most some hundred filters."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for a request that could not be read, and says why; raised where the call is observed."""

    error: LikenessError


def reader(parse: Callable[[bytes], Any], kind: Descriptor, max_bytes: int) -> Callable[[bytes], Any]:
    """What reads the bytes of a request: the message, or an `Unreadable`.

    Args:
        parse: makes the message.
        kind: of which type.
        max_bytes: of all that is not the data of a sample.
    """

    def read(data: bytes) -> Any:
        try:
            _check(data, kind, max_bytes)
            return parse(data)
        except LikenessError as error:
            return Unreadable(error)
        except (DecodeError, ValueError) as error:
            return Unreadable(
                InvalidInput(
                    f"The request is no {kind.full_name} message ({error}); build the client with this service's "
                    "protocol.",
                    reason="MALFORMED_MESSAGE",
                )
            )

    return read


def _check(data: bytes, kind: Descriptor, max_bytes: int) -> None:
    if len(data) <= max_bytes:
        return
    others = len(data) - _Frame().sample_bytes(memoryview(data), kind)
    if others > max_bytes:
        raise Exhausted(
            f"The request has {others} bytes apart from its samples; the limit is {max_bytes}. Send fewer or "
            "shorter names, texts and filters.",
            reason="REQUEST_TOO_LARGE",
            metadata={"limit_bytes": str(max_bytes)},
        )


class _Frame:
    """Walks one request; the fields of all messages in it are counted together."""

    def __init__(self) -> None:
        self._fields = 0

    def sample_bytes(self, message: memoryview, kind: Descriptor) -> int:
        """Bytes of the data of all samples in a message."""
        found, leading = 0, _leading(kind)
        for number, value in wire.fields(message):
            self._fields += 1
            if self._fields > MAX_FRAME_FIELDS:
                raise Exhausted(
                    f"The request has more than {MAX_FRAME_FIELDS} fields; send fewer.",
                    reason="REQUEST_TOO_LARGE",
                )
            if number in leading and isinstance(value, memoryview):
                inner = leading[number]
                found += len(value) if inner is None else self.sample_bytes(value, inner)
        return found


@cache
def _leading(kind: Descriptor) -> Mapping[int, Descriptor | None]:
    """The fields of a message that lead to a sample's data: their type, or None for the data itself."""
    if kind.full_name == common.Sample.DESCRIPTOR.full_name:
        return {common.Sample.DATA_FIELD_NUMBER: None}
    return {
        field.number: field.message_type
        for field in kind.fields
        if field.type == FieldDescriptor.TYPE_MESSAGE and _leading(field.message_type)
    }
