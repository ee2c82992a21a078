"""The options by which commands choose references."""

from __future__ import annotations

from typing import Annotated

import typer

from likeness.domain.references import Category, Status

FILTERS = "Filters"

InGalleries = Annotated[
    list[str] | None,
    typer.Option(
        "--gallery", "-g", help="Only this gallery; repeatable.", rich_help_panel=FILTERS, show_default=False
    ),
]
OfOwners = Annotated[
    list[str] | None,
    typer.Option(
        "--owner",
        help="Only references of this owner; repeatable.",
        rich_help_panel=FILTERS,
        show_default=False,
    ),
]
OfCategories = Annotated[
    list[Category] | None,
    typer.Option(
        "--category", help="Only this category; repeatable.", rich_help_panel=FILTERS, show_default=False
    ),
]
OfStatuses = Annotated[
    list[Status] | None,
    typer.Option(
        "--status", help="Only this status; repeatable.", rich_help_panel=FILTERS, show_default=False
    ),
]
