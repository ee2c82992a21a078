"""The texts of a message of the protocol: every string in it, found by its descriptor so that none is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from likeness.domain.errors import InvalidInput
from likeness.domain.text import named, printable, unprintable_at

MAX_ENTRIES = 4096
"""Entries that one field may have, repeated ones included; what the entries are for sets a lower limit."""

_Message = TypeVar("_Message", bound=Message)
_Entries = TypeVar("_Entries", bound=Collection[Any])


def check_printable(message: Message, prefix: str = "") -> None:
    """Refuse a request whose texts could steer the terminal, log or file of whoever reads them.

    Args:
        message: a request, or a part of one.
        prefix: what leads to the part, for example `sample.`.

    Raises:
        InvalidInput: names the field, the character and its position; or a field has too many entries.
    """
    for field, text in texts(message, prefix):
        at = unprintable_at(text)
        if at is not None:
            character = named(text[at])
            raise InvalidInput(
                f"{field} holds the control character {character} at position {at + 1}; send plain text on one "
                "line, without control characters and overrides of the writing direction.",
                field=field.partition("[")[0],
            )


def texts(message: Message, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a message with its field, such as `metadata.notices[2]`; of maps the keys and the values.

    Raises:
        InvalidInput: a field has more than `MAX_ENTRIES`.
    """
    for field in _fields_with_text(message.DESCRIPTOR):
        path, value = prefix + field.name, getattr(message, field.name)
        if _is_map(field):
            yield from _texts_of_map(value, path)
        elif field.is_repeated:
            for number, entry in enumerate(_counted(value, path)):
                yield from _texts_of(field, entry, f"{path}[{number}]")
        elif field.message_type is None or message.HasField(field.name):
            yield from _texts_of(field, value, path)


def with_printable_texts(message: _Message) -> _Message:
    """A copy for people to read, the unprintable characters of its texts replaced."""
    copy = type(message)()
    copy.CopyFrom(message)
    _replace(copy, printable)
    return copy


def _texts_of(field: FieldDescriptor, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if field.message_type is None:
        yield path, value
    else:
        yield from texts(value, f"{path}.")


def _texts_of_map(entries: Any, path: str) -> Iterator[tuple[str, str]]:
    """Of a map from texts to texts or numbers; the protocol has none to messages."""
    for key in _counted(entries, path):
        yield f"{path}[key]", key
        if isinstance(entries[key], str):
            yield f"{path}['{printable(key[:80])}']", entries[key]


def _counted(entries: _Entries, path: str) -> _Entries:
    if len(entries) > MAX_ENTRIES:
        raise InvalidInput(
            f"{path} has {len(entries)} entries, repeated ones counted; the limit is {MAX_ENTRIES}.",
            field=path.partition("[")[0],
            metadata={"limit": str(MAX_ENTRIES)},
        )
    return entries


def _replace(message: Message, change: Callable[[str], str]) -> None:
    for field in _fields_with_text(message.DESCRIPTOR):
        value = getattr(message, field.name)
        if _is_map(field):
            changed = {change(key): change(v) if isinstance(v, str) else v for key, v in value.items()}
            value.clear()
            value.update(changed)
        elif field.message_type is not None:
            if field.is_repeated or message.HasField(field.name):
                for part in value if field.is_repeated else (value,):
                    _replace(part, change)
        elif field.is_repeated:
            value[:] = [change(text) for text in value]
        elif value:
            setattr(message, field.name, change(value))


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


@lru_cache(maxsize=256)
def _fields_with_text(message: Descriptor) -> tuple[FieldDescriptor, ...]:
    """The fields that are texts or messages; the bytes of a photograph are not even copied."""
    return tuple(f for f in message.fields if f.type == f.TYPE_STRING or f.message_type is not None)
