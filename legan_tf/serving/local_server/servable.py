"""A loaded version of a model, whose signatures run on arrays."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError, Message

from legan_tf.serving import wire
from legan_tf.serving.local_server.errors import (
    ServingError,
    from_tensorflow,
    invalid,
    strip_trace,
)
from legan_tf.serving.local_server.options import MAX_REQUEST_BYTES
from legan_tf.serving.publishing import WARMUP_FILE

DEFAULT_SIGNATURE = "serving_default"
"""The signature of requests that name none."""
_TAGS = ["serve"]


class Signature:
    """A signature of a loaded version.

    Attributes:
        name: Its name.
        inputs: Types and shapes of its inputs, by name.
        outputs: Types and shapes of its outputs, by name.
    """

    def __init__(self, name: str, function: Any) -> None:
        """Initialises it with the function that ``tf.saved_model.load`` returns."""
        self.name = name
        self.inputs: dict[str, tf.TensorSpec] = dict(function.structured_input_signature[1])
        self.outputs: dict[str, tf.TensorSpec] = dict(function.structured_outputs)
        self._function = function

    def check_names(self, inputs: Collection[str]) -> None:
        """Checks which inputs are given.

        Raises:
            ServingError: INVALID_ARGUMENT: one is missing or unknown.
        """
        extra = ",".join(sorted(set(inputs) - set(self.inputs)))
        missing = ",".join(sorted(set(self.inputs) - set(inputs)))
        if extra or missing:
            raise invalid(
                f"inputs do not match the signature {self.name!r}. Sent extra: {{{extra}}}. "
                f"Missing but required: {{{missing}}}."
            )

    def read_tensors(self, sent: Mapping[str, Message]) -> dict[str, np.ndarray]:
        """Returns the inputs of a request, ``wire.TensorProto`` by name, as arrays by name.

        Raises:
            ServingError: INVALID_ARGUMENT: they do not fit the signature, or a message does not
                hold what it claims.
        """
        self.check_names(sent)
        arrays = {}
        for name, spec in self.inputs.items():
            try:
                array = wire.from_tensor(sent[name], MAX_REQUEST_BYTES)
            except wire.WireError as error:
                raise invalid(f"tensor parsing error: input {name!r}: {error}") from error
            if tf.as_dtype(array.dtype) != spec.dtype:
                found = tf.as_dtype(array.dtype).name
                raise invalid(f"input {name!r} is {found}, not {spec.dtype.name}.")
            check_shape(name, array.shape, spec)
            arrays[name] = array
        return arrays

    def run(
        self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Runs it.

        Args:
            inputs: Arrays that fit ``self.inputs``; of strings as bytes objects.
            outputs: Names of the outputs to return; none for all.

        Raises:
            ServingError: An output is unknown or asked for twice, or the model refuses the inputs,
                with its code and message.
        """
        for name in outputs:
            if name not in self.outputs:
                raise invalid(
                    f"output tensor alias not found in signature: {name} Outputs expected to be "
                    f"in the set {{{','.join(sorted(self.outputs))}}}."
                )
            if list(outputs).count(name) > 1:
                raise invalid(f"duplicate output tensor alias: {name}")
        try:
            answer = self._function(**{name: tf.constant(a) for name, a in inputs.items()})
            return {name: answer[name].numpy() for name in outputs or answer}
        except tf.errors.OpError as error:
            raise from_tensorflow(error) from error
        except UnicodeDecodeError as error:
            # The model's message quotes bytes of the request that are no text, and TensorFlow
            # fails on them before it comes to the code.
            message = error.object.decode("utf-8", "backslashreplace")
            raise invalid(strip_trace(message)) from error


def check_shape(name: str, shape: tuple[int, ...], spec: tf.TensorSpec) -> None:
    """Checks the shape of an input.

    Raises:
        ServingError: INVALID_ARGUMENT: ``spec`` does not allow it.
    """
    if not spec.shape.is_compatible_with(shape):
        sizes = ", ".join("?" if size is None else str(size) for size in spec.shape)
        raise invalid(f"input {name!r} has the shape {list(shape)}, not [{sizes}].")


class Servable:
    """A loaded version.

    Attributes:
        signatures: Its signatures, by name.
    """

    def __init__(self, folder: str) -> None:
        """Loads the folder of a version.

        Raises:
            ServingError: It cannot be loaded.
        """
        self._folder = folder
        try:
            # The functions work as long as the object lives that they were loaded with.
            self._loaded = tf.saved_model.load(folder, tags=_TAGS)
        except tf.errors.OpError as error:
            raise from_tensorflow(error) from error
        except OSError as error:
            raise ServingError(grpc.StatusCode.NOT_FOUND, f"{folder}: {error}") from error
        except Exception as error:  # A damaged file fails in whatever reads it first.
            raise ServingError(
                grpc.StatusCode.DATA_LOSS,
                f"{folder}: cannot be loaded: {type(error).__name__}: {error}",
            ) from error
        self.signatures = {
            name: Signature(name, function) for name, function in self._loaded.signatures.items()
        }

    def signature(self, name: str) -> Signature:
        """Returns a signature; no name means the default one.

        Raises:
            ServingError: FAILED_PRECONDITION: there is none of this name.
        """
        name = name or DEFAULT_SIGNATURE
        if name not in self.signatures:
            raise ServingError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f'Serving signature key "{name[:100]}" not found.',
            )
        return self.signatures[name]

    def warm_up(self) -> None:
        """Answers the version's warm-up requests, if it has any.

        Raises:
            ServingError: The file is damaged, holds something else, or a request fails.
        """
        file = os.path.join(self._folder, WARMUP_FILE)
        if not os.path.isfile(file):
            return
        count = 0
        try:
            for record in tf.data.TFRecordDataset(file):
                count += 1
                log = wire.PredictionLog.FromString(record.numpy())
                if not log.HasField("predict_log"):
                    raise invalid("is no request to Predict.")
                request = log.predict_log.request
                signature = self.signature(request.model_spec.signature_name)
                signature.run(signature.read_tensors(request.inputs), request.output_filter)
        except (DecodeError, tf.errors.OpError) as error:
            raise ServingError(
                grpc.StatusCode.DATA_LOSS, f"{file}: record {count} is damaged: {error}"
            ) from error
        except ServingError as error:
            raise ServingError(error.code, f"{file}: record {count}: {error.message}") from error
