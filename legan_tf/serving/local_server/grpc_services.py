"""The gRPC services: prediction, the status of models, and health."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from legan_tf.serving import wire
from legan_tf.serving.local_server.loaded_model import DEFAULT_SIGNATURE, invalid
from legan_tf.serving.local_server.manager import Manager

STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
"""Status codes by number; TensorFlow has the same ones."""
_MAX_CHARACTERS = 1024
_HEALTH_SERVICES = (
    "",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
)


class Services(grpc.GenericRpcHandler):
    """Answers the calls of all services."""

    def __init__(self, manager: Manager) -> None:
        """Takes the source of versions."""
        self._manager = manager
        self._methods: dict[str, tuple[Callable[[Any], Message], type[Message]]] = {
            wire.PREDICT: (self._predict, wire.PredictRequest),
            wire.GET_MODEL_STATUS: (
                lambda request: manager.status(request.model_spec),
                get_model_status_pb2.GetModelStatusRequest,
            ),
            "/tensorflow.serving.PredictionService/GetModelMetadata": (
                self._get_model_metadata,
                get_model_metadata_pb2.GetModelMetadataRequest,
            ),
            "/grpc.health.v1.Health/Check": (self._check_health, health_pb2.HealthCheckRequest),
        }

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Returns the handler of a call, which fails with the code and message of its error."""
        if call.method not in self._methods:
            return None
        method, request_class = self._methods[call.method]

        def answer(content: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                # Not by gRPC, which calls a request that is no message INTERNAL.
                return method(request_class.FromString(content)).SerializeToString()
            except DecodeError:
                failure = invalid("The request is not the message it should be.")
            except tf.errors.OpError as error:
                failure = error
            # Cut to what gRPC's trailers always hold.
            sentence = wire.sentence_of(failure.message)[:_MAX_CHARACTERS]
            return context.abort(STATUS_CODES[failure.error_code], sentence)  # It raises.

        return grpc.unary_unary_rpc_method_handler(answer)

    def _predict(self, request: Message) -> Message:
        version, loaded = self._manager.find(request.model_spec)
        outputs = loaded.predict(request)
        response = wire.PredictResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = version
        response.model_spec.signature_name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        for name, array in outputs.items():
            response.outputs[name].CopyFrom(wire.to_tensor(array))
        return response

    def _get_model_metadata(self, request: Message) -> Message:
        if set(request.metadata_field) != {"signature_def"}:
            raise invalid("GetModelMetadata takes the metadata_field signature_def alone.")
        version, loaded = self._manager.find(request.model_spec)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = version
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in loaded.signatures.items():
            definition = signatures.signature_def[name]
            definition.method_name = tf.saved_model.PREDICT_METHOD_NAME
            _write_specs(signature.inputs, definition.inputs)
            _write_specs(signature.outputs, definition.outputs)
        response.metadata["signature_def"].Pack(signatures)
        return response

    def _check_health(self, request: Message) -> Message:
        """Returns SERVING while every model has a version that answers."""
        if request.service not in _HEALTH_SERVICES:
            raise tf.errors.NotFoundError(None, None, "There is no such service.")
        answer = health_pb2.HealthCheckResponse
        return answer(status=answer.SERVING if self._manager.ready() else answer.NOT_SERVING)


def _write_specs(specs: Mapping[str, tf.TensorSpec], infos: Any) -> None:
    for name, spec in specs.items():
        infos[name].dtype = spec.dtype.as_datatype_enum
        infos[name].tensor_shape.CopyFrom(spec.shape.as_proto())
