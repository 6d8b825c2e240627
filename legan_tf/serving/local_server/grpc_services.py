"""The gRPC services: prediction, the status of models, and health."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import tensorflow as tf
from absl import logging
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from legan_tf.serving.local_server.errors import ServingError, invalid
from legan_tf.serving.local_server.manager import Manager, ModelSpec
from legan_tf.serving.local_server.prediction import Predictor

_HEALTH_SERVICES = (
    "",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
)


def _model_spec(spec: Message) -> ModelSpec:
    if not spec.name:
        raise invalid("Missing ModelSpec: the request names no model.")
    version = spec.version.value if spec.HasField("version") else None
    return ModelSpec(spec.name, version, spec.version_label)


def _write_specs(specs: Mapping[str, tf.TensorSpec], infos: Any) -> None:
    for name, spec in specs.items():
        infos[name].dtype = spec.dtype.as_datatype_enum
        infos[name].tensor_shape.CopyFrom(spec.shape.as_proto())


class ErrorInterceptor(grpc.ServerInterceptor):
    """Ends calls that fail with the code and message of their error.

    It also decodes the requests: one that is no message is INVALID_ARGUMENT; gRPC's own answer
    would be INTERNAL.
    """

    def intercept_service(self, continuation: Callable[..., Any], details: Any) -> Any:
        """Returns the handler of a call, with its errors handled."""
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler

        def answer(content: bytes, context: grpc.ServicerContext) -> Message:
            try:
                return handler.unary_unary(handler.request_deserializer(content), context)
            except NotImplementedError:
                failure = ServingError(
                    grpc.StatusCode.UNIMPLEMENTED, "The local server does not have this method."
                )
            except DecodeError:
                failure = invalid("The request is not the message it should be.")
            except ServingError as error:
                failure = error
            except Exception as error:  # A bug: its traceback is for the log, not for the client.
                logging.exception("A request failed unexpectedly.")
                failure = ServingError(grpc.StatusCode.INTERNAL, type(error).__name__)
            context.abort(failure.code, failure.message)

        return grpc.unary_unary_rpc_method_handler(
            answer, response_serializer=handler.response_serializer
        )


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; what else the protocol knows is UNIMPLEMENTED."""

    def __init__(self, manager: Manager, predictor: Predictor) -> None:
        """Initialises it with the source of versions, and what runs them."""
        self._manager = manager
        self._predictor = predictor

    def Predict(self, request: Message, context: grpc.ServicerContext) -> Message:
        """Runs a signature."""
        spec, wanted = request.model_spec, request.output_filter
        remaining = context.time_remaining()
        prediction = self._predictor.predict(
            _model_spec(spec),
            spec.signature_name,
            lambda signature: signature.read_inputs(request.inputs, wanted),
            wanted,
            None if remaining is None else time.monotonic() + remaining,
        )
        response = predict_pb2.PredictResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = prediction.version
        response.model_spec.signature_name = prediction.signature
        for name, array in prediction.outputs.items():
            dtype = tf.dtypes.as_dtype(array.dtype)
            response.outputs[name].CopyFrom(tf.make_tensor_proto(array, dtype))
        return response

    def GetModelMetadata(self, request: Message, context: grpc.ServicerContext) -> Message:
        """Returns the signatures of a version."""
        if set(request.metadata_field) != {"signature_def"}:
            raise invalid("GetModelMetadata takes the metadata_field signature_def alone.")
        with self._manager.use(_model_spec(request.model_spec)) as (version, servable):
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = version
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, signature in servable.signatures.items():
                definition = signatures.signature_def[name]
                definition.method_name = tf.saved_model.PREDICT_METHOD_NAME
                _write_specs(signature.inputs, definition.inputs)
                _write_specs(signature.outputs, definition.outputs)
            response.metadata["signature_def"].Pack(signatures)
            return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; what else the protocol knows is UNIMPLEMENTED."""

    def __init__(self, manager: Manager) -> None:
        """Initialises it with the source of versions."""
        self._manager = manager

    def GetModelStatus(self, request: Message, context: grpc.ServicerContext) -> Message:
        """Returns the states of a model's versions."""
        response = get_model_status_pb2.GetModelStatusResponse()
        for version in self._manager.status(_model_spec(request.model_spec)):
            answer = response.model_version_status.add(
                version=version.number, state=int(version.state)
            )
            # Also without an error, as TensorFlow Serving does: OK is a status.
            answer.status.SetInParent()
            if version.error is not None:
                answer.status.error_code = version.error.code.value[0]
                answer.status.error_message = version.error.message
        return response


class Health(health_pb2_grpc.HealthServicer):
    """gRPC's health protocol: SERVING once every model has a version that answers."""

    def __init__(self, manager: Manager) -> None:
        """Initialises it with the source of versions."""
        self._manager = manager

    def Check(self, request: Message, context: grpc.ServicerContext) -> Message:
        """Returns the state of a service, or of the server if none is named."""
        if request.service not in _HEALTH_SERVICES:
            raise ServingError(grpc.StatusCode.NOT_FOUND, "There is no such service.")
        states = health_pb2.HealthCheckResponse
        ready = self._manager.ready()
        return health_pb2.HealthCheckResponse(
            status=states.SERVING if ready else states.NOT_SERVING
        )
