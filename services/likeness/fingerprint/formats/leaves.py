"""The elements of an XML file that hold text alone. No document type is read, so that there are no entities."""

from __future__ import annotations

from xml.parsers import expat

MAX_ELEMENTS = 10_000
"""Elements of one file; a BIR of ten fingers has some hundreds."""


class MalformedXml(Exception):
    """A file that is not well formed, declares a document type or has too many elements; the message says which."""


def leaves(text: bytes) -> list[tuple[str, bytes]]:
    """Name without prefix, and text without the blanks around it, of each element that holds no other, in order.

    Comments and processing instructions are passed over, and CDATA is text like any other. Prefixes need not be
    declared.

    Args:
        text: from the first `<`.

    Raises:
        MalformedXml: see there.
    """
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.document_type
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise MalformedXml(f"it is not well formed ({error})") from None
    except (LookupError, ValueError):
        raise MalformedXml("it declares an encoding that is not known; write it as UTF-8") from None
    return reader.found


class _Reader:
    """What the parser calls. An element that has ended, or begun another, is no leaf any more."""

    def __init__(self) -> None:
        self.found: list[tuple[str, bytes]] = []
        self._parts: list[str] | None = None
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        del name, attributes
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise MalformedXml(f"it has more than {MAX_ELEMENTS} elements")
        self._parts = []

    def text(self, data: str) -> None:
        if self._parts is not None:
            self._parts.append(data)

    def end(self, name: str) -> None:
        if self._parts is not None:
            self.found.append((name.rpartition(":")[2], "".join(self._parts).strip().encode()))
        self._parts = None

    def document_type(self, *_: object) -> None:
        raise MalformedXml("it declares a document type (DOCTYPE), which may define entities; remove that")
