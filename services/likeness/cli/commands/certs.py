"""`likeness certs`: certificates to try mutual TLS with."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from likeness.app.authority import Authority
from likeness.app.development_certificates import Made, make
from likeness.cli.failures import Commands
from likeness.cli.option_checks import check_texts
from likeness.cli.output import note

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Certificates for mutual TLS. Those for service come from an authority of yours.",
)


@app.callback()
def _group() -> None:
    """So that `dev` stays a command of its own while it is the only one."""


@app.command(
    epilog="Example: `likeness certs dev --into certs`, then `likeness serve --config certs/likeness.toml`; "
    "clients take `certs/examiner.crt` and its key, or another role's."
)
def dev(
    into: Annotated[Path, typer.Option(help="The folder that they are made in.")] = Path("certs"),
    host: Annotated[
        list[str] | None,
        typer.Option(help="A further name or address that the server is called by; repeatable."),
    ] = None,
    country: Annotated[str, typer.Option(help="The country of the entity.")] = "xx",
    entity: Annotated[str, typer.Option(help="The entity that they speak for, in every role.")] = "NCB-XX",
    days: Annotated[int, typer.Option(min=1, max=397, help="How long they are valid.")] = 30,
    replace: Annotated[bool, typer.Option("--replace", help="Replace files that are there.")] = False,
) -> None:
    """Make a local authority, and certificates for a server and for each role: to try things out, not for service.

    The authority's key is not kept, so nothing more can be issued in its name. With them come a settings file for
    the server and a directory of the principals; commands that read the directory, such as those of
    `likeness policy`, need that file too: `--config` or LIKENESS_CONFIG.

    For several countries make each a folder of its own; docs/operations.md says how one server takes them all.
    """
    check_texts({"host": host, "country": country, "entity": entity})
    made = make(
        into,
        Authority("Likeness development authority", timedelta(days=days)),
        Made(country, entity),
        hosts=("localhost", "127.0.0.1", "::1", *(host or ())),
        replace=replace,
    )
    note(f"made {len(made)} files in {into}, valid for {days} days")
    folder = into.absolute()
    for line in (
        f"likeness serve --config {folder / 'likeness.toml'}",
        f"likeness policy check --config {folder / 'likeness.toml'}",
        f"export LIKENESS_AUTHORITY={folder / 'authority.crt'} LIKENESS_CERTIFICATE={folder / 'examiner.crt'} "
        f"LIKENESS_KEY={folder / 'examiner.key'} LIKENESS_ENTITY={entity}",
    ):
        note(f"  {line}")
