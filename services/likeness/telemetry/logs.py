"""Structured logs, one JSON object per line, that personal data cannot slip into.

A line holds the UTC time, the level, the logger, the event (a constant phrase) and fields from `FIELDS`. What
is not in that list is left out and only its name is logged, under `dropped`. Messages of errors are left out
as well, since they speak of inputs by the caller's own names: a line carries the error's type, its reason
and its stack instead.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

from likeness.domain.text import json_line

FIELDS = frozenset(
    {
        # the request
        "service", "method", "code", "reason", "seconds", "entity", "purpose", "request_bytes", "incident",
        "items", "rejected", "request_id", "audit_position", "audit_head", "log_position",
        "replayed",
        # the state of the service
        "address", "transport", "version", "modality", "model", "space", "calibration", "generation", "kind",
        "position", "lag", "references", "recall", "sample", "threads", "limit", "grace", "path", "setting",
        "origin", "bytes", "task", "calls",
        # the rules of access, and what is wrong with the operator's own files of them
        "policy", "problem",
        # what a library wrote, at DEBUG alone
        "line",
    }
)  # fmt: skip
"""The only names that a log line may carry in addition to its own. None of them can hold personal data, but for
`line`."""

_MAX_TEXT = 256
"""Characters of one text value; longer ones are cut, so that a line stays one line."""

_MAX_FRAMES = 40
"""Frames of a stack that are written, innermost last."""

_OURS = "likeness"

# What every record has of itself; `message` and `asctime` are added by other formatters.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

_bound: ContextVar[Mapping[str, object]] = ContextVar("likeness_log_fields", default={})  # noqa: B039


def bind(**fields: object) -> None:
    """Add these fields to every later line of this context: of this RPC, and of the work started for it."""
    _bound.set({**_bound.get(), **fields})


def event(
    logger: logging.Logger, level: int, name: str, *, error: BaseException | None = None, **fields: object
) -> None:
    """Log one event.

    Args:
        name: a constant phrase; what varies goes into `fields`.
        error: its type, reason and stack are written, and its message is not.
        fields: values by the names in `FIELDS`; the same as `extra=` of the standard call.
    """
    if logger.isEnabledFor(level):
        logger.log(level, name, exc_info=error, extra=fields)


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, with the fields that are allowed."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its newline."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": _event(record),
        }
        given = {**_bound.get(), **_extra(record)}
        line |= {name: _plain(value) for name, value in given.items() if name in FIELDS}
        dropped = sorted(name for name in given if name not in FIELDS)
        if dropped:
            line["dropped"] = dropped
        if record.exc_info and record.exc_info[1] is not None:
            line |= _described(record.exc_info[1])
        return json_line(line)


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every logger's records to `stream` (standard error) as JSON lines.

    Raises:
        KeyError: `level` is not a level of the logging module.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))
    logging.getLogger(_OURS).setLevel(level.upper())


def _extra(record: logging.LogRecord) -> dict[str, object]:
    """What the logging call was given as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _OWN}


def _event(record: logging.LogRecord) -> str:
    """Our own constant phrase; of other libraries the unfilled template, since the values may be anyone's."""
    return str(record.msg).partition("\n")[0][:_MAX_TEXT]


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…"


def _described(error: BaseException) -> dict[str, object]:
    described: dict[str, object] = {
        "error": f"{type(error).__module__}.{type(error).__qualname__}",
        "stack": _frames(error.__traceback__),
    }
    reason = getattr(error, "reason", None)
    if isinstance(reason, str):
        described["error_reason"] = reason[:_MAX_TEXT]
    if isinstance(error, OSError):
        described["errno"] = error.errno
    cause = error.__cause__ or error.__context__
    if cause is not None and cause is not error:
        described["cause"] = f"{type(cause).__module__}.{type(cause).__qualname__}"
        described["cause_stack"] = _frames(cause.__traceback__)
    return described


def _frames(trace: TracebackType | None) -> list[str]:
    summary = traceback.extract_tb(trace)[-_MAX_FRAMES:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in summary]
