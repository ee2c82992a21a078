"""Options that commands share by name and meaning."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[
    bool | None,
    typer.Option(
        "--json/--table",
        help="JSON, one object per line, or tables. Default: tables on a terminal, JSON in a pipe.",
        show_default=False,
    ),
]

FormerSelect = Annotated[str, typer.Option("--which", hidden=True)]
"""The name of `--select` in earlier releases; still accepted."""
