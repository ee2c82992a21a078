"""Asks a person before something is done that cannot be undone."""

from __future__ import annotations

import sys

import typer

from likeness.cli.failures import Exit, Stopped
from likeness.cli.output import note


def confirm(question: str, to_do: str, *, yes: bool, warning: str = "") -> None:
    """Go on if a person agrees, or agreed beforehand.

    Args:
        question: to be answered with yes or no.
        to_do: what is confirmed, as it follows "to".
        yes: whether it was agreed to by `--yes`; nothing is asked or said then.
        warning: what to know before one answers.

    Raises:
        Stopped: nobody is there to be asked.
        typer.Abort: the person does not agree.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise Stopped(f"Nobody is there to confirm; give --yes to {to_do} without asking.", Exit.USAGE)
    if warning:
        note(warning)
    typer.confirm(question, abort=True, err=True)
