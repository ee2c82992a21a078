"""A modality that is in no release: tones, which are vectors written as text. One entry, and one proto.

The proto differs from that of faces by its name alone, and its code is generated when this is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.descriptor import MethodDescriptor

from likeness.domain.calibration import Calibration
from likeness.engine.entry import ModalityEntry, ModalitySettings, Resources, SampleWords
from likeness.protocol import Service
from likeness.testing.vectors import VectorModality, calibration
from likeness.v1 import face_pb2

NAME = "tone"


def _load(_: ModalitySettings, __: Resources, calibration: Calibration | None) -> VectorModality:
    return VectorModality(calibrated=calibration is not None, name=NAME)


def _calibration(_: ModalitySettings, __: Path) -> Calibration:
    return calibration()


ENTRY: ModalityEntry[VectorModality, ModalitySettings] = ModalityEntry(
    name=NAME,
    settings=ModalitySettings,
    words=SampleWords("recording", "tone", frozenset({".txt"}), picture=False),
    load=_load,
    calibration=_calibration,
)

_faces, _tones = descriptor_pb2.FileDescriptorProto(), descriptor_pb2.FileDescriptorProto()
face_pb2.DESCRIPTOR.CopyToProto(_faces)
text_format.Parse(str(_faces).replace("likeness/v1/face", f"likeness/v1/{NAME}"), _tones)
_tones.service[0].name = "ToneService"
descriptor_pool.Default().AddSerializedFile(_tones.SerializeToString())
_SERVICE = descriptor_pool.Default().FindServiceByName("likeness.v1.ToneService")


def _shape(method: MethodDescriptor) -> str:
    return "_".join("stream" if s else "unary" for s in (method.client_streaming, method.server_streaming))


class _Stub:
    def __init__(self, channel: Any) -> None:
        for method in _SERVICE.methods:
            call = getattr(channel, _shape(method))(
                f"/{_SERVICE.full_name}/{method.name}",
                request_serializer=message_factory.GetMessageClass(method.input_type).SerializeToString,
                response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
            )
            setattr(self, method.name, call)


def _register(servicer: Any, server: Any) -> None:
    handlers = {
        method.name: getattr(grpc, f"{_shape(method)}_rpc_method_handler")(
            getattr(servicer, method.name),
            request_deserializer=message_factory.GetMessageClass(method.input_type).FromString,
            response_serializer=message_factory.GetMessageClass(method.output_type).SerializeToString,
        )
        for method in _SERVICE.methods
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE.full_name, handlers),))


SERVICE = Service(_SERVICE, _Stub, _register)
