"""One loaded version of a model: its signatures, run on arrays."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError, Message
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from legan_tf.serving.local_server import tensors
from legan_tf.serving.local_server.codes import Code, ServingError

DEFAULT_SIGNATURE = "serving_default"
"""What a request means that names no signature."""
DEFAULT_TAGS = ["serve"]
"""Tags of the graph of a version that is for serving."""
WARM_UP_FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")
"""Where a version keeps requests to be answered before it is offered."""
_MOST_WARM_UPS = 1000
# TensorFlow wraps what a model says into where it says it.
_BEFORE = re.compile(r"^.*<stack traces unavailable>\n|^Graph execution error:\s*", re.DOTALL)
_AFTER = re.compile(r"\n?\s*\[\[\{\{.*$|\s*\[Op:[^\]]*\]\s*(name:.*)?$", re.DOTALL)


class Signature:
    """A signature of a loaded version.

    Attributes:
        name: Its name.
        inputs: What it takes, by name.
        outputs: What it returns, by name.
    """

    def __init__(self, name: str, function: Any) -> None:
        """Takes the function as ``tf.saved_model.load`` returns it."""
        self.name = name
        self.inputs: dict[str, tf.TensorSpec] = dict(function.structured_input_signature[1])
        self.outputs: dict[str, tf.TensorSpec] = dict(function.structured_outputs)
        self._function = function

    def check_names(self, inputs: Collection[str], outputs: Sequence[str] = ()) -> None:
        """Checks which inputs are given and which outputs are asked for.

        Raises:
            ServingError: INVALID_ARGUMENT: one is missing, unknown or asked for twice.
        """
        extra, missing = (
            sorted(set(inputs) - set(self.inputs)),
            sorted(set(self.inputs) - set(inputs)),
        )
        if extra or missing:
            raise ServingError(
                Code.INVALID_ARGUMENT,
                f"inputs do not match the signature {self.name!r}. Sent extra: "
                f"{{{','.join(extra)}}}. Missing but required: {{{','.join(missing)}}}.",
            )
        for name in outputs:
            if name not in self.outputs:
                raise ServingError(
                    Code.INVALID_ARGUMENT,
                    f"output tensor alias not found in signature: {name} Outputs expected to be "
                    f"in the set {{{','.join(sorted(self.outputs))}}}.",
                )
            if list(outputs).count(name) > 1:
                raise ServingError(Code.INVALID_ARGUMENT, f"duplicate output tensor alias: {name}")

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs it.

        Args:
            inputs: Arrays as ``inputs`` says; of strings as bytes objects.

        Raises:
            ServingError: The model refuses them, with its code and sentence.
        """
        try:
            answer = self._function(**{name: tf.constant(a) for name, a in inputs.items()})
            return {name: tensor.numpy() for name, tensor in answer.items()}
        except tf.errors.OpError as error:
            raise _told(error) from error
        except UnicodeDecodeError as error:
            # The model's sentence quotes bytes of the request that are no text, and TensorFlow
            # trips over them before it comes to the code.
            said = _cleaned(error.object.decode("utf-8", "backslashreplace"))
            raise ServingError(Code.INVALID_ARGUMENT, said) from error


def _told(error: tf.errors.OpError) -> ServingError:
    return ServingError(Code(error.error_code), _cleaned(error.message) or type(error).__name__)


def _cleaned(message: str) -> str:
    return _AFTER.sub("", _BEFORE.sub("", message)).strip()


class Servable:
    """A version, loaded.

    Attributes:
        signatures: What it offers, by name.
        definitions: The ``SignatureDef`` messages, by name, as the version holds them.
    """

    def __init__(self, folder: str, tags: Sequence[str] = DEFAULT_TAGS) -> None:
        """Loads the graph with the tags from the folder of a version.

        Raises:
            ServingError: It cannot be loaded.
        """
        self._folder = folder
        try:
            # The functions work as long as the object lives that they were loaded with.
            self._loaded = tf.saved_model.load(folder, tags=list(tags))
            self.definitions = _definitions(folder, tags)
        except tf.errors.OpError as error:
            raise _told(error) from error
        except OSError as error:
            raise ServingError(Code.NOT_FOUND, f"{folder}: {error}") from error
        except Exception as error:  # A damaged file fails in whatever reads it first.
            raise ServingError(
                Code.DATA_LOSS, f"{folder}: cannot be loaded: {type(error).__name__}: {error}"
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
                Code.FAILED_PRECONDITION, f'Serving signature key "{name[:100]}" not found.'
            )
        return self.signatures[name]

    def warm_up(self, times: int = 1) -> int:
        """Answers the version's warm-up requests, if it has any.

        Args:
            times: How often each.

        Returns:
            How many there were.

        Raises:
            ServingError: The file is damaged, holds something else, or a request fails.
        """
        file = os.path.join(self._folder, WARM_UP_FILE)
        if not os.path.isfile(file):
            return 0
        count = 0
        try:
            for record in tf.data.TFRecordDataset(file):
                count += 1
                if count > _MOST_WARM_UPS:
                    raise ServingError(
                        Code.INVALID_ARGUMENT,
                        f"{file}: holds more than {_MOST_WARM_UPS} warm-up requests.",
                    )
                log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
                if log.WhichOneof("log_type") != "predict_log":
                    raise ServingError(
                        Code.UNIMPLEMENTED, f"{file}: record {count} is no request to Predict."
                    )
                request = log.predict_log.request
                signature = self.signature(request.model_spec.signature_name)
                inputs = read_inputs(request.inputs, signature, request.output_filter)
                for _ in range(times):
                    signature.run(inputs)
        except DecodeError as error:
            raise ServingError(Code.DATA_LOSS, f"{file}: record {count} is damaged.") from error
        except tf.errors.OpError as error:
            raise ServingError(Code.DATA_LOSS, f"{file}: {error.message}") from error
        except ServingError as error:
            raise ServingError(error.code, f"{file}: record {count}: {error.message}") from error
        return count


def _definitions(folder: str, tags: Sequence[str]) -> dict[str, Message]:
    """Reads the signatures' messages; ``tf.saved_model.load`` keeps none of the tensors' names."""
    with open(os.path.join(folder, "saved_model.pb"), "rb") as file:
        saved = saved_model_pb2.SavedModel.FromString(file.read())
    for graph in saved.meta_graphs:
        if set(graph.meta_info_def.tags) == set(tags):
            # Copied, so that the graph is not kept for them.
            return {
                name: type(definition).FromString(definition.SerializeToString())
                for name, definition in graph.signature_def.items()
            }
    raise ValueError(f"no graph is tagged {list(tags)}")


def read_inputs(
    sent: Mapping[str, Message], signature: Signature, outputs: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Reads the inputs of a request.

    Args:
        sent: ``TensorProto`` by name.
        signature: What they are for.
        outputs: The outputs that are asked for; they are checked as well.

    Raises:
        ServingError: INVALID_ARGUMENT; see ``Signature.check_names`` and ``tensors.read``.
    """
    signature.check_names(sent, outputs)
    return {name: tensors.read(name, sent[name], spec) for name, spec in signature.inputs.items()}
