"""One table of the services that the protocol has, for client and server both; imports the generated code alone.

Every service of a modality has the same methods. What differs is its name, which begins with that of its modality.
Oversight is about no modality, and has methods of its own.
"""
# ruff: noqa: N802 - methods are named as the protocol names them

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from likeness.v1 import (
    face_pb2,
    face_pb2_grpc,
    fingerprint_pb2,
    fingerprint_pb2_grpc,
    object_pb2,
    object_pb2_grpc,
    oversight_pb2,
    oversight_pb2_grpc,
)

if TYPE_CHECKING:
    import grpc
    from google.protobuf.descriptor import ServiceDescriptor

    from likeness.v1 import matching_pb2 as matching

_SUFFIX = "Service"


class Stub(Protocol):
    """The methods of every service over a synchronous channel."""

    @property
    def Enroll(self) -> grpc.UnaryUnaryMultiCallable[matching.EnrollRequest, matching.EnrollResponse]:
        """Enrols one sample."""

    @property
    def EnrollMany(
        self,
    ) -> grpc.StreamStreamMultiCallable[matching.EnrollManyRequest, matching.EnrollManyResponse]:
        """Enrols a stream of samples."""

    @property
    def Get(self) -> grpc.UnaryUnaryMultiCallable[matching.GetRequest, matching.GetResponse]:
        """Reads one reference."""

    @property
    def List(self) -> grpc.UnaryUnaryMultiCallable[matching.ListRequest, matching.ListResponse]:
        """Lists references page by page."""

    @property
    def Update(self) -> grpc.UnaryUnaryMultiCallable[matching.UpdateRequest, matching.UpdateResponse]:
        """Changes the metadata of a reference."""

    @property
    def Expunge(self) -> grpc.UnaryUnaryMultiCallable[matching.ExpungeRequest, matching.ExpungeResponse]:
        """Erases a reference."""

    @property
    def Search(self) -> grpc.UnaryUnaryMultiCallable[matching.SearchRequest, matching.SearchResponse]:
        """Finds the references that resemble a probe."""

    @property
    def SearchWithProgress(
        self,
    ) -> grpc.UnaryStreamMultiCallable[matching.SearchRequest, matching.SearchUpdate]:
        """Searches, and reports how far it has come."""

    @property
    def Compare(self) -> grpc.UnaryUnaryMultiCallable[matching.CompareRequest, matching.CompareResponse]:
        """Compares two samples or references."""

    @property
    def Analyze(self) -> grpc.UnaryUnaryMultiCallable[matching.AnalyzeRequest, matching.AnalyzeResponse]:
        """Detects presentations and measures their quality."""


class AsyncStub(Protocol):
    """The methods of every service over an asynchronous channel."""

    @property
    def Enroll(self) -> grpc.aio.UnaryUnaryMultiCallable[matching.EnrollRequest, matching.EnrollResponse]:
        """Enrols one sample."""

    @property
    def EnrollMany(
        self,
    ) -> grpc.aio.StreamStreamMultiCallable[matching.EnrollManyRequest, matching.EnrollManyResponse]:
        """Enrols a stream of samples."""

    @property
    def Get(self) -> grpc.aio.UnaryUnaryMultiCallable[matching.GetRequest, matching.GetResponse]:
        """Reads one reference."""

    @property
    def List(self) -> grpc.aio.UnaryUnaryMultiCallable[matching.ListRequest, matching.ListResponse]:
        """Lists references page by page."""

    @property
    def Update(self) -> grpc.aio.UnaryUnaryMultiCallable[matching.UpdateRequest, matching.UpdateResponse]:
        """Changes the metadata of a reference."""

    @property
    def Expunge(self) -> grpc.aio.UnaryUnaryMultiCallable[matching.ExpungeRequest, matching.ExpungeResponse]:
        """Erases a reference."""

    @property
    def Search(self) -> grpc.aio.UnaryUnaryMultiCallable[matching.SearchRequest, matching.SearchResponse]:
        """Finds the references that resemble a probe."""

    @property
    def SearchWithProgress(
        self,
    ) -> grpc.aio.UnaryStreamMultiCallable[matching.SearchRequest, matching.SearchUpdate]:
        """Searches, and reports how far it has come."""

    @property
    def Compare(self) -> grpc.aio.UnaryUnaryMultiCallable[matching.CompareRequest, matching.CompareResponse]:
        """Compares two samples or references."""

    @property
    def Analyze(self) -> grpc.aio.UnaryUnaryMultiCallable[matching.AnalyzeRequest, matching.AnalyzeResponse]:
        """Detects presentations and measures their quality."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the protocol.

    Attributes:
        descriptor: of the service; that of its file is what reflection answers with.
        stub: makes a `Stub` of a synchronous channel, and an `AsyncStub` of an asynchronous one.
        register: registers a servicer with a server.
    """

    descriptor: ServiceDescriptor
    stub: Callable[[Any], Any]
    register: Callable[[Any, Any], None]

    @property
    def name(self) -> str:
        """The full name, as in paths and in the health service: `likeness.v1.FaceService`."""
        return str(self.descriptor.full_name)

    @property
    def modality(self) -> str:
        """The modality that it serves: `face` of `FaceService`."""
        return str(self.descriptor.name).removesuffix(_SUFFIX).lower()


SERVICES = (
    Service(
        face_pb2.DESCRIPTOR.services_by_name["FaceService"],
        face_pb2_grpc.FaceServiceStub,
        face_pb2_grpc.add_FaceServiceServicer_to_server,
    ),
    Service(
        fingerprint_pb2.DESCRIPTOR.services_by_name["FingerprintService"],
        fingerprint_pb2_grpc.FingerprintServiceStub,
        fingerprint_pb2_grpc.add_FingerprintServiceServicer_to_server,
    ),
    Service(
        object_pb2.DESCRIPTOR.services_by_name["ObjectService"],
        object_pb2_grpc.ObjectServiceStub,
        object_pb2_grpc.add_ObjectServiceServicer_to_server,
    ),
)
"""The services of this release, in the order in which they are listed everywhere."""


OVERSIGHT = Service(
    oversight_pb2.DESCRIPTOR.services_by_name["OversightService"],
    oversight_pb2_grpc.OversightServiceStub,
    oversight_pb2_grpc.add_OversightServiceServicer_to_server,
)
"""The service of what a bureau oversees; its stub is that of the generated code."""


def by_modality(services: tuple[Service, ...] = SERVICES) -> Mapping[str, Service]:
    """Modality to its service."""
    return MappingProxyType({service.modality: service for service in services})
