"""Which characters a text may hold, and how a text that may hold others is shown.

What is refused steers a terminal or a line instead of standing in it: control characters (C0, DEL and C1: escape
sequences, newlines, tabs), line and paragraph separators, embeddings, overrides and isolates of the writing
direction, deprecated format characters, tags and byte order marks, and surrogates without a partner, which is what
Python makes of bytes that are not UTF-8. Joiners and direction marks are letters' own business (Persian, Hindi,
Hebrew) and can do no more than a letter of such a script can.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping

_STEERING = (
    r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e007f\ud800-\udfff"
)
_UNPRINTABLE = re.compile(f"[{_STEERING}]")
_IN_LINES = re.compile(rf"(?!\n)[{_STEERING}]")
_BYTES = range(0xDC80, 0xDD00)
"""Surrogates by which Python names a byte of the operating system that is not UTF-8 (PEP 383)."""


def unprintable_at(text: str) -> int | None:
    """Where the first character stands that a text may not hold, from 0; None if there is none."""
    found = _UNPRINTABLE.search(text)
    return None if found is None else found.start()


def named(character: str) -> str:
    """A character for a message: `U+001B`, or the byte that it stands for: `byte 0xFF`."""
    code = ord(character)
    return f"byte 0x{code - 0xDC00:02X}" if code in _BYTES else f"U+{code:04X}"


def printable(text: str) -> str:
    """The text on one line, its unprintable characters as escapes: `\\x1b`, `\\n`, `\\u202e`; a byte that is not
    UTF-8 as `\\xff`, which a shell takes in `$'...'`."""
    return _UNPRINTABLE.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """The same, with line ends left in: for texts of ours that have several lines."""
    return _IN_LINES.sub(_escaped, text)


def ascii_text(text: str) -> str:
    """The text in printable ASCII, for fonts that have no more: accents are dropped, other letters become `?`."""
    return (
        "".join(c for c in unicodedata.normalize("NFKD", printable(text)) if not unicodedata.combining(c))
        .encode("ascii", "replace")
        .decode("ascii")
    )


def json_line(document: Mapping[str, object], *, ascii_only: bool = False) -> str:
    """A document as one line of JSON that steers no terminal and can be encoded; whoever parses it gets each text
    back as it was."""
    line = json.dumps(document, ensure_ascii=ascii_only)
    return _UNPRINTABLE.sub(lambda found: json.dumps(found[0])[1:-1], line)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code in _BYTES:
        return f"\\x{code - 0xDC00:02x}"
    return found[0].encode("unicode_escape").decode("ascii")
