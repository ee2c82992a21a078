"""Restrictions on use by others, as options of commands."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

import typer

from likeness.cli.failures import Exit, Stopped

PANEL = "Limits on use by others"
_KINDS = {
    "entity": "entities",
    "country": "countries",
    "group": "groups",
    "purpose": "purposes",
}


class Disclosure(StrEnum):
    """The most that is shown to others; `policy` sets no limit."""

    POLICY = "policy"
    HIT = "hit"
    CANDIDATE = "candidate"
    FULL = "full"


Denied = Annotated[
    list[str] | None,
    typer.Option(
        "--deny",
        metavar="entity|country|group:NAME",
        help="Who may not use it, for example country:XX; repeatable. Without a name, nobody of that kind.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
Permitted = Annotated[
    list[str] | None,
    typer.Option(
        "--permit",
        metavar="entity|country|group|purpose:NAME",
        help="Who alone may use it, or for which purpose alone; repeatable. Without a name, no limit of that kind.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
Disclosed = Annotated[
    Disclosure | None,
    typer.Option(
        "--disclose",
        help="The most that is shown: that you hold something (hit), its identifier and score (candidate), or all.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]


def restrictions(deny: Iterable[str], permit: Iterable[str], disclose: Disclosure | None) -> dict[str, Any]:
    """The restrictions that are given, by their names in the protocol.

    Raises:
        Stopped: one is not of a known kind.
    """
    given: dict[str, Any] = {}
    for option, verb, texts in (("--deny", "denied", deny), ("--permit", "permitted", permit)):
        for text in texts:
            kind, colon, name = text.partition(":")
            if not colon or kind not in _KINDS or (kind, verb) == ("purpose", "denied"):
                kinds = ", ".join(k for k in _KINDS if (k, verb) != ("purpose", "denied"))
                raise Stopped(f"{option} '{text}' is not one of {kinds}, a colon and a name.", Exit.USAGE)
            names = given.setdefault(f"{verb}_{_KINDS[kind]}", [])
            names += [name] if name else []
    if disclose is not None:
        given["disclosure"] = "unspecified" if disclose is Disclosure.POLICY else disclose.value
    return given
