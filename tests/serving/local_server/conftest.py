from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from legan_tf.serving.local_server import LocalServer, Options

VERSIONS = (1, 2, 3)


class _Tiny(tf.Module):
    """Multiplies by its version; can be made to wait, so that tests decide how long it takes."""

    def __init__(self, version):
        self.version = tf.Variable(float(version))

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
    def multiply(self, x):
        rows = tf.where(tf.reduce_any(x < 0, axis=1))
        message = tf.strings.format("Row {}: negative.", tf.reshape(rows, [-1])[:1])
        with tf.control_dependencies([tf.Assert(tf.equal(tf.size(rows), 0), [message])]):
            return {"y": x * self.version}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
    def total(self, x):
        """Has one answer for all rows."""
        return {"sum": tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "file")])
    def wait(self, file):
        """Says that it has begun, beside the files, and answers once they exist."""
        tf.map_fn(lambda f: (tf.io.write_file(f + ".begun", ""), f)[1], file)

        def exist():
            return tf.reduce_all(
                tf.map_fn(lambda f: tf.size(tf.io.matching_files(f)) > 0, file, tf.bool)
            )

        (there,) = tf.while_loop(lambda there: tf.logical_not(there), lambda _: (exist(),), [False])
        return {"there": tf.fill(tf.shape(file), there)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text_bytes")])
    def reverse(self, text_bytes):
        length = tf.strings.length(text_bytes)
        reversed = tf.map_fn(
            lambda text: tf.strings.reduce_join(tf.reverse(tf.strings.bytes_split(text), [0])),
            text_bytes,
        )
        return {"text_bytes": reversed, "length": length}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A folder with the versions of the tiny model."""
    folder = tmp_path_factory.mktemp("tiny")
    for version in VERSIONS:
        module = _Tiny(version)
        signatures = {
            "serving_default": module.multiply,
            "wait": module.wait,
            "reverse": module.reverse,
            "total": module.total,
        }
        tf.saved_model.save(module, str(folder / str(version)), signatures=signatures)
    return folder


@pytest.fixture
def publish(tiny, tmp_path):
    """Publishes a version of the tiny model, the way exports are; returns the model's folder."""

    def publish(version, name="tiny", as_version=None, spoil=lambda folder: None):
        model = tmp_path / "models" / name
        model.mkdir(parents=True, exist_ok=True)
        aside = model / f".unfinished-{uuid.uuid4().hex}"
        shutil.copytree(tiny / str(version), aside)
        spoil(aside)
        os.rename(aside, model / str(as_version or version))
        return model

    return publish


@pytest.fixture(scope="session")
def begun():
    """Returns whether a request that waits for a file has begun."""
    return lambda file: file.with_name(f"{file.name}.begun").exists()


@pytest.fixture
def held(tmp_path):
    """Spoils a version with a warm-up request, so that loading it waits for the file ``gate``."""
    log = prediction_log_pb2.PredictionLog()
    inputs = {"file": [str(tmp_path / "gate")]}
    log.predict_log.request.CopyFrom(predict_request("tiny", inputs, "wait"))

    def spoil(folder):
        (folder / "assets.extra").mkdir()
        file = folder / "assets.extra" / "tf_serving_warmup_requests"
        with tf.io.TFRecordWriter(str(file)) as writer:
            writer.write(log.SerializeToString())

    return spoil


class Running:
    """A server with clients."""

    def __init__(self, server, channel):
        self.server = server
        self.channel = channel
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(channel)

    def multiply(self, rows, name="tiny", timeout=60, **spec):
        """Returns the answer and the version that gave it."""
        request = predict_request(name, {"x": np.asarray(rows, np.float32)}, **spec)
        response = self.prediction.Predict(request, timeout=timeout)
        return tf.make_ndarray(response.outputs["y"]), response.model_spec.version.value

    def wait_for(self, *files, timeout=60):
        """Begins a request that ends when the files exist."""
        request = predict_request("tiny", {"file": [str(file) for file in files]}, "wait")
        return self.prediction.Predict.future(request, timeout=timeout)

    def states(self, name="tiny"):
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = name
        answer = self.models.GetModelStatus(request, timeout=60)
        return {status.version: status for status in answer.model_version_status}


@pytest.fixture
def serve(tmp_path):
    """Starts servers of the tiny model, or of what the options say, and stops them afterwards."""
    with contextlib.ExitStack() as stack:

        def serve(**options):
            if "model_config_file" not in options:
                defaults = {"model_name": "tiny", "model_base_path": str(tmp_path / "models/tiny")}
                options = {**defaults, **options}
            defaults = {"port": -1, "file_system_poll_wait_seconds": 0.05}
            server = stack.enter_context(LocalServer(Options(**{**defaults, **options})))
            channel = stack.enter_context(grpc.insecure_channel(server.address))
            return Running(server, channel)

        yield serve


@pytest.fixture(scope="session")
def tiny_server(tiny):
    """A server of the newest tiny model, for tests that only ask."""
    with LocalServer(
        Options(port=-1, rest_api_port=-1, model_name="tiny", model_base_path=str(tiny))
    ) as server:
        with grpc.insecure_channel(server.address) as channel:
            yield Running(server, channel)


def predict_request(name, inputs, signature="", version=None, label=""):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


@pytest.fixture(scope="session", name="predict_request")
def predict_request_fixture():
    return predict_request


@pytest.fixture(scope="session")
def until():
    """Waits until something holds, and fails if it does not come to."""

    def until(holds, seconds=60):
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, "it did not come to be in time"
            time.sleep(0.01)

    return until


@pytest.fixture(scope="session")
def refused():
    """Calls what has to fail, and returns the code and the sentence."""

    def refused(call, *args, **kwargs):
        with pytest.raises(grpc.RpcError) as caught:
            call(*args, **kwargs)
        return caught.value.code(), caught.value.details()

    return refused
