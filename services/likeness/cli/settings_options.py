"""The options by which every local command finds its settings: file, home, and single settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from likeness.app.settings import Settings, load
from likeness.cli.option_checks import check_texts
from likeness.domain.errors import InvalidInput

PANEL = "Settings"

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="The settings file (TOML).", rich_help_panel=PANEL, show_default=False),
]
Home = Annotated[
    Path | None,
    typer.Option(
        "--home", help="Folder of database, keys and own models.", rich_help_panel=PANEL, show_default=False
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any single setting, repeatable; `likeness config show` lists them.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]

KeyRingFile = Annotated[
    Path | None,
    typer.Option(
        "--key-ring",
        help="The key ring file. Default: the one of the settings, in the home folder unless set.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]


def settings_from(
    config: Path | None, home: Path | None, single: list[str] | None, **named: object
) -> Settings:
    """The settings in force, with what the command line gave on top.

    Raises:
        InvalidInput: a setting is unknown or out of its range, or the file cannot be read.
    """
    check_texts({"set": single, **named})
    overrides: dict[str, object] = {"home": home, **named}
    for item in single or []:
        name, separator, value = item.partition("=")
        if not separator:
            raise InvalidInput(f"--set {item} has no value; write --set NAME=VALUE.")
        overrides[name.strip()] = value
    return load(config, overrides=overrides)
