"""The modalities as the command line has them: `--modality`."""

from __future__ import annotations

import typer

from likeness.app.registry import ENTRIES, entry_of
from likeness.engine.entry import SampleWords

DEFAULT = ENTRIES[0].name
"""What is enrolled, searched and compared unless another is named."""

NAMES = tuple(entry.name for entry in ENTRIES)


def parse_modality(text: str) -> str:
    """The modality that is named.

    Raises:
        BadParameter: there is none of that name.
    """
    if text not in NAMES:
        raise typer.BadParameter(f"'{text}' is not one of {', '.join(NAMES)}.")
    return text


def words_of(modality: str) -> SampleWords:
    """What the samples of a modality are called, and which files hold them.

    Raises:
        KeyError: there is no such modality.
    """
    return entry_of(modality).words
