"""A pool of descriptors of this package's own, so that no other package's files clash with its own.

A process has one default pool, which takes a file name and a message name once. `google.rpc.Status` is in it where
googleapis-common-protos is imported, `tandem.v1` where a program has code of its own for the protocol.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import any_pb2, duration_pb2, struct_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message_factory import GetMessageClass

_POOL: Any = DescriptorPool()
for _known in (any_pb2, duration_pb2, struct_pb2):
    _POOL.AddSerializedFile(_known.DESCRIPTOR.serialized_pb)


def add(module: dict[str, Any], data: bytes) -> FileDescriptor:
    """Adds a serialized file, and puts its messages and enums into a module as protoc's code does."""
    added = _POOL.AddSerializedFile(data)
    # Older runtimes return nothing.
    name = added.name if added is not None else _name_of(data)
    file: FileDescriptor = _POOL.FindFileByName(name)
    for message in file.message_types_by_name.values():
        module[message.name] = GetMessageClass(message)
    for enum in file.enum_types_by_name.values():
        module[enum.name] = EnumTypeWrapper(enum)
        module.update((value.name, value.number) for value in enum.values)
    return file


def _name_of(data: bytes) -> str:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    return FileDescriptorProto.FromString(data).name
