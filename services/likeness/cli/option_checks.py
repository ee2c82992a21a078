"""Checks the texts that a person gives in options and variables, before anything is sent or written."""

from __future__ import annotations

from collections.abc import Mapping

from likeness.domain.errors import InvalidInput
from likeness.domain.text import named, unprintable_at

_ARGUMENTS = {"ids": "An id"}


def check_texts(values: Mapping[str, object]) -> None:
    """Check the texts and lists of texts among the values of a command's parameters, by their names.

    Raises:
        InvalidInput: one holds a control character, or a byte that is not UTF-8.
    """
    for name, value in values.items():
        for text in value if isinstance(value, list | tuple) else (value,):
            if isinstance(text, str):
                check_text(text, _option(name))


def check_text(text: str, option: str) -> None:
    """Check one text.

    Raises:
        InvalidInput: names the option, the character and its position.
    """
    at = unprintable_at(text)
    if at is None:
        return
    character = named(text[at])
    what = "which is not UTF-8" if character.startswith("byte") else "a control character"
    raise InvalidInput(
        f"{option} holds {character} at position {at + 1}, {what}; give plain text on one line, in UTF-8."
    )


def _option(name: str) -> str:
    """What a person calls a parameter: its option, or what the argument is."""
    return _ARGUMENTS.get(name) or f"--{name.replace('_', '-')}"
