"""Server reflection, under both names that clients ask for: grpc.reflection.v1 and v1alpha.

The messages of the two are the same but for their package, so one servicer answers both.
"""

from __future__ import annotations

from collections.abc import Iterable

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, text_format
from grpc_reflection.v1alpha import reflection, reflection_pb2

_ALPHA, _STABLE = "grpc.reflection.v1alpha", "grpc.reflection.v1"
SERVICE_NAMES = (f"{_ALPHA}.ServerReflection", f"{_STABLE}.ServerReflection")


def enable(server: grpc.aio.Server, service_names: Iterable[str]) -> None:
    """Let clients ask a server which services it has, and what their messages are; those of reflection too."""
    _describe_stable()
    names = (*service_names, *SERVICE_NAMES)
    servicer = reflection.aio.ReflectionServicer(names)  # type: ignore[attr-defined]
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    handlers = [
        grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": method}) for name in SERVICE_NAMES
    ]
    server.add_generic_rpc_handlers(handlers)


def _describe_stable() -> None:
    """Add the file of v1 to the pool, made of that of v1alpha, unless the library has it."""
    pool = descriptor_pool.Default()
    try:
        pool.FindFileContainingSymbol(SERVICE_NAMES[1])
    except KeyError:
        alpha, stable = descriptor_pb2.FileDescriptorProto(), descriptor_pb2.FileDescriptorProto()
        reflection_pb2.DESCRIPTOR.CopyToProto(alpha)
        text_format.Parse(str(alpha).replace("v1alpha", "v1"), stable)
        stable.ClearField("options")  # of which one says that v1alpha is deprecated
        pool.AddSerializedFile(stable.SerializeToString())
