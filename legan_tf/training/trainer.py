"""The base of every Keras model whose ``train_step`` trains networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from legan_tf.models import Network, copy_of
from legan_tf.runtime.compat import assign_in_replica, scalar
from legan_tf.training.run_folder import NETWORK_FILE

Batch = dict  # of tensors, by name


@dataclasses.dataclass(frozen=True)
class Role:
    """The part of a network in a training, declared once.

    Attributes:
        optimizer: Name of the optimizer that trains it, which networks may share; none for one
            that only guides and does not change.
        discriminator: Whether it is updated ``critic_steps`` times in a training step.
        averaged: Whether a moving average of its weights (EMA) is kept, where it has a decay.
        file: Name of the file that a run leaves of it, or of its average; none leaves none.
    """

    optimizer: str = ""
    discriminator: bool = False
    averaged: bool = False
    file: str = ""


class Trainer(keras.Model):
    """Networks with their roles, losses and optimizers.

    Subclasses declare ``roles``, pass the networks to ``__init__``, and implement ``terms`` and
    ``train_step``.

    Attributes:
        roles: The role of each network by its name, which is also an attribute, its name in
            checkpoints and an argument of ``__init__``.
        option_groups: Classes of the groups of options among the arguments of ``__init__``.
        updates_per_step: Updates by ``g_optimizer``, or by the only optimizer, in a training step.
        xla: Whether XLA compiles losses and gradients; to be set before the first step.
    """

    roles: ClassVar[Mapping[str, Role]]
    option_groups: ClassVar[Mapping[str, type]] = {}
    updates_per_step: ClassVar[int] = 1
    xla: bool = False
    _means: Sequence[keras.metrics.Mean] = ()

    def __init__(
        self,
        networks: Mapping[str, keras.layers.Layer | None],
        decays: Mapping[str, float] | None = None,
        frozen: Collection[str] = (),
        name: str | None = None,
    ) -> None:
        """Takes and builds the networks.

        Args:
            networks: By the names of ``roles``; None for one that this training does without.
            decays: Decay of the moving average of each network that has one; 0 for none.
            frozen: Names of networks that this training leaves as they are, whatever their role.
            name: Name of the Keras model.
        """
        super().__init__(name=name)
        self.built = True
        self._decays = {}
        self._names = [role for role in self.roles if networks.get(role) is not None]
        self._trained_names = [
            role for role in self._names if self.roles[role].optimizer and role not in frozen
        ]
        for role in self.roles:
            network = networks.get(role)
            setattr(self, role, network)
            if isinstance(network, Network):
                network.build()
            if network is not None and role not in self._trained_names:
                network.trainable = False
        for role in self._trained_names:
            decay = (decays or {}).get(role, 0.0)
            if self.roles[role].averaged and decay:
                self._decays[role] = decay
                network = getattr(self, role)
                average = copy_of(network, f"averaged_{network.name}")
                average.trainable = False
                setattr(self, f"averaged_{role}", average)

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the losses that ``train_step`` reports."""
        raise NotImplementedError

    def used(self, role: str) -> Network:
        """Returns the network of a role to sample, judge and export: its average if it has one."""
        return getattr(self, f"averaged_{role}" if role in self._decays else role)

    @property
    def trained(self) -> dict[str, list[keras.layers.Layer]]:
        """The networks that are trained, by the names of their optimizers."""
        networks: dict[str, list[keras.layers.Layer]] = {}
        for name in self._trained_names:
            networks.setdefault(self.roles[name].optimizer, []).append(getattr(self, name))
        return networks

    @property
    def state(self) -> dict[str, keras.layers.Layer | tf.Variable]:
        """What training changes, by its name in checkpoints: networks here, more in subclasses."""
        names = [*self._trained_names, *(f"averaged_{role}" for role in self._decays)]
        # A frozen network that a run leaves a file of is in its checkpoints, too.
        names += [n for n in self._names if self.roles[n].file and n not in self._trained_names]
        return {name: getattr(self, name) for name in names}

    @property
    def products(self) -> dict[str, Network]:
        """The networks that a run leaves, by file name, in the order of ``product_files``."""
        of_file = {role.file: name for name, role in self.roles.items() if role.file}
        return {file: self.used(of_file[file]) for file in self.product_files()}

    @classmethod
    def product_files(cls) -> tuple[str, ...]:
        """Returns the files of networks that a run leaves, the last one written last."""
        files = [role.file for role in cls.roles.values() if role.file]
        return tuple(sorted(files, key=lambda file: file == NETWORK_FILE))

    def parameter_counts(self) -> dict[str, int]:
        """Returns the number of parameters of every network, by its name."""
        networks = [getattr(self, name) for name in self._names]
        return {n.name: n.count_params() for n in networks if isinstance(n, keras.Model)}

    def variables_of(self, optimizer: str) -> list:
        """Returns the variables that the optimizer of that name updates."""
        return [v for network in self.trained[optimizer] for v in network.trainable_variables]

    def steps_taken(self) -> int:
        """Returns how many training steps have been taken."""
        return scalar(self.optimizer.iterations) // self.updates_per_step

    def warnings(self, means: Mapping[str, float]) -> list[str]:
        """Returns what the mean losses of some steps say is wrong, and the flag that may mend it.

        Args:
            means: By the names of ``terms``.
        """
        return []

    def failures(self, means: Mapping[str, float]) -> dict[str, int]:
        """Returns what makes it useless to go on, each with the steps that it has to last.

        Args:
            means: By the names of ``terms``.
        """
        return {}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means of the loss terms, once the model is compiled."""
        return list(self._means)

    def build(self, input_shape: Any = None) -> None:
        """Does nothing: the networks are built when the model is made."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Applies the network that the run leaves in ``model.keras``."""
        return self.products[NETWORK_FILE](inputs)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__`` as plain values."""
        networks = {name: getattr(self, name) for name in self.roles}
        return {
            **{
                name: None if network is None else keras.saving.serialize_keras_object(network)
                for name, network in networks.items()
            },
            **{name: dataclasses.asdict(getattr(self, name)) for name in self.option_groups},
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Trainer:
        """Makes the model that ``get_config`` described."""
        networks = {
            name: config[name] and keras.saving.deserialize_keras_object(config[name])
            for name in cls.roles
        }
        options = {name: kind(**config[name]) for name, kind in cls.option_groups.items()}
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

    def logged_mean(self, term: str, values: tf.Tensor) -> tf.Tensor:
        """Logs a loss term; returns this replica's share of its mean over the global batch.

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

    def apply(self, gradients: Mapping[str, Sequence[tf.Tensor]]) -> None:
        """Updates the networks by gradients, given by the names of their optimizers."""
        for name, of_variables in gradients.items():
            getattr(self, name).apply_gradients(zip(of_variables, self.variables_of(name)))

    def update_averages(self) -> None:
        """Moves every average towards the network that it follows."""

        def move(role: str, decay: float) -> None:
            assign_in_replica(
                getattr(self, f"averaged_{role}").weights,
                getattr(self, role).weights,
                lambda old, new: old * decay + new * (1.0 - decay),
            )

        for role, decay in self._decays.items():
            move(role, decay)

    def results(self) -> dict[str, tf.Tensor]:
        """Returns the running mean of every term, for ``train_step`` to return."""
        return {mean.name: mean.result() for mean in self._means}
