"""Every text of every request is checked at the door; no request may steer the terminal of who reads it."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from likeness.domain.errors import InvalidInput
from likeness.rpc.convert.texts import check_printable, texts, with_printable_texts
from likeness.rpc.identity import identify
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching

REQUESTS = (
    matching.EnrollRequest,
    matching.GetRequest,
    matching.ListRequest,
    matching.UpdateRequest,
    matching.ExpungeRequest,
    matching.SearchRequest,
    matching.CompareRequest,
    matching.AnalyzeRequest,
)


def paths(message: Descriptor) -> list[list[FieldDescriptor]]:
    """The ways to every text below a message."""
    found: list[list[FieldDescriptor]] = []
    for field in message.fields:
        if field.type == field.TYPE_STRING:
            found.append([field])
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            found += [[field, *rest] for rest in paths(field.message_type)]
        elif field.message_type is not None:
            found.append([field])
    return found


def with_text(kind: type[Any], path: list[FieldDescriptor], text: str, *, as_key: bool = False) -> Any:
    """A request that holds a text at the end of a path and is right otherwise."""
    request = kind(caller=common.CallerContext(entity="NCB-XX", purpose=common.PURPOSE_SYSTEM_TEST))
    message = request
    for field in path[:-1]:
        message = getattr(message, field.name)
    last = path[-1]
    if last.message_type is not None:
        getattr(message, last.name)[text if as_key else "colour"] = "plain" if as_key else text
    elif last.is_repeated:
        getattr(message, last.name).extend(["plain", text])
    else:
        setattr(message, last.name, text)
    return request


CASES = [(kind, path) for kind in REQUESTS for path in paths(kind.DESCRIPTOR)]


@pytest.mark.parametrize(
    ("kind", "path"), CASES, ids=[f"{k.__name__}.{'.'.join(f.name for f in p)}" for k, p in CASES]
)
@pytest.mark.parametrize("character", ["\x1b", "\n", "\x9b", "\u202e", "\u2028"])
def test_no_text_of_a_request_may_hold_a_control_character(
    kind: type[Any], path: list[FieldDescriptor], character: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        identify(with_text(kind, path, f"ab{character}c"))
    assert refused.value.reason == "INVALID_INPUT"
    assert refused.value.field == ".".join(field.name for field in path)
    assert f"U+{ord(character):04X} at position 3" in refused.value.message
    assert character not in refused.value.message


@pytest.mark.parametrize(
    "message",
    [
        common.SearchOptions(galleries=["a"] * 5000 + ["\x1b[2J"]),
        common.ReferenceMetadata(attributes={str(n): "\x1b[2J" if n == 4999 else "" for n in range(5000)}),
        common.CallerContext(operator="a" * 9000 + "\x1b[2J"),
    ],
)
def test_a_control_character_hides_behind_no_number_of_others(message: Message) -> None:
    with pytest.raises(InvalidInput):
        check_printable(message)


def test_a_key_of_the_attributes_is_a_text_too() -> None:
    path = [matching.EnrollRequest.DESCRIPTOR.fields_by_name["metadata"]]
    path.append(common.ReferenceMetadata.DESCRIPTOR.fields_by_name["attributes"])
    with pytest.raises(InvalidInput, match=r"metadata\.attributes\[key\] holds .* U\+001B"):
        check_printable(with_text(matching.EnrollRequest, path, "\x1b]8;;x", as_key=True))


def test_letters_of_every_script_are_taken() -> None:
    operator = "\u0645\u06cc\u200c\u062e"
    caller = common.CallerContext(entity="NCB-XX", operator=operator, case_reference="\u0416/7")
    request = matching.ExpungeRequest(caller=caller, reason="\u0928\u093f\u200d\u0915")
    assert identify(request).operator == operator


def test_a_copy_for_people_has_escapes_in_every_text() -> None:
    reference = common.Reference(
        reference_id="r",
        quality_override="a\nb",
        metadata=common.ReferenceMetadata(
            subject_id="\x1b[31m", notices=["n", "\u202e"], attributes={"k\x07": "v\x9b"}, galleries=["g"]
        ),
    )
    copy = with_printable_texts(reference)
    escaped = sorted(text for _, text in texts(copy) if "\\" in text)
    assert escaped == ["\\u202e", "\\x1b[31m", "a\\nb", "k\\x07", "v\\x9b"]
    assert reference.metadata.subject_id == "\x1b[31m"
    assert with_printable_texts(copy) == copy
