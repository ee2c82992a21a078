"""The fields that the protocol says are required: found by their annotation, so that none is forgotten."""

from __future__ import annotations

from functools import lru_cache

from google.api import field_behavior_pb2  # type: ignore[import-untyped]
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from likeness.domain.errors import InvalidInput
from likeness.v1 import common_pb2 as common

_NAMED_WHERE_READ = frozenset({common.Sample.DESCRIPTOR.full_name})
"""Messages of which the reader refuses what is missing, in words of its own: a sample by its name."""


def check_required(message: Message, prefix: str = "") -> None:
    """Refuse a message that leaves out what its protocol requires.

    Args:
        message: a request, or a part of one.
        prefix: what leads to the part, for example `sample.`.

    Raises:
        InvalidInput: names the first field that is missing.
    """
    for field in _fields(message.DESCRIPTOR):
        path = prefix + field.name
        given = message.HasField(field.name) if field.message_type else bool(getattr(message, field.name))
        if not given and is_required(field):
            raise InvalidInput(
                f"{path} is missing; {message.DESCRIPTOR.name} requires it.",
                field=path,
                reason="REQUIRED_FIELD_MISSING",
            )
        if given and field.message_type:
            check_required(getattr(message, field.name), f"{path}.")


def is_required(field: FieldDescriptor) -> bool:
    """Whether the protocol annotates a field as required."""
    return field_behavior_pb2.REQUIRED in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]


@lru_cache(maxsize=256)
def _fields(message: Descriptor) -> tuple[FieldDescriptor, ...]:
    """The fields that are required, or lead to some that are."""
    if message.full_name in _NAMED_WHERE_READ:
        return ()
    return tuple(
        field
        for field in message.fields
        if is_required(field)
        or (field.message_type and not field.is_repeated and _fields(field.message_type))
    )
