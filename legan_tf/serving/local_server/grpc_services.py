"""The gRPC services: prediction and models."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import grpc
from absl import logging
from google.protobuf.message import DecodeError, Message
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from legan_tf.errors import UserError
from legan_tf.serving.local_server import config, tensors
from legan_tf.serving.local_server.codes import Code, ServingError
from legan_tf.serving.local_server.manager import Manager, Version
from legan_tf.serving.local_server.predictor import Predictor, Question
from legan_tf.serving.local_server.servable import read_inputs

_GRPC_CODES = {code.value[0]: code for code in grpc.StatusCode}


def _answered(context: grpc.ServicerContext, answer: Callable[[], Message]) -> Message:
    """Returns the answer, or ends the call with the code and the sentence of what went wrong."""
    try:
        return answer()
    except ServingError as error:
        failure = error
    except Exception as error:  # A bug: its traceback is for the log, not for the client.
        logging.exception("A request failed unexpectedly.")
        failure = ServingError(Code.INTERNAL, type(error).__name__)
    context.abort(_GRPC_CODES[failure.code], failure.message)


def wanted_version(spec: Message) -> tuple[str, int | None, str]:
    """Returns the model, the version and the label that a ``ModelSpec`` asks for.

    Raises:
        ServingError: INVALID_ARGUMENT: it names no model.
    """
    if not spec.name:
        raise ServingError(Code.INVALID_ARGUMENT, "Missing ModelSpec: the request names no model.")
    kind = spec.WhichOneof("version_choice")
    number = spec.version.value if kind == "version" else None
    return spec.name, number, spec.version_label if kind == "version_label" else ""


class RawRequests(grpc.ServerInterceptor):
    """Answers requests that are no message with INVALID_ARGUMENT; gRPC's own is INTERNAL."""

    def intercept_service(self, continuation: Callable[..., Any], details: Any) -> Any:
        """Parses the message here instead of letting gRPC do it."""
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler

        def answer(content: bytes, context: grpc.ServicerContext) -> Message:
            try:
                request = handler.request_deserializer(content)
            except DecodeError:
                context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT, "The request is not the message it should be."
                )
            return handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(
            answer, response_serializer=handler.response_serializer
        )


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; what else the protocol knows is UNIMPLEMENTED."""

    def __init__(self, manager: Manager, predictor: Predictor) -> None:
        """Takes where versions come from, and what runs them."""
        self._manager = manager
        self._predictor = predictor

    def Predict(self, request: Message, context: grpc.ServicerContext) -> Message:
        """Runs a signature."""
        return _answered(context, lambda: self._predict(request, context.time_remaining()))

    def _predict(self, request: Message, remaining: float | None) -> Message:
        spec = request.model_spec
        deadline = None if remaining is None else time.monotonic() + remaining
        answer = self._predictor.predict(
            Question(*wanted_version(spec), spec.signature_name, deadline, "GRPC"),
            lambda signature: read_inputs(request.inputs, signature, request.output_filter),
            request.output_filter,
        )
        response = predict_pb2.PredictResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = answer.version
        response.model_spec.signature_name = answer.signature
        for name, array in answer.outputs.items():
            tensors.write(array, response.outputs[name])
        return response

    def GetModelMetadata(self, request: Message, context: grpc.ServicerContext) -> Message:
        """Tells which signatures a version has."""
        return _answered(context, lambda: metadata(self._manager, request))


def metadata(manager: Manager, request: Message) -> Message:
    """Answers a ``GetModelMetadataRequest``.

    Raises:
        ServingError: The version does not answer, or something else than signatures is asked for.
    """
    if not request.metadata_field:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            "GetModelMetadataRequest must specify at least one metadata_field",
        )
    for field in request.metadata_field:
        if field != "signature_def":
            raise ServingError(
                Code.INVALID_ARGUMENT, f"Metadata field {field[:100]} is not supported"
            )
    with manager.lend(*wanted_version(request.model_spec)) as loan:
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = loan.model
        response.model_spec.version.value = loan.version
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, definition in loan.servable.definitions.items():
            signatures.signature_def[name].CopyFrom(definition)
        response.metadata["signature_def"].Pack(signatures)
        return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """The states of models, and which are served."""

    def __init__(self, manager: Manager, mapped: Mapping[str, str]) -> None:
        """Takes where versions come from, and the folders that stand for others."""
        self._manager = manager
        self._mapped = mapped

    def GetModelStatus(self, request: Message, context: grpc.ServicerContext) -> Message:
        """Tells the states of a model's versions."""
        return _answered(context, lambda: status(self._manager, request))

    def HandleReloadConfigRequest(self, request: Message, context: grpc.ServicerContext) -> Message:
        """Takes a new list of models, and answers once they are loaded."""

        def reload() -> Message:
            try:
                models = config.from_message(request.config, self._mapped)
            except UserError as error:
                raise ServingError(Code.INVALID_ARGUMENT, str(error)) from error
            self._manager.configure(models)
            if not self._manager.wait_settled(context.time_remaining()):
                raise ServingError(Code.DEADLINE_EXCEEDED, "The models are still being loaded.")
            missing = self._manager.unavailable()
            if missing:
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    f"No version could be loaded of: {', '.join(missing)}.",
                )
            response = model_management_pb2.ReloadConfigResponse()
            response.status.SetInParent()
            return response

        return _answered(context, reload)


def status(manager: Manager, request: Message) -> Message:
    """Answers a ``GetModelStatusRequest``.

    Raises:
        ServingError: No such version is known.
    """
    response = get_model_status_pb2.GetModelStatusResponse()
    for version in manager.status(*wanted_version(request.model_spec)):
        _tell(version, response.model_version_status.add())
    return response


def _tell(version: Version, status: Any) -> None:
    status.version = version.number
    status.state = int(version.state)
    # Also without an error, as TensorFlow Serving does: OK is a status.
    status.status.SetInParent()
    if version.error is not None:
        status.status.error_code = int(version.error.code)
        status.status.error_message = version.error.message
