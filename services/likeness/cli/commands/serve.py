"""`likeness serve`: the server, until it receives a signal."""

from __future__ import annotations

from typing import Annotated

import typer

from likeness.app.composition import compose
from likeness.cli import output
from likeness.cli.settings_options import PANEL, ConfigFile, Home, Set, settings_from
from likeness.inference.concurrency.process import favour_throughput
from likeness.rpc.server import serve as serve_until_stopped


def serve(
    address: Annotated[
        str | None,
        typer.Option(
            help="Where gRPC listens, host:port; port 0 picks a free one.",
            rich_help_panel=PANEL,
            show_default=False,
        ),
    ] = None,
    metrics_address: Annotated[
        str | None,
        typer.Option(
            help="Where /metrics listens; empty turns it off.", rich_help_panel=PANEL, show_default=False
        ),
    ] = None,
    config: ConfigFile = None,
    home: Home = None,
    single: Set = None,
) -> None:
    """Start the server on its embedded default: database and index in this process.

    Ctrl-C or SIGTERM lets running requests finish and stops; a second one stops at once.
    """
    settings = settings_from(config, home, single, address=address, metrics_address=metrics_address)
    favour_throughput()
    output.note(f"starting; data in {settings.home}")
    serve_until_stopped(
        settings,
        compose,
        announce=lambda at: output.note(f"serving at {at}; Ctrl-C drains and stops", "bold"),
    )
    output.note("stopped")
