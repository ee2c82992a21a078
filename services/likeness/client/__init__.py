"""The Python client, synchronous and asynchronous. Needs the generated protocol and grpc alone.

with LikenessClient("127.0.0.1:50051", entity="NCB-FR", purpose="missing_person") as client:
    client.wait_ready()
    for answer in client.face.search(Path("probe.jpg"), galleries=["missing"]).answers:
        ...
"""

from likeness.client.aio import AsyncLikenessClient, AsyncModality
from likeness.client.errors import (
    Aborted,
    AlreadyExists,
    CallFailed,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from likeness.client.oversight import AsyncOversight, Oversight
from likeness.client.requests import EnrollOptions, ListOptions, SearchOptions, metadata, reference, sample
from likeness.client.stream import Enrolment, Outcome
from likeness.client.sync import LikenessClient, Modality
from likeness.client.tls import Tls
from likeness.client.transport import AsyncTransport, Transport

__all__ = [
    "Aborted",
    "AlreadyExists",
    "AsyncLikenessClient",
    "AsyncModality",
    "AsyncOversight",
    "AsyncTransport",
    "CallFailed",
    "Cancelled",
    "DataLoss",
    "DeadlineExceeded",
    "EnrollOptions",
    "Enrolment",
    "FailedPrecondition",
    "FieldViolation",
    "Internal",
    "InvalidArgument",
    "LikenessClient",
    "ListOptions",
    "Modality",
    "NotFound",
    "Outcome",
    "Oversight",
    "PermissionDenied",
    "ResourceExhausted",
    "SearchOptions",
    "Tls",
    "Transport",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "metadata",
    "reference",
    "sample",
]
