"""The base of every Keras model whose ``train_step`` trains networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from legan_tf.models import Network

Batch = dict  # of tensors, by name


class Trainer(keras.Model):
    """Networks with their losses and optimizers.

    Subclasses have ``terms`` and ``network`` as attributes or properties, and implement
    ``trained``, ``state`` and ``train_step``.

    Attributes:
        terms: Names of the loss terms that ``train_step`` reports.
        network: The network that the run leaves in ``model.keras``.
    """

    terms: tuple[str, ...]
    network: Network

    saved_networks: ClassVar[tuple[str, ...]] = ()
    """Names of the networks among the arguments of ``__init__`` and among the attributes."""
    saved_options: ClassVar[dict[str, type]] = {}
    """Classes of the dataclasses among the arguments of ``__init__``, by name."""
    xla: bool = False
    """Whether XLA compiles the losses and gradients; to be set before the first step."""
    _means: Sequence[keras.metrics.Mean] = ()

    def __init__(self, name: str | None = None) -> None:
        """Makes the Keras model; the networks of subclasses are built when they are made."""
        super().__init__(name=name)
        self.built = True

    @property
    def trained(self) -> dict[str, keras.layers.Layer]:
        """The networks that are trained, by the names of their optimizers."""
        raise NotImplementedError

    @property
    def state(self) -> dict[str, keras.layers.Layer]:
        """The networks that training changes, by their names in checkpoints."""
        raise NotImplementedError

    @property
    def frozen(self) -> list[keras.Model]:
        """The networks that training uses and does not change."""
        return []

    @property
    def products(self) -> dict[str, Network]:
        """The networks that the run leaves besides ``network``, by file name."""
        return {}

    def parameter_counts(self) -> dict[str, int]:
        """Returns the number of parameters of every network, by its name."""
        networks = [*self.trained.values(), *self.frozen]
        return {network.name: network.count_params() for network in networks}

    def variables_of(self, optimizer: str) -> list:
        """Returns the variables that the optimizer of that name updates."""
        return self.trained[optimizer].trainable_variables

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means of the loss terms, once the model is compiled."""
        return list(self._means)

    def build(self, input_shape: Any = None) -> None:
        """Does nothing: the networks are built when the model is made."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Applies ``network``."""
        return self.network(inputs)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__`` as plain values."""
        networks = {name: getattr(self, name) for name in self.saved_networks}
        return {
            **{
                name: None if network is None else keras.saving.serialize_keras_object(network)
                for name, network in networks.items()
            },
            **{name: dataclasses.asdict(getattr(self, name)) for name in self.saved_options},
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Trainer:
        """Makes the model that ``get_config`` described."""
        networks = {
            name: config[name] and keras.saving.deserialize_keras_object(config[name])
            for name in cls.saved_networks
        }
        options = {name: kind(**config[name]) for name, kind in cls.saved_options.items()}
        return cls(**networks, **options, name=config["name"])

    def compile(self, steps_per_execution: int = 1, **optimizers: Any) -> None:
        """Takes the optimizers and builds them, so that checkpoints restore into them.

        Args:
            steps_per_execution: Steps between returns to Python.
            **optimizers: One for each name of ``trained``. Keras' own callbacks act on
                ``g_optimizer``, or on the only one.

        Raises:
            ValueError: One is missing, or has no network.
        """
        if set(optimizers) != set(self.trained):
            raise ValueError(
                f"the optimizers are {', '.join(self.trained)}, not {', '.join(optimizers)}"
            )
        main = optimizers.get("g_optimizer") or next(iter(optimizers.values()))
        super().compile(optimizer=main, steps_per_execution=steps_per_execution)
        self._means = [keras.metrics.Mean(name=term) for term in self.terms]
        for name, optimizer in optimizers.items():
            if name != "optimizer":  # Keras' own name; it has just been set.
                setattr(self, name, optimizer)
            optimizer.build(self.variables_of(name))

    def get_compile_config(self) -> dict[str, Any]:
        """Returns what ``compile_from_config`` needs."""
        return {
            name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self.trained
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles with the optimizers that ``get_compile_config`` described."""
        self.compile(
            **{key: keras.saving.deserialize_keras_object(value) for key, value in config.items()}
        )

    def record(self, term: str, values: tf.Tensor) -> tf.Tensor:
        """Adds a term to its running mean and returns its share of the global batch's mean.

        Gradients are summed over replicas, so each replica divides by the number of replicas.

        Args:
            term: One of ``terms``.
            values: float32 [B], one for each sample of this replica.
        """
        self._means[self.terms.index(term)].update_state(values)
        return tf.reduce_mean(values) / tf.distribute.get_strategy().num_replicas_in_sync

    def through_xla(self, function: Callable[[], Any]) -> Any:
        """Returns what a function of no arguments returns, compiled by XLA where ``xla`` says so.

        Updates and moving averages, which all replicas make together, have to stay outside.
        """
        if not self.xla:
            return function()
        return tf.function(function, autograph=False, jit_compile=True)()

    def results(self) -> dict[str, tf.Tensor]:
        """Returns the running mean of every term, for ``train_step`` to return."""
        return {mean.name: mean.result() for mean in self._means}
