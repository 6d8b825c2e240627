"""A thousand requests that nobody should send: each is refused, and nothing breaks."""

from __future__ import annotations

import collections
import gc
import http.client
import json
import os
import struct
import zlib

import grpc
import numpy as np
import pytest
import tensorflow as tf

PREDICT = "/tensorflow.serving.PredictionService/Predict"
REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
}
# What a leak of 128 KB in each request would come to.
_GROWTH = 64 * 2**20


class Hostile:
    """Makes requests that are wrong, of a seed."""

    def __init__(self, seed, blobs, predict_request):
        self.rng = np.random.default_rng(seed)
        self.request = predict_request
        self.image = blobs(12, 10, 2, seed=seed)
        self.png = tf.io.encode_png(self.image[0]).numpy()
        self.jpeg = tf.io.encode_jpeg(self.image[0]).numpy()

    def good(self):
        inputs = {
            "image": self.image,
            "expression": np.array([0, 1], np.int32),
            "lighting": np.array([1, -1], np.int32),
        }
        return self.request("legan", inputs)

    def pictures(self, *encoded):
        inputs = {
            "image_bytes": np.array(encoded, object),
            "expression": np.array([b"smile"] * len(encoded), object),
            "lighting": np.array([b""] * len(encoded), object),
        }
        return self.request("legan", inputs, "serving_bytes")

    def any(self):
        """Returns a serialized request, and whether it may happen to be a good one."""
        kind = self.rng.choice(KINDS)
        made = getattr(self, kind)()
        return (made if isinstance(made, bytes) else made.SerializeToString()), kind == "flipped"

    def random_bytes(self):
        return self.rng.bytes(int(self.rng.integers(1, 300)))

    def truncated(self):
        content = self.good().SerializeToString()
        return content[: self.rng.integers(0, len(content) - 1)]

    def flipped(self):
        content = bytearray(self.good().SerializeToString())
        for place in self.rng.integers(0, len(content), 3):
            content[place] ^= 1 << int(self.rng.integers(0, 8))
        return bytes(content)

    def wrong_dtype(self):
        request = self.good()
        name = self.rng.choice(["image", "expression", "lighting"])
        wrong = (np.float32, np.int64, np.float64, np.uint16, bool, object, np.complex64)
        dtype = wrong[self.rng.integers(len(wrong))]
        value = tf.make_ndarray(request.inputs[name])
        value = value.astype(str).astype(object) if dtype is object else value.astype(dtype)
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        return request

    def unknown_dtype(self):
        request = self.good()
        request.inputs["image"].dtype = int(self.rng.choice([0, 20, 21, 99, 104, 2**31 - 1]))
        return request

    def wrong_rank(self):
        request = self.good()
        shapes = [(), (2,), (2, 12), (2, 12, 10), (2, 12, 10, 3, 1), (2, 12, 10, 4), (2, 12, 10, 1)]
        shape = shapes[self.rng.integers(len(shapes))]
        value = np.zeros(shape, np.uint8)
        request.inputs["image"].CopyFrom(tf.make_tensor_proto(value, shape=shape))
        return request

    def rows_that_differ(self):
        request = self.good()
        rows = int(self.rng.choice([0, 1, 3, 100]))
        request.inputs["expression"].CopyFrom(tf.make_tensor_proto(np.zeros(rows, np.int32)))
        return request

    def huge_claim(self):
        request = self.good()
        tensor = request.inputs["image"]
        sizes = [2**31 - 1, 2**31, 2**40, 2**62, 10**18, -1, -(2**63), 0, 4000]
        for dim in tensor.tensor_shape.dim:
            dim.size = int(self.rng.choice(sizes))
        if self.rng.random() < 0.7:
            tensor.tensor_content = b""
        if self.rng.random() < 0.5:
            tensor.int_val.append(7)  # One value, that is to fill all of it.
        return request

    def many_dimensions(self):
        request = self.good()
        for _ in range(int(self.rng.choice([5, 300, 5000]))):
            request.inputs["image"].tensor_shape.dim.add(size=1)
        return request

    def no_shape(self):
        request = self.good()
        shape = request.inputs["image"].tensor_shape
        shape.Clear()
        shape.unknown_rank = bool(self.rng.integers(2))
        return request

    def wrong_content(self):
        request = self.good()
        tensor = request.inputs["image"]
        length = len(tensor.tensor_content) + int(self.rng.choice([-100, -1, 1, 100]))
        tensor.tensor_content = self.rng.bytes(length)
        return request

    def impossible_values(self):
        request = self.good()
        wrong = self.rng.choice([-2, 3, 1000, 2**31 - 1, -(2**31)], 2).astype(np.int32)
        request.inputs["expression"].CopyFrom(tf.make_tensor_proto(wrong))
        return request

    def impossible_vectors(self):
        wrong = self.rng.choice([np.nan, np.inf, -np.inf, -0.5, 2, 1e38], (1, 3))
        inputs = {
            "image": self.image[:1],
            "expression": wrong.astype(np.float32),
            "lighting": np.zeros((1, 2), np.float32),
        }
        return self.request("legan", inputs, "vectors")

    def string_as_content(self):
        request = self.pictures(self.png)
        tensor = request.inputs["image_bytes"]
        tensor.tensor_content = tensor.string_val[0]
        return request

    def unknown_names(self):
        request = self.good()
        kind = self.rng.integers(7)
        if kind == 0:
            request.model_spec.name = "x" * int(self.rng.choice([1, 10_000]))
        elif kind == 1:
            request.model_spec.name = ""
        elif kind == 2:
            request.model_spec.version.value = int(self.rng.choice([0, 2, -1, 2**62]))
        elif kind == 3:
            request.model_spec.version_label = "stable\0"
        elif kind == 4:
            request.model_spec.signature_name = "__saved_model_init_op" * 1000
        elif kind == 5:
            request.output_filter.extend(["image", "nothing"])
        else:
            request.inputs["more"].CopyFrom(request.inputs["image"])
        return request

    def unknown_words(self):
        request = self.pictures(self.png)
        wrong = [b"grin", b"\xff\xfe", b"", b"smile\0", b"x" * 5000][self.rng.integers(5)]
        request.inputs["expression"].string_val[0] = wrong or b"\0"
        return request

    def damaged_picture(self):
        encoded = self.png if self.rng.random() < 0.5 else self.jpeg
        kind = self.rng.integers(3)
        if kind == 0:
            encoded = encoded[: self.rng.integers(0, len(encoded) // 2)]
        elif kind == 1:
            encoded = encoded[:8] + self.rng.bytes(50)
        else:
            encoded = self.rng.bytes(int(self.rng.integers(0, 100)))
        return self.pictures(self.png, encoded)

    def bomb(self):
        """A picture of few bytes that says that it is enormous."""
        width, height = self.rng.choice([30_000, 60_000, 2**31 - 1, 0], 2)
        header = b"IHDR" + struct.pack(">IIBBBBB", int(width), int(height), 8, 2, 0, 0, 0)
        chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
        return self.pictures(b"\x89PNG\r\n\x1a\n" + chunk + self.png[33:])


KINDS = sorted(
    name
    for name in vars(Hostile)
    if not name.startswith("_") and name not in {"any", "good", "pictures"}
)


def resident() -> int:
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("seed", [0, 1])
def test_a_thousand_hostile_requests(server, seed, blobs, predict_request):
    hostile = Hostile(seed, blobs, predict_request)
    with grpc.insecure_channel(server.address) as channel:
        call = channel.unary_unary(PREDICT)  # Bytes, as they are.
        before = call(hostile.good().SerializeToString(), timeout=60)

        def send(count):
            codes = collections.Counter()
            for _ in range(count):
                content, may_be_good = hostile.any()
                try:
                    call(content, timeout=60)
                    code = grpc.StatusCode.OK
                except grpc.RpcError as error:
                    code = error.code()
                    assert error.details(), content
                codes[code] += 1
                assert code in REFUSALS or (may_be_good and code == grpc.StatusCode.OK), (
                    code,
                    content[:2000],
                )
            return codes

        send(100)  # What is set up once is not growth.
        memory = resident()
        codes = send(500)
        assert set(codes) >= REFUSALS
        assert resident() - memory < _GROWTH
        assert call(hostile.good().SerializeToString(), timeout=60) == before


def test_hostile_json(server, predict_request):
    rng = np.random.default_rng(1)
    connection = http.client.HTTPConnection(server.rest_address, timeout=60)

    def anything(depth=0):
        kind = rng.integers(8 if depth < 4 else 6)
        if kind == 6:
            return [anything(depth + 1) for _ in range(rng.integers(4))]
        if kind == 7:
            names = ["image", "expression", "lighting", "image_bytes", "b64", "x"]
            return {str(rng.choice(names)): anything(depth + 1) for _ in range(rng.integers(4))}
        return [None, True, float("nan"), int(rng.integers(-5, 300)), "a\0é", 1e300][kind]

    signatures = ["serving_default", "serving_bytes", "masks", "vectors", "nothing"]
    for _ in range(300):
        body = {
            str(rng.choice(["inputs", "instances"])): anything(),
            "signature_name": str(rng.choice(signatures)),
        }
        content = json.dumps(body).encode()
        if rng.random() < 0.2:
            content = content[: rng.integers(len(content))]
        connection.request("POST", "/v1/models/legan:predict", content)
        response = connection.getresponse()
        answer = json.loads(response.read())
        assert response.status == 400 and answer["error"], content
    connection.close()
