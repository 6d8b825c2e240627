"""The differences of Keras 2.15 and Keras 3; no other module depends on the version."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

KERAS_3 = int(keras.__version__.split(".")[0]) >= 3
STEPS_TOGETHER_ON_REPLICAS = not KERAS_3
"""Whether ``fit`` takes several steps between returns to Python also on several replicas: the loop
that Keras 3 makes of them cannot hold collective operations."""


@contextlib.contextmanager
def float32_policy() -> Iterator[None]:
    """Makes layers that are created inside compute in float32 permanently."""
    policy = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("float32")
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(policy)


def tensorflow_variable(weight) -> tf.Variable:
    """Returns the TensorFlow variable behind a weight of either Keras, or the variable itself."""
    return weight.value if KERAS_3 and isinstance(weight, keras.Variable) else weight


def variable_index(optimizer: keras.optimizers.Optimizer, variable) -> int:
    """Returns the index of a variable among those that an optimizer was built for."""
    if KERAS_3:
        return optimizer._get_variable_index(variable)
    return optimizer._index_dict[optimizer._var_key(variable)]


def assign_in_replica(
    targets: Sequence,
    sources: Sequence,
    combine: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
) -> None:
    """Sets each target to ``combine(target, source)`` on every replica, from inside a replica.

    Both lists are mirrored weights with the same value everywhere, so no aggregation is needed,
    which a plain ``assign`` in a replica would ask for.
    """
    pairs = [(tensorflow_variable(t), tensorflow_variable(s)) for t, s in zip(targets, sources)]

    def update(strategy: tf.distribute.Strategy) -> None:
        for target, source in pairs:
            strategy.extended.update(
                target, lambda t, s: t.assign(combine(t, s)), args=(source,), group=True
            )

    tf.distribute.get_replica_context().merge_call(update)


def fit_over_workers(model: keras.Model) -> None:
    """Prepares a model for ``fit`` under MultiWorkerMirroredStrategy.

    Args:
        model: Built and compiled; its ``train_step`` returns the results of mean metrics.
    """
    if not KERAS_3:
        # The results already cover all workers; ``fit`` would add them up once more.
        model.distribute_reduction_method = "first"
        return
    step = model.train_step
    # ``fit`` averages over the replicas along the first axis, which a scalar does not have.
    model.train_step = lambda data: {name: value[None] for name, value in step(data).items()}
    # It would reduce a batch over the workers to build the model, and cannot reduce dictionaries.
    model._maybe_symbolic_build = lambda iterator=None, data_batch=None: None


def weights_of(item: keras.Model | keras.layers.Layer | keras.optimizers.Optimizer) -> list:
    """Returns the floating-point weights of a model, or variables of an optimizer, as arrays."""
    if hasattr(item, "get_weights"):
        arrays = item.get_weights()
    else:
        variables = item.variables if KERAS_3 else item.variables()
        arrays = [tensorflow_variable(variable).numpy() for variable in variables]
    return [array for array in arrays if np.issubdtype(array.dtype, np.floating)]


def scalar(value) -> Any:
    """Returns the number in a scalar weight, variable (mirrored ones too) or tensor."""
    return tf.convert_to_tensor(value).numpy().item()
