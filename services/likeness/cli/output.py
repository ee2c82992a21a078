"""What goes where: answers to standard output (tables on a terminal, JSON in a pipe), all else to standard error.

JSON is one object per line, written as soon as it is known, so that a pipe can work on the first while the
second is made. Rich honours NO_COLOR and a dumb terminal by itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

PLAIN_EVERY = 500
"""Items between two lines of progress where standard error is not a terminal."""

_answers = Console(highlight=False, soft_wrap=False)
_notes = Console(stderr=True, highlight=False, soft_wrap=True)


def output_width() -> int:
    """Columns that an answer has; 80 where standard output is no terminal and COLUMNS does not say."""
    return _answers.width


class Output:
    """Where one command's answers go. `as_json` None decides by whether standard output is a terminal."""

    def __init__(self, as_json: bool | None) -> None:
        self.as_json = not sys.stdout.isatty() if as_json is None else as_json

    def answer(self, document: Mapping[str, object], shown: RenderableType) -> None:
        """Write one answer: the document as a line of JSON, or what a person is shown; text is not wrapped."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
            sys.stdout.flush()
        else:
            _answers.print(shown, markup=False, soft_wrap=isinstance(shown, str))


def note(text: str, style: str = "") -> None:
    """Tell the person something that is not part of the answer."""
    _notes.print(text, style=style or None, markup=False)


def warn(text: str) -> None:
    """Tell the person something that needs attention."""
    _notes.print(Text("warning: ", style="bold yellow").append(text, style="not bold default"))


def fail(text: str) -> None:
    """Tell the person why the command stops."""
    _notes.print(Text("error: ", style="bold red").append(text, style="not bold default"))


class _Rate(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        """The rate over the last seconds, or nothing yet."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f}/s" if speed else "", style="progress.data.speed")


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Callable[[str], None]]:
    """Show progress on standard error: a bar with rate and time left, or now and then a line.

    Yields:
        A function to call after each item, with a short word on the state (or an empty text).
    """
    if not _notes.is_terminal:
        yield _plain(title, total)
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        console=_notes,
        transient=False,
    )
    with bar:
        task = bar.add_task(title, total=total, state="")
        yield lambda state: bar.update(task, advance=1, state=state)


@contextmanager
def meter(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show on standard error how far one long step has come; nothing where that is no terminal.

    Yields:
        A function to call with what is done and what there is to do.
    """
    if not _notes.is_terminal:
        yield lambda _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=32), MofNCompleteColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=_notes, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain(title: str, total: int | None) -> Callable[[str], None]:
    done = 0
    of = f" of {total:,}" if total is not None else ""

    def step(state: str) -> None:
        nonlocal done
        done += 1
        if done % PLAIN_EVERY == 0 or done == total:
            note(f"{title}: {done:,}{of}" + (f", {state}" if state else ""))

    return step
