"""Starts the command line, or says what to install where the distribution brought the client alone."""

from __future__ import annotations

import sys

from likeness import DISTRIBUTION

EXTRA = "server"


def main() -> None:
    """Run the command line; ends the process with one line where a package of the extra is missing."""
    try:
        from likeness.cli.main import main as run  # noqa: PLC0415 - what it needs may be missing
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == __name__.partition(".")[0]:
            raise
        sys.exit(
            f"likeness: {error.name} is not installed, and only the client works without it: "
            f"pip install '{DISTRIBUTION}[{EXTRA}]'"
        )
    run()
