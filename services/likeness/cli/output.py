"""What goes where: answers to standard output (tables on a terminal, JSON in a pipe), all else to standard error.

JSON is one object per line, written as soon as it is known, so that a pipe can work on the first while the
second is made. Rich honours NO_COLOR and a dumb terminal by itself.

Everything printed passes here, whoever wrote it: what could steer the terminal is shown as an escape, and what the
terminal's encoding lacks as well. JSON says the same in its own escapes, so that nothing of a text is lost.
"""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
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
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from likeness.domain.text import json_line, printable, printable_lines

PLAIN_EVERY = 500
"""Items between two lines of progress where standard error is not a terminal; fewer where they take long."""

QUIET_SECONDS = 10.0
"""Seconds without a line after which a long step says that it is still under way."""

ROOMY = 110
"""Columns of a terminal from which a reference fits on one line, its identifier whole."""


class _Console(Console):
    """Writes texts as they are (no markup, no emoji codes), their unprintable characters as escapes."""

    def __init__(self, *, stderr: bool, soft_wrap: bool) -> None:
        super().__init__(stderr=stderr, soft_wrap=soft_wrap, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Replaces before widths are measured, so that columns stay straight."""
        return super().render_str(printable_lines(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Replaces in what came in any other way."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable_lines(segment.text))


_answers = _Console(stderr=False, soft_wrap=False)
_notes = _Console(stderr=True, soft_wrap=True)
_last_note = time.monotonic()


def tolerate_encodings() -> None:
    """Let a terminal or pipe that cannot encode a character show its escape instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def output_width() -> int:
    """Columns that an answer has; 80 where standard output is no terminal and COLUMNS does not say."""
    return _answers.width


def plain_table(*heads: str, whole: tuple[str, ...] = (), right: tuple[str, ...] = ()) -> Table:
    """A table without lines.

    Args:
        heads: the columns' headings.
        whole: columns whose cells must not be cut or wrapped, because people copy them.
        right: columns of numbers.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for head in heads:
        table.add_column(
            head, no_wrap=head in whole, justify="right" if head in right else "left", overflow="fold"
        )
    return table


class Output:
    """Where one command's answers go. `as_json` None decides by whether standard output is a terminal."""

    def __init__(self, as_json: bool | None) -> None:
        self.as_json = not sys.stdout.isatty() if as_json is None else as_json

    def answer(self, document: Mapping[str, object], shown: RenderableType) -> None:
        """Write one answer: the document as a line of JSON, or what a person is shown; text is not wrapped."""
        if self.as_json:
            encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
            sys.stdout.write(json_line(document, ascii_only=encoding != "utf8") + "\n")
            sys.stdout.flush()
        else:
            _answers.print(shown, soft_wrap=isinstance(shown, str))


def note(text: str, style: str = "") -> None:
    """Tell the person something that is not part of the answer."""
    global _last_note  # noqa: PLW0603  one terminal, one last line
    _last_note = time.monotonic()
    _notes.print(text, style=style or None)


def warn(text: str) -> None:
    """Tell the person something that needs attention."""
    _notes.print(Text("warning: ", style="bold yellow").append(printable(text), style="not bold default"))


def fail(text: str) -> None:
    """Tell the person why the command stops."""
    _notes.print(Text("error: ", style="bold red").append(printable(text), style="not bold default"))


@contextmanager
def heartbeat(doing: str | Callable[[], str]) -> Iterator[None]:
    """Say every `QUIET_SECONDS` that a step is still under way, unless something else was written meanwhile.

    Args:
        doing: what is being done, or what tells it when it is asked.
    """
    began, ended = time.monotonic(), threading.Event()

    def beat() -> None:
        while not ended.wait(max(0.1, max(began, _last_note) + QUIET_SECONDS - time.monotonic())):
            if time.monotonic() - max(began, _last_note) >= QUIET_SECONDS:
                now = doing if isinstance(doing, str) else doing()
                note(f"  still {now} ({time.monotonic() - began:.0f} s)", "dim")

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class _Rate(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        """The rate over the last seconds, or nothing yet."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f}/s" if speed else "", style="progress.data.speed")


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Callable[[str], None]]:
    """Show progress on standard error: a bar with rate and time left, or a line now and then.

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
        if done % PLAIN_EVERY == 0 or done == total or time.monotonic() - _last_note >= QUIET_SECONDS:
            note(f"{title}: {done:,}{of}" + (f", {state}" if state else ""))

    return step
