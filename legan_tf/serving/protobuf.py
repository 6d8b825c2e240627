"""Protobuf message classes declared in Python, where no installed package has them.

Each declaration has a descriptor pool of its own, so that classes that another package declares
under the same names can live in the same process.
"""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "double": _Field.TYPE_DOUBLE,
    "float": _Field.TYPE_FLOAT,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "string": _Field.TYPE_STRING,
}

Fields = Mapping[str, tuple[int, str]]
"""Number and type of each field by its name. A type is a scalar or a message of the same
declaration; ``*`` before it makes the field repeated, ``map `` a map with keys of type string."""


def message_classes(package: str, messages: Mapping[str, Fields]) -> dict[str, type[Message]]:
    """Returns a class for each message.

    Args:
        package: Protobuf package of the messages.
        messages: The fields of each message by its name.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3"
    )
    for message, fields in messages.items():
        declared = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            if kind.startswith("map "):
                entry = declared.nested_type.add(name=f"{name.title()}Entry")
                entry.options.map_entry = True
                _add_field(entry, package, "key", 1, "string")
                _add_field(entry, package, "value", 2, kind.removeprefix("map "))
                kind = f"*{message}.{entry.name}"
            _add_field(declared, package, name, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in messages
    }


def _add_field(
    message: descriptor_pb2.DescriptorProto, package: str, name: str, number: int, kind: str
) -> None:
    label = _Field.LABEL_REPEATED if kind.startswith("*") else _Field.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    kind = kind.removeprefix("*")
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{package}.{kind}"
