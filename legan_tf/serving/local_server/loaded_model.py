"""A version of a model that is loaded: its signatures run on arrays.

What is wrong with a request is an error of ``tf.errors``, as what the model itself refuses.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import Message

from legan_tf.serving import wire

DEFAULT_SIGNATURE = "serving_default"
"""The signature of requests that name none."""


def invalid(message: str) -> tf.errors.InvalidArgumentError:
    """Returns the error of a request that is wrong in itself."""
    return tf.errors.InvalidArgumentError(None, None, message)


class Signature:
    """A signature of a loaded model.

    Attributes:
        inputs: Types and shapes of its inputs, by name.
        outputs: Types and shapes of its outputs, by name.
    """

    def __init__(self, name: str, function: Any) -> None:
        """Takes its name, and the function that ``tf.saved_model.load`` returns."""
        self.inputs: dict[str, tf.TensorSpec] = dict(function.structured_input_signature[1])
        self.outputs: dict[str, tf.TensorSpec] = dict(function.structured_outputs)
        self._name = name
        self._function = function

    def run(
        self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Runs it.

        Args:
            inputs: Arrays by name; of strings as bytes objects.
            outputs: Names of the outputs to return; none for all.

        Raises:
            tf.errors.OpError: The inputs do not fit, an output is unknown, or the model refuses
                the inputs.
        """
        extra = ",".join(sorted(set(inputs) - set(self.inputs)))
        missing = ",".join(sorted(set(self.inputs) - set(inputs)))
        if extra or missing:
            raise invalid(
                f"inputs do not match the signature {self._name!r}. Sent extra: {{{extra}}}. "
                f"Missing but required: {{{missing}}}."
            )
        for name, spec in self.inputs.items():
            dtype, shape = tf.as_dtype(inputs[name].dtype), inputs[name].shape
            if dtype != spec.dtype or not spec.shape.is_compatible_with(shape):
                sizes = ", ".join("?" if size is None else str(size) for size in spec.shape)
                wanted = f"{spec.dtype.name} [{sizes}]"
                raise invalid(f"input {name!r} is {dtype.name} {list(shape)}, not {wanted}.")
        unknown = ",".join(sorted(set(outputs) - set(self.outputs)))
        if unknown:
            raise invalid(f"output tensor alias not found in signature: {unknown}.")
        try:
            answer = self._function(**{name: tf.constant(a) for name, a in inputs.items()})
            return {name: answer[name].numpy() for name in outputs or answer}
        except UnicodeDecodeError as error:
            # The model's message quotes bytes of the request that are no text, and TensorFlow
            # fails on them before it comes to the code.
            raise invalid(error.object.decode("utf-8", "backslashreplace")) from error


class LoadedModel:
    """A version of a model that is loaded.

    Attributes:
        signatures: Its signatures, by name.
    """

    def __init__(self, folder: str) -> None:
        """Loads the folder of a version."""
        # The functions work as long as the object lives that they were loaded with.
        self._loaded = tf.saved_model.load(folder, tags=["serve"])
        self.signatures = {
            name: Signature(name, function) for name, function in self._loaded.signatures.items()
        }

    def signature(self, name: str) -> Signature:
        """Returns a signature; no name means the default one.

        Raises:
            tf.errors.FailedPreconditionError: There is none of this name.
        """
        name = name or DEFAULT_SIGNATURE
        if name not in self.signatures:
            sentence = f'Serving signature key "{name[:100]}" not found.'
            raise tf.errors.FailedPreconditionError(None, None, sentence)
        return self.signatures[name]

    def predict(self, request: Message) -> dict[str, np.ndarray]:
        """Answers a ``PredictRequest``.

        Raises:
            tf.errors.OpError: It is wrong, or the model refuses it.
        """
        try:
            inputs = {name: wire.from_tensor(sent) for name, sent in request.inputs.items()}
        except wire.WireError as error:
            raise invalid(f"tensor parsing error: {error}") from error
        signature = self.signature(request.model_spec.signature_name)
        return signature.run(inputs, request.output_filter)

    def warm_up(self, file: str) -> None:
        """Answers the requests of a TFRecord file, if there is one."""
        for record in tf.data.TFRecordDataset(file) if os.path.isfile(file) else ():
            self.predict(wire.PredictionLog.FromString(record.numpy()).predict_log.request)
