"""The modalities of this release. To add one, add its entry here and its service to `likeness.protocol`."""

from __future__ import annotations

from typing import Any

from likeness.engine.entry import ModalityEntry
from likeness.face.entry import ENTRY as FACE
from likeness.fingerprint.entry import ENTRY as FINGERPRINT
from likeness.object.entry import ENTRY as OBJECT

Entries = tuple[ModalityEntry[Any, Any], ...]

ENTRIES: Entries = (FACE, FINGERPRINT, OBJECT)
"""In the order in which they are listed everywhere; the first is what the command line takes by default."""


def entry_of(name: str, entries: Entries = ENTRIES) -> ModalityEntry[Any, Any]:
    """The entry of that name.

    Raises:
        KeyError: there is none.
    """
    return {entry.name: entry for entry in entries}[name]
