"""How a client connects, and as whom; shared by the synchronous and the asynchronous one."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2

from likeness.client import requests
from likeness.client.errors import CallFailed, Unavailable
from likeness.protocol import Service, by_modality
from likeness.v1 import common_pb2 as common

MAX_MESSAGE = 68 << 20
"""Bytes of one answer; as much as the service sends by default."""

# Pings find a dead connection after 40 s at most, and only while a call is under way: the service allows one
# ping every 10 s.
OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", -1),  # the service has the limit, and says so in its own words
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)

TIMEOUT = 30.0
"""Seconds for one request with all its retries."""

RETRIES = 4
"""Attempts after the first."""

READY_PAUSE = 0.1
"""Seconds between two looks at the health of a service that is starting."""


def health_name(modality: str, services: tuple[Service, ...]) -> str:
    """How the health service names a modality's service; the empty name stands for all together.

    Raises:
        KeyError: there is no such modality.
    """
    return by_modality(services)[modality].name if modality else ""


def caller(entity: str, purpose: str, case_reference: str, operator: str) -> common.CallerContext:
    """The caller context that every request carries.

    Raises:
        ValueError: the purpose is not in the protocol.
    """
    return common.CallerContext(
        entity=entity,
        purpose=requests.purpose_number(purpose),
        case_reference=case_reference,
        operator=operator,
    )


def changed(
    before: common.CallerContext, purpose: str | None, case_reference: str | None, operator: str | None
) -> common.CallerContext:
    """The same caller with what is given in place of what was."""
    after = common.CallerContext()
    after.CopyFrom(before)
    if purpose is not None:
        after.purpose = requests.purpose_number(purpose)
    if case_reference is not None:
        after.case_reference = case_reference
    if operator is not None:
        after.operator = operator
    return after


def is_serving(answer: health_pb2.HealthCheckResponse) -> bool:
    """Whether the health service says SERVING."""
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def not_ready(seconds: float, last: CallFailed | None = None) -> Unavailable:
    """The error of a service that did not become ready, with its last message."""
    state = "it is not serving yet" if last is None else last.message
    return Unavailable(
        f"The service was not ready within {seconds:g} s: {state}.", code=grpc.StatusCode.UNAVAILABLE
    )
