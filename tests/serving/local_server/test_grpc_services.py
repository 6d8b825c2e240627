"""Requests to a server in this process, against the same model called without one."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.address) as channel:
        yield channel


@pytest.fixture(scope="module")
def prediction(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def models(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def test_predict_answers_as_the_signature_does(serving_root, prediction, blobs, predict_request):
    inputs = {
        "image": blobs(20, 30, 3),
        "expression": np.array([0, 2, -1], np.int32),
        "lighting": np.array([1, -1, 0], np.int32),
    }
    response = prediction.Predict(predict_request("legan", inputs), timeout=60)
    loaded = tf.saved_model.load(str(serving_root / "legan" / "1"))
    signature = loaded.signatures["serving_default"]
    expected = signature(**{name: tf.constant(value) for name, value in inputs.items()})
    assert set(response.outputs) == set(expected)
    np.testing.assert_array_equal(
        tf.make_ndarray(response.outputs["image"]), expected["image"].numpy()
    )
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == "serving_default"


def test_bytes_go_in_and_come_out(prediction, blobs, predict_request):
    encoded = tf.io.encode_png(blobs(16, 16)[0]).numpy()
    inputs = {"image_bytes": [encoded], "expression": ["smile"], "lighting": [""]}
    response = prediction.Predict(predict_request("legan", inputs, "serving_bytes"), timeout=60)
    (answer,) = tf.make_ndarray(response.outputs["image_bytes"])
    assert tf.io.decode_png(answer).shape == (16, 16, 3)


def test_only_the_outputs_that_are_asked_for_come(prediction, blobs, predict_request):
    request = predict_request("quality", {"image": blobs(16, 16)})
    request.output_filter.append("rating")
    assert set(prediction.Predict(request, timeout=60).outputs) == {"rating"}


def test_status_and_metadata_are_of_what_is_served(models, prediction):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "quality"
    (version,) = models.GetModelStatus(request, timeout=60).model_version_status
    assert (version.version, version.state, version.status.error_code) == (1, 30, 0)

    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "quality"
    packed = prediction.GetModelMetadata(request, timeout=60).metadata["signature_def"]
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert packed.Unpack(signatures)
    image = signatures.signature_def["serving_default"].inputs["image"]
    assert image.dtype == tf.uint8.as_datatype_enum
    assert [dim.size for dim in image.tensor_shape.dim] == [-1, -1, -1, 3]


def test_what_is_not_there_is_named(prediction, models, blobs, predict_request, refused):
    inputs = {"image": blobs(16, 16)}
    call = prediction.Predict
    assert refused(call, predict_request("nobody", inputs), timeout=60) == (
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Latest(nobody)",
    )
    assert refused(call, predict_request("quality", inputs, version=7), timeout=60) == (
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Specific(quality, 7)",
    )
    assert refused(call, predict_request("quality", inputs, label="stable"), timeout=60) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "Unrecognized servable version label: stable",
    )
    assert refused(call, predict_request("quality", inputs, "masks"), timeout=60) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        'Serving signature key "masks" not found.',
    )
    code, message = refused(
        call, predict_request("quality", {"picture": blobs(16, 16)}), timeout=60
    )
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "Sent extra: {picture}. Missing but required: {image}." in message
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "nobody"
    assert refused(models.GetModelStatus, request, timeout=60) == (
        grpc.StatusCode.NOT_FOUND,
        "Could not find any versions of model nobody",
    )


def test_the_models_sentence_comes_without_tensorflows_wrapping(
    prediction, blobs, predict_request, refused
):
    inputs = {
        "image": blobs(16, 16, 2),
        "expression": np.int32([0, 9]),
        "lighting": np.int32([0, 0]),
    }
    code, message = refused(prediction.Predict, predict_request("legan", inputs), timeout=60)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "Row 1: unknown expression id 9" in message
    assert "node" not in message and "\n" not in message


def test_what_the_protocol_knows_and_the_server_does_not_is_unimplemented(models, refused):
    request = model_management_pb2.ReloadConfigRequest()
    assert refused(models.HandleReloadConfigRequest, request, timeout=60) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "Method not found!",
    )
