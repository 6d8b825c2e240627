"""The configuration messages of TensorFlow Serving that ``tensorflow-serving-api`` leaves out.

They are only read as text, so it is the names that count. They live in a descriptor pool of their
own, where they cannot meet another declaration of the same messages.
"""

from __future__ import annotations

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2
from google.protobuf.message import Message

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "tensorflow.serving"
_SCALARS = {
    "bool": _Field.TYPE_BOOL,
    "int64": _Field.TYPE_INT64,
    "string": _Field.TYPE_STRING,
}

# Message: fields in the order of their numbers. "*" before a type: repeated.
_MESSAGES = {
    "BatchingParameters": {
        "max_batch_size": "google.protobuf.Int64Value",
        "batch_timeout_micros": "google.protobuf.Int64Value",
        "max_enqueued_batches": "google.protobuf.Int64Value",
        "num_batch_threads": "google.protobuf.Int64Value",
        "thread_pool_name": "google.protobuf.StringValue",
        "allowed_batch_sizes": "*int64",
        "pad_variable_length_inputs": "bool",
        "enable_large_batch_splitting": "google.protobuf.BoolValue",
        "max_execution_batch_size": "google.protobuf.Int64Value",
    },
    "PrometheusConfig": {"enable": "bool", "path": "string"},
    "MonitoringConfig": {"prometheus_config": f"{_PACKAGE}.PrometheusConfig"},
    "SSLConfig": {
        "server_key": "string",
        "server_cert": "string",
        "custom_ca": "string",
        "client_verify": "bool",
    },
}


def _declare() -> dict[str, type[Message]]:
    wrappers = wrappers_pb2.DESCRIPTOR
    file = descriptor_pb2.FileDescriptorProto(
        name="legan_tf/local_server.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=[wrappers.name],
    )
    for message, fields in _MESSAGES.items():
        declared = file.message_type.add(name=message)
        for number, (name, kind) in enumerate(fields.items(), start=1):
            label = _Field.LABEL_REPEATED if kind.startswith("*") else _Field.LABEL_OPTIONAL
            field = declared.field.add(name=name, number=number, label=label)
            kind = kind.lstrip("*")
            if kind in _SCALARS:
                field.type = _SCALARS[kind]
            else:
                field.type = _Field.TYPE_MESSAGE
                field.type_name = f".{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers.serialized_pb)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


_DECLARED = _declare()
BatchingParameters = _DECLARED["BatchingParameters"]
MonitoringConfig = _DECLARED["MonitoringConfig"]
SSLConfig = _DECLARED["SSLConfig"]
