"""`likeness config`: which settings are in force, and where each came from."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from likeness.app.settings import Settings
from likeness.cli.failures import Commands
from likeness.cli.options import AsJson
from likeness.cli.output import Output, plain_table
from likeness.cli.settings_options import ConfigFile, Home, Set, settings_from

app = typer.Typer(cls=Commands, no_args_is_help=True, help="Show the settings in force.")


@app.command(
    epilog="Example: `likeness config show --changed`; a setting NAME is the key NAME in likeness.toml, the "
    "variable LIKENESS_NAME and the option --set NAME=VALUE; the later of these wins."
)
def show(
    changed: Annotated[
        bool, typer.Option("--changed", help="Only settings that are not the default.")
    ] = False,
    config: ConfigFile = None,
    home: Home = None,
    single: Set = None,
    as_json: AsJson = None,
) -> None:
    """Show every setting with its value and its origin: default, file, variable or command line."""
    settings = settings_from(config, home, single)
    rows = {
        name: (value, settings.origins[name])
        for name, value in settings.model_dump(mode="json").items()
        if not changed or settings.origins[name] != "default"
    }
    document = {name: {"value": value, "origin": origin} for name, (value, origin) in rows.items()}
    Output(as_json).answer(document, _table(rows))


def _table(rows: dict[str, tuple[object, str]]) -> Table:
    table = plain_table("Setting", "Value", "Origin", "What it does", whole=("Setting",))
    for name, (value, origin) in rows.items():
        shown = "(unset)" if value in (None, "") else str(value)
        about = Settings.model_fields[name].description or ""
        table.add_row(name, shown, origin, about, style="" if origin == "default" else "bold")
    return table
