"""The gRPC services: prediction, the status of models, and health."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import tensorflow as tf
from absl import logging
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from legan_tf.serving import wire
from legan_tf.serving.local_server.errors import ServingError, invalid
from legan_tf.serving.local_server.manager import Manager
from legan_tf.serving.local_server.prediction import Predictor
from legan_tf.serving.local_server.servable import DEFAULT_SIGNATURE

_GET_MODEL_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
_CHECK_HEALTH = "/grpc.health.v1.Health/Check"
_HEALTH_SERVICES = (
    "",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
)


class Services(grpc.GenericRpcHandler):
    """Answers the calls of all services; methods that it does not have are UNIMPLEMENTED."""

    def __init__(self, manager: Manager, predictor: Predictor, health: bool) -> None:
        """Takes the source of versions, what runs them, and whether to serve gRPC's health."""
        self._manager = manager
        self._predictor = predictor
        self._methods: dict[str, tuple[Callable[..., Message], type[Message]]] = {
            wire.PREDICT: (self._predict, wire.PredictRequest),
            wire.GET_MODEL_STATUS: (
                lambda request, _: manager.status(request.model_spec),
                get_model_status_pb2.GetModelStatusRequest,
            ),
            _GET_MODEL_METADATA: (
                self._get_model_metadata,
                get_model_metadata_pb2.GetModelMetadataRequest,
            ),
        }
        if health:
            self._methods[_CHECK_HEALTH] = self._check_health, health_pb2.HealthCheckRequest

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Returns the handler of a call, which fails with the code and message of its error."""

        def answer(content: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                if call.method not in self._methods:
                    raise ServingError(
                        grpc.StatusCode.UNIMPLEMENTED, "The local server does not have this method."
                    )
                method, request_class = self._methods[call.method]
                # Not by gRPC, which calls a request that is no message INTERNAL.
                return method(request_class.FromString(content), context).SerializeToString()
            except DecodeError:
                failure = invalid("The request is not the message it should be.")
            except ServingError as error:
                failure = error
            except Exception as error:  # A bug: its traceback is for the log, not for the client.
                logging.exception("A request failed unexpectedly.")
                failure = ServingError(grpc.StatusCode.INTERNAL, type(error).__name__)
            context.abort(failure.code, failure.message)

        return grpc.unary_unary_rpc_method_handler(answer)

    def _predict(self, request: Message, context: grpc.ServicerContext) -> Message:
        remaining = context.time_remaining()
        answer = self._predictor.predict(
            request.model_spec,
            request.model_spec.signature_name,
            lambda signature: signature.read_tensors(request.inputs),
            request.output_filter,
            None if remaining is None else time.monotonic() + remaining,
        )
        response = wire.PredictResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = answer.version
        response.model_spec.signature_name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        for name, array in answer.outputs.items():
            response.outputs[name].CopyFrom(wire.to_tensor(array))
        return response

    def _get_model_metadata(self, request: Message, context: grpc.ServicerContext) -> Message:
        if set(request.metadata_field) != {"signature_def"}:
            raise invalid("GetModelMetadata takes the metadata_field signature_def alone.")
        with self._manager.use(request.model_spec) as (version, servable):
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

    def _check_health(self, request: Message, context: grpc.ServicerContext) -> Message:
        """Returns SERVING once every model has a version that answers."""
        if request.service not in _HEALTH_SERVICES:
            raise ServingError(grpc.StatusCode.NOT_FOUND, "There is no such service.")
        answer = health_pb2.HealthCheckResponse
        return answer(status=answer.SERVING if self._manager.ready() else answer.NOT_SERVING)


def _write_specs(specs: Mapping[str, tf.TensorSpec], infos: Any) -> None:
    for name, spec in specs.items():
        infos[name].dtype = spec.dtype.as_datatype_enum
        infos[name].tensor_shape.CopyFrom(spec.shape.as_proto())
