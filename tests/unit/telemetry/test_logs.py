"""A log line carries what operators need and cannot carry personal data."""

from __future__ import annotations

import ast
import contextvars
import io
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from likeness.domain.errors import InvalidInput
from likeness.telemetry import logs
from tests.commands import ROOT


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


LOGGER = logging.getLogger("likeness.test")


def test_a_line_is_json_with_time_level_event_and_fields(stream: io.StringIO) -> None:
    logs.event(LOGGER, logging.INFO, "rpc", method="Search", seconds=0.25)
    (line,) = lines(stream)
    assert line["event"] == "rpc"
    assert line["level"] == "INFO"
    assert line["method"] == "Search"
    assert line["seconds"] == 0.25
    assert datetime.fromisoformat(line["time"]).tzinfo == UTC


def test_a_field_outside_the_list_is_left_out_and_named(stream: io.StringIO) -> None:
    logs.event(LOGGER, logging.INFO, "enrolled", subject_id="Jane Roe", method="Enroll")
    assert "Jane Roe" not in stream.getvalue()
    assert lines(stream)[0]["dropped"] == ["subject_id"]


def test_the_message_of_an_error_is_left_out_and_its_reason_and_stack_are_logged(stream: io.StringIO) -> None:
    try:
        raise InvalidInput("jane-roe.jpg holds no face.", reason="NO_FACE")
    except InvalidInput as error:
        logs.event(LOGGER, logging.ERROR, "failed", error=error)
    (line,) = lines(stream)
    assert "jane-roe" not in stream.getvalue()
    assert line["error"] == "likeness.domain.errors.InvalidInput"
    assert line["error_reason"] == "NO_FACE"
    assert line["stack"][-1].endswith(
        "test_the_message_of_an_error_is_left_out_and_its_reason_and_stack_are_logged"
    )


def test_values_given_to_another_librarys_message_are_left_out(stream: io.StringIO) -> None:
    logging.getLogger("elsewhere").warning("row %s was refused\nwith parameters", "Jane Roe")
    (line,) = lines(stream)
    assert line["event"] == "row %s was refused"
    assert "Jane Roe" not in stream.getvalue()


def test_bound_fields_reach_lines_of_their_context_and_its_copies_only(stream: io.StringIO) -> None:
    def inside() -> None:
        logs.bind(entity="NCB-FR")
        logs.bind(method="Get")
        logs.event(LOGGER, logging.INFO, "inside")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(contextvars.copy_context().run, logs.event, LOGGER, logging.INFO, "copied").result()

    contextvars.copy_context().run(inside)
    logs.event(LOGGER, logging.INFO, "outside")
    first, copied, outside = lines(stream)
    assert (first["entity"], first["method"]) == ("NCB-FR", "Get")
    assert copied["entity"] == "NCB-FR"
    assert "entity" not in outside


def test_long_values_are_cut(stream: io.StringIO) -> None:
    logs.event(LOGGER, logging.INFO, "long", path="x" * 10_000)
    assert len(stream.getvalue()) < 500


def test_other_libraries_are_heard_from_warnings_on(stream: io.StringIO) -> None:
    logging.getLogger("elsewhere").info("chatter")
    assert stream.getvalue() == ""


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(KeyError):
        logs.configure("LOUD")


def test_nothing_that_is_logged_is_dropped() -> None:
    calls = [
        (path, call)
        for path in sorted((ROOT / "services").rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in {"logs.event", "logs.bind"}
    ]
    assert len(calls) > 20
    given = {(path.name, word.arg) for path, call in calls for word in call.keywords if word.arg}
    assert {(name, field) for name, field in given if field not in {*logs.FIELDS, "error"}} == set()
