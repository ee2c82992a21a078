"""The options by which every local command finds its settings: file, home, and single settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeVar

import typer

from likeness.app.settings import Settings, load
from likeness.cli.option_checks import check_texts
from likeness.domain.errors import InvalidInput

PANEL = "Settings"

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="The settings file (TOML). Default: LIKENESS_CONFIG, or likeness.toml in the home.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
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


_Command = TypeVar("_Command", bound=Callable[..., None])
_SHARED: dict[str, Any] = {"config": ConfigFile, "home": Home, "single": Set}


def configured(
    *, ring: bool = False, further: Mapping[str, Any] = MappingProxyType({})
) -> Callable[[_Command], _Command]:
    """Give a command the options by which it finds its settings; it receives them as `settings: Settings`.

    `ring` gives it `--key-ring` too; one that must know whether that was given has `key_ring` as its own option.
    `further` are options of single settings, by the names of these; an option has the last part of the name.
    """
    setting_of = {name.rpartition(".")[2]: name for name in further}
    options = _SHARED | ({"key_ring": KeyRingFile} if ring else {})
    options |= {option: further[name] for option, name in setting_of.items()}

    def decorate(command: _Command) -> _Command:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.name != "settings"]
        shared = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            for name, annotation in options.items()
        ]

        @wraps(command)
        def run(**values: Any) -> None:
            given = {setting_of.get(name, name): values.pop(name) for name in options}
            if "key_ring" in values:
                given["key_ring"] = values["key_ring"]
            command(**values, settings=settings_from(**given))

        run.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in (*own, *shared)}
        return run  # type: ignore[return-value]

    return decorate
