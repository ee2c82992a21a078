"""`likeness config`: which settings are in force, and where each came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo
from rich.table import Table

from likeness.app.setting_names import fields
from likeness.app.settings import Settings
from likeness.cli.failures import Commands
from likeness.cli.options import AsJson
from likeness.cli.output import Output, plain_table
from likeness.cli.settings_options import configured

app = typer.Typer(cls=Commands, no_args_is_help=True, help="Show the settings in force.")


@app.command(
    epilog="Example: `likeness config show --changed`; the setting NAME of a SECTION is the key NAME of the table "
    "SECTION in likeness.toml, the variable LIKENESS_SECTION_NAME and the option --set SECTION.NAME=VALUE; the "
    "later of these wins."
)
@configured()
def show(
    *,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only settings that are not the default.")
    ] = False,
    as_json: AsJson = None,
    settings: Settings,
) -> None:
    """Show every setting with its value and its origin: default, file, variable or command line."""
    shown = {
        name: (value, settings.origins[name])
        for name, value in settings.values.items()
        if not changed or settings.origins[name] != "default"
    }
    Output(as_json).answer(_document(shown), _table(shown, fields(type(settings))))


def _document(shown: Mapping[str, tuple[object, str]]) -> dict[str, Any]:
    """Each section with what is shown of it; what is in none stands on the same level."""
    document: dict[str, Any] = {}
    for name, (value, origin) in shown.items():
        section, _, key = name.rpartition(".")
        within = document.setdefault(section, {}) if section else document
        within[key] = {"value": value, "origin": origin}
    return document


def _table(shown: Mapping[str, tuple[object, str]], described: Mapping[str, FieldInfo]) -> Table:
    table = plain_table("Setting", "Value", "Origin", "What it does", whole=("Setting",))
    within = ""
    for name, (value, origin) in shown.items():
        section, _, key = name.rpartition(".")
        if section != within:
            table.add_row(f"[{section}]", style="dim")
            within = section
        text = "(unset)" if value in (None, "") else str(value)
        style = "" if origin == "default" else "bold"
        table.add_row(
            f"  {key}" if section else key, text, origin, described[name].description or "", style=style
        )
    return table
