from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, wrappers_pb2
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
    status_pb2,
)

from legan_tf.serving import wire

OFFICIAL = {
    "Int64Value": wrappers_pb2.Int64Value,
    "Dim": tensor_shape_pb2.TensorShapeProto.Dim,
    "TensorShapeProto": tensor_shape_pb2.TensorShapeProto,
    "TensorProto": tensor_pb2.TensorProto,
    "ModelSpec": model_pb2.ModelSpec,
    "PredictRequest": predict_pb2.PredictRequest,
    "PredictResponse": predict_pb2.PredictResponse,
    "GetModelStatusRequest": get_model_status_pb2.GetModelStatusRequest,
    "StatusProto": status_pb2.StatusProto,
    "ModelVersionStatus": get_model_status_pb2.ModelVersionStatus,
    "GetModelStatusResponse": get_model_status_pb2.GetModelStatusResponse,
    "PredictLog": prediction_log_pb2.PredictLog,
    "PredictionLog": prediction_log_pb2.PredictionLog,
}
OURS = wire.PredictionLog.DESCRIPTOR.file.message_types_by_name
FIELD = descriptor_pb2.FieldDescriptorProto
LENGTH = {FIELD.TYPE_STRING, FIELD.TYPE_BYTES, FIELD.TYPE_MESSAGE}
FIXED = {FIELD.TYPE_FLOAT: 5, FIELD.TYPE_FIXED32: 5, FIELD.TYPE_DOUBLE: 1, FIELD.TYPE_FIXED64: 1}


def declared(descriptor):
    message = descriptor_pb2.DescriptorProto()
    descriptor.CopyToProto(message)
    return {field.name: field for field in message.field}


def on_the_wire(field):
    """How a field's content is laid out, and whether several may come one after the other."""
    repeated = field.label == FIELD.LABEL_REPEATED
    if field.type in LENGTH:
        return 2, repeated
    # Repeated numbers are packed: one row of bytes.
    return (2, False) if repeated else (FIXED.get(field.type, 0), False)


@pytest.mark.parametrize("name", sorted(OURS))
def test_messages_are_the_official_ones_on_the_wire(name):
    ours, official = declared(OURS[name]), declared(OFFICIAL[name].DESCRIPTOR)
    assert ours
    for field in ours.values():
        other = official[field.name]
        assert (field.number, *on_the_wire(field)) == (other.number, *on_the_wire(other)), field
        if field.type == FIELD.TYPE_MESSAGE and not field.type_name.endswith("Entry"):
            # The message within is compared on its own, under the same name.
            assert field.type_name.split(".")[-1] == other.type_name.split(".")[-1]


class Recorder:
    """A channel that notes the paths of the methods which a stub declares."""

    def __init__(self):
        self.paths = set()

    def unary_unary(self, path, **_):
        self.paths.add(path)


def test_the_names_of_methods_are_the_official_ones():
    channel = Recorder()
    prediction_service_pb2_grpc.PredictionServiceStub(channel)
    model_service_pb2_grpc.ModelServiceStub(channel)
    assert {wire.PREDICT, wire.GET_MODEL_STATUS} < channel.paths


ARRAYS = [
    np.array([[1.5, -np.inf], [np.nan, 0.0]], np.float32),
    np.array([1e300, -0.0], np.float64),
    np.array([-1, 2**31 - 1, -(2**31), 0, 127, 128, 16384], np.int32),
    np.array([-1, 2**63 - 1, -(2**63), 0], np.int64),
    np.arange(256, dtype=np.uint8).reshape(2, 8, 16),
    np.array([True, False, True]),
    np.array([0.5, -65504, np.inf, 6e-8], np.float16),
    np.array([b"\x89PNG\0", b"", "grün".encode()], object),
    np.array(-7, np.int32),
    np.array(True),
    np.array(b"one", object),
    np.zeros((0, 4, 4, 3), np.uint8),
    np.zeros((0,), object),
    np.zeros((3, 4), np.uint8),
]


def named(array):
    return f"{array.dtype}{list(array.shape)}"


@pytest.mark.parametrize("array", ARRAYS, ids=named)
def test_tensorflow_reads_what_is_written(array):
    tensor = tensor_pb2.TensorProto.FromString(wire.to_tensor(array).SerializeToString())
    # Once by Python and once by the runtime, as a server does.
    for read in (
        tf.make_ndarray(tensor),
        tf.io.parse_tensor(tensor.SerializeToString(), tensor.dtype),
    ):
        read = np.asarray(read)
        assert read.shape == array.shape
        np.testing.assert_array_equal(read.astype(array.dtype), array)


@pytest.mark.parametrize("array", ARRAYS, ids=named)
def test_what_tensorflow_writes_is_read(array):
    dtype = tf.as_dtype(tf.string if array.dtype == object else array.dtype)
    one_by_one = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    for size in array.shape:
        one_by_one.tensor_shape.dim.add(size=size)
    field = {
        "f4": "float_val",
        "f8": "double_val",
        "i4": "int_val",
        "u1": "int_val",
        "i8": "int64_val",
        "b1": "bool_val",
        "f2": "half_val",
        "O": "string_val",
        "O8": "string_val",
    }[array.dtype.str[1:]]
    values = array.view(np.uint16) if field == "half_val" else array
    getattr(one_by_one, field).extend(values.ravel().tolist())
    made = tf.make_tensor_proto(array, dtype, array.shape)
    for tensor in (one_by_one, made):
        read = wire.from_tensor(wire.TensorProto.FromString(tensor.SerializeToString()))
        assert read.dtype == array.dtype and read.shape == array.shape
        np.testing.assert_array_equal(read, array)


