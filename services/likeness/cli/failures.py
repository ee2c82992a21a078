"""Exit codes, and the one place where errors become one line for a person."""

from __future__ import annotations

import errno
import inspect
from enum import IntEnum
from typing import Any

import typer
from typer.core import TyperGroup

from likeness.cli import output
from likeness.domain.errors import ErrorKind, LikenessError


class Exit(IntEnum):
    """What the process's exit code says."""

    DONE = 0
    PARTLY = 1
    """Done, but something was rejected, was not found or is red."""
    USAGE = 2
    """The command line, a file it names or a setting is wrong."""
    UNREACHABLE = 3
    """The server cannot be reached, is not ready or did not answer in time; try again."""
    REFUSED = 4
    """The request was refused: bad input, missing rights, a quota, not found, or the state does not allow it."""
    DAMAGED = 5
    """Stored data or a model does not match its seal or digest."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C; what was done is done."""


EXIT_CODES = (
    "Exit codes: 0 done; 1 done in part (something was rejected, not found or red); 2 the command line, a file or "
    "a setting is wrong; 3 the server is not reachable, not ready or too slow; 4 refused (input, rights, quota, "
    "state); 5 damaged data or model; 130 interrupted."
)

_BY_KIND = {
    ErrorKind.INVALID: Exit.USAGE,
    ErrorKind.UNAVAILABLE: Exit.UNREACHABLE,
    ErrorKind.DEADLINE: Exit.UNREACHABLE,
    ErrorKind.EXHAUSTED: Exit.UNREACHABLE,
    ErrorKind.CORRUPT: Exit.DAMAGED,
}


def exit_code(error: LikenessError) -> Exit:
    """The exit code for an error that arose here; what a server refused has its own."""
    return _BY_KIND.get(error.kind, Exit.REFUSED)


class Stopped(Exception):
    """A command cannot go on: one line for a person, and the exit code."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Commands(TyperGroup):
    """A group of commands whose expected errors end in one line and an exit code, never in a traceback.

    What is not expected (a bug) keeps its traceback.
    """

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, its help in paragraphs that are wrapped to the terminal and not as the source is."""
        command = super().get_command(ctx, cmd_name)
        if command is not None and command.help:
            paragraphs = inspect.cleandoc(command.help).split("\n\n")
            command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        return command

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            output.note("interrupted")
            raise typer.Exit(Exit.INTERRUPTED) from None
        except LikenessError as error:
            output.fail(error.message)
            raise typer.Exit(exit_code(error)) from None
        except Stopped as error:
            output.fail(error.message)
            raise typer.Exit(error.code) from None
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            named = f"{error.filename}: " if error.filename else ""
            output.fail(f"{named}{error.strerror or error}")
            raise typer.Exit(Exit.USAGE) from None
