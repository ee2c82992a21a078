"""Starts the command line, or says what to install where the distribution brought too little for it."""

from __future__ import annotations

import sys
from importlib import import_module

from likeness import DISTRIBUTION

EXTRA = "server"
"""What `likeness` needs."""


def main() -> None:
    """Run `likeness`; ends the process with one line where a package of the extra is missing."""
    _run("likeness.cli.main", EXTRA)


def witness() -> None:
    """Run `likeness-witness`, which needs less."""
    _run("likeness.cli.commands.witness", "witness")


def _run(module: str, extra: str) -> None:
    try:
        program = import_module(module)  # what it needs may be missing
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == __name__.partition(".")[0]:
            raise
        sys.exit(
            f"{module.partition('.')[0]}: {error.name} is not installed, and only the client works without it: "
            f"pip install '{DISTRIBUTION}[{extra}]'"
        )
    program.main()