def received(**fields):
    shape = [tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in fields.pop("shape")]
    tensor = tensor_pb2.TensorProto(**fields)
    tensor.tensor_shape.dim.extend(shape)
    return wire.TensorProto.FromString(tensor.SerializeToString())


@pytest.mark.parametrize(
    ("fields", "filled"),
    [
        ({"dtype": 3, "shape": [2, 2], "int_val": [1, -2]}, [[1, -2], [-2, -2]]),
        ({"dtype": 1, "shape": [3], "float_val": [2.5]}, [2.5] * 3),
        ({"dtype": 10, "shape": [3]}, [False] * 3),
        ({"dtype": 7, "shape": [2], "string_val": [b"a"]}, [b"a", b"a"]),
        ({"dtype": 7, "shape": [2]}, [b"", b""]),
        ({"dtype": 10, "shape": [3], "tensor_content": b"\0\2\xff"}, [False, True, True]),
    ],
)
def test_what_repeats_is_filled_in(fields, filled):
    read = wire.from_tensor(received(**fields))
    assert read.tolist() == filled


HUGE = 10**18


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"dtype": 4, "shape": [HUGE], "int_val": [1]}, "holds 1 values"),
        ({"dtype": 4, "shape": [HUGE]}, "holds 0 values"),
        ({"dtype": 7, "shape": [HUGE], "string_val": [b""]}, "holds 1 values"),
        # Their product is 0 in 64 bits.
        ({"dtype": 4, "shape": [2**32, 2**32], "int_val": [1]}, "holds 1 values"),
        ({"dtype": 4, "shape": [-1], "int_val": [1]}, "impossible shape"),
        ({"dtype": 4, "shape": [-2, -2], "int_val": [1, 1, 1, 1]}, "impossible shape"),
        ({"dtype": 4, "shape": [1] * 70, "int_val": [1]}, "70 dimensions cannot be read"),
        ({"dtype": 4, "shape": [0, 10**18, 10**18]}, "3 dimensions cannot be read"),
        ({"dtype": 1, "shape": [HUGE], "tensor_content": b"1234"}, "holds 1 values"),
        ({"dtype": 1, "shape": [1], "tensor_content": b"12345"}, "no whole number"),
        ({"dtype": 1, "shape": [2], "tensor_content": b"1234"}, "holds 1 values"),
        ({"dtype": 3, "shape": [1], "int_val": [1, 2]}, "holds 2 values"),
        ({"dtype": 3, "shape": [], "int_val": [1, 2]}, "holds 2 values"),
        ({"dtype": 8, "shape": [1]}, "type 8"),
        ({"dtype": 0, "shape": [1]}, "type 0"),
    ],
)
def test_what_cannot_be_a_tensor_is_refused_and_takes_no_memory(fields, complaint):
    tensor = received(**fields)
    tracemalloc.start()
    try:
        with pytest.raises(wire.WireError, match=complaint):
            wire.from_tensor(tensor)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_tensor_of_unknown_rank_is_refused():
    tensor = wire.TensorProto(dtype=4, int_val=[1])
    tensor.tensor_shape.unknown_rank = True
    with pytest.raises(wire.WireError, match="impossible shape"):
        wire.from_tensor(tensor)


@pytest.mark.parametrize(
    "array",
    [
        np.array(["text"]),
        np.array(["text"], object),
        np.array([b"ends in zero\0"]),
        np.zeros(2, np.complex64),
        np.zeros(2, np.uint16),
    ],
    ids=named,
)
def test_what_has_no_form_on_the_wire_is_not_sent(array):
    with pytest.raises(wire.WireError, match="cannot be sent"):
        wire.to_tensor(array)


def test_big_endian_and_strided_arrays_are_sent_as_they_are_meant():
    numbers = np.arange(24, dtype=">i4").reshape(4, 6)[::2, ::-3]
    read = wire.from_tensor(wire.to_tensor(numbers))
    np.testing.assert_array_equal(read, [[5, 2], [17, 14]])


def test_a_request_names_model_signature_version_and_outputs():
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    sent = wire.predict_request("legan", "masks", {"image": pixels}, ["expression_mask"], 7)
    official = predict_pb2.PredictRequest.FromString(sent.SerializeToString())
    assert official.model_spec.name == "legan" and official.model_spec.version.value == 7
    assert official.model_spec.signature_name == "masks"
    assert list(official.output_filter) == ["expression_mask"]
    np.testing.assert_array_equal(tf.make_ndarray(official.inputs["image"]), pixels)
    plain = wire.predict_request("legan", "masks", {}).SerializeToString()
    assert not predict_pb2.PredictRequest.FromString(plain).model_spec.HasField("version")


def test_an_answer_holds_the_outputs_and_the_version():
    official = predict_pb2.PredictResponse()
    official.model_spec.version.value = 12
    official.outputs["rating"].CopyFrom(tf.make_tensor_proto([1.5, 9.0]))
    official.outputs["natural"].CopyFrom(tf.make_tensor_proto([False, True]))
    answer = wire.read_answer(wire.PredictResponse.FromString(official.SerializeToString()))
    assert answer.version == 12
    assert answer.outputs["rating"].tolist() == [1.5, 9.0]
    assert answer.outputs["natural"].tolist() == [False, True]
    official.outputs["rating"].tensor_shape.dim[0].size = -1
    with pytest.raises(wire.WireError, match="output 'rating': .*impossible"):
        wire.read_answer(wire.PredictResponse.FromString(official.SerializeToString()))
