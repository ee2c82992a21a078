"""The connection to a server, and what its errors mean to a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from likeness.cli.caller import Asking
from likeness.cli.failures import Exit, Stopped
from likeness.cli.refusals import is_used_up
from likeness.client import CallFailed, LikenessClient, Unavailable
from likeness.domain.errors import InvalidInput
from likeness.domain.text import printable

_BY_CODE = {
    grpc.StatusCode.UNAVAILABLE: Exit.UNREACHABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: Exit.UNREACHABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Exit.UNREACHABLE,
    grpc.StatusCode.DATA_LOSS: Exit.DAMAGED,
}


@contextmanager
def connect(asking: Asking) -> Iterator[LikenessClient]:
    """A client that speaks for the caller.

    Raises:
        Stopped: an RPC failed for good; the message says why and what to do.
        InvalidInput: a certificate or key cannot be read, has expired, or is given without the other or with one
            that it does not belong to.
    """
    with explained(asking), _client(asking) as client:
        yield client


def _client(asking: Asking) -> LikenessClient:
    try:
        return LikenessClient(
            asking.server,
            entity=asking.entity,
            purpose=asking.purpose.value,
            case_reference=asking.case,
            operator=asking.operator,
            timeout=asking.timeout,
            tls=asking.tls,
            token=asking.token,
        )
    except Unavailable as error:  # nothing was called yet: it is the files that are wrong
        raise InvalidInput(error.message) from error
    except OSError as error:
        raise InvalidInput(f"{error.filename} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InvalidInput(f"The server cannot be called so: {error}.") from error


@contextmanager
def explained(asking: Asking) -> Iterator[None]:
    """Turn a failed RPC into one line and an exit code."""
    try:
        yield
    except CallFailed as error:
        raise Stopped(explain(error, asking), exit_code(error)) from error


def exit_code(error: CallFailed) -> Exit:
    """The exit code for a failed RPC."""
    return Exit.REFUSED if is_used_up(error) else _BY_CODE.get(error.code, Exit.REFUSED)


def explain(error: CallFailed, asking: Asking) -> str:
    """What happened and what to do, on one line; the service's own words where it gave any."""
    message = printable(error.message)
    if error.reason:
        return message
    match error.code:
        case grpc.StatusCode.UNAVAILABLE:
            return (
                f"No server answers at {asking.server}; start one with `likeness serve`, or name it with --server "
                f"or LIKENESS_SERVER. ({message})"
            )
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return (
                f"The server at {asking.server} did not answer within {asking.timeout:g} s; give it longer with "
                "--timeout, or see its load with `likeness doctor`."
            )
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"The server at {asking.server} does not offer this; bring it to this release."
    return f"{message} ({error.code.name})"
