"""The base of every trainable system, and the registry of systems."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import ClassVar, TypeVar

import keras
import numpy as np
import tensorflow as tf

from legan_tf.command_line.options import ComposedOptions, group
from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.models import Network
from legan_tf.training import datasets, schedules
from legan_tf.training.datasets import Datasets, Needs
from legan_tf.training.legacy import FORMAT
from legan_tf.training.optimizers import Adam
from legan_tf.training.options import DataOptions, OptimizerOptions, RunOptions
from legan_tf.training.run_folder import load_network_of, network_file
from legan_tf.training.trainer import Trainer

Class = TypeVar("Class", bound="type[System]")

SYSTEMS: dict[str, type[System]] = {}
"""The registered systems by name, which ``--model`` selects."""


def register(system: Class) -> Class:
    """Registers a system under its ``model``; a decorator of its class.

    Raises:
        ValueError: The name is taken, or the class lacks one of the attributes of ``System``.
    """
    if system.model in SYSTEMS:
        raise ValueError(f"there is a system {system.model!r} already")
    lacking = [
        name for name in ("trainer_class", "network_class", "columns") if not hasattr(system, name)
    ]
    if lacking:
        raise ValueError(f"the system {system.model!r} does not say its {', '.join(lacking)}")
    SYSTEMS[system.model] = system
    return system


@dataclasses.dataclass(frozen=True)
class Auxiliary:
    """A trained network that another system's training needs.

    Attributes:
        name: ``--NAME_model`` gives it; where it is not given, it is trained first, in the folder
            NAME of the run.
        given: Value of the flag; empty where the network is to be trained.
        system: The system that trains it.
        on_same_data: Whether it learns from the data of the run that needs it.
    """

    name: str
    given: str
    system: System
    on_same_data: bool = False

    @property
    def flag(self) -> str:
        """Name of the flag that gives it."""
        return f"{self.name}_model"

    @property
    def path(self) -> str:
        """Where it is: as given, or in the folder in which it is trained."""
        return self.given or self.system.run.workdir


@dataclasses.dataclass(frozen=True)
class System(ComposedOptions):
    """A trainable system, which ``scripts/train.py --model=NAME`` trains.

    An instance holds the options of one run in groups. The orchestration in ``training.train`` asks
    it for its data, its networks, its trainer and its batches, and knows no system by name.

    Attributes:
        model: Its name.
        trainer_class: Class of the Keras model to fit, whose roles say what the run leaves.
        network_class: Class of the network that a run leaves in ``model.keras``.
        columns: The columns of a manifest that it learns from.
        alternatives: The columns that it learns from with other flags, by these.
        base: The system that it extends, if any.
    """

    model: ClassVar[str]
    trainer_class: ClassVar[type[Trainer]]
    network_class: ClassVar[type[Network]]
    columns: ClassVar[tuple[str, ...]]
    alternatives: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    base: ClassVar[type[System] | None] = None

    run: RunOptions = group(RunOptions)
    data: DataOptions = group(DataOptions)
    optimizer: OptimizerOptions = group(OptimizerOptions)

    def to_flagfile(self) -> str:
        """Returns the text of a flag file that gives this system with these options."""
        return f"{FORMAT}\n--model={self.model}\n{super().to_flagfile()}"

    def needs(self) -> Needs:
        """Returns what the training needs of its data."""
        return Needs(conditions=None, columns=self.columns)

    def datasets(self) -> Datasets:
        """Reads or renders, and checks, the faces to train on.

        Raises:
            UserError: The manifest cannot be trained on; all its problems are in the message.
        """
        if self.data.dataset == "manifest":
            return datasets.manifest_datasets(
                self.data, self.needs(), self.run.seed, self.run.dry_run
            )
        return datasets.rendered_datasets(self.data, self.needs(), self.run.seed)

    @property
    def images_per_step(self) -> int:
        """Images that a training step takes."""
        return self.run.batch_size

    def auxiliaries(self) -> tuple[Auxiliary, ...]:
        """Returns the networks that have to be trained before this system."""
        return ()

    def effective(self) -> System:
        """Returns the system that is trained: this one, without options that have no effect."""
        return self

    def notes(self) -> list[str]:
        """Returns remarks about options that have no effect, to be shown at the start."""
        return []

    def input_files(self, begun: bool) -> dict[str, str]:
        """Returns the files that flags name and the training reads, by flag.

        Args:
            begun: Whether the run has a checkpoint, so that files of the first step alone are not
                needed any more.

        Raises:
            UserError: One of them is missing; the message names the flag.
        """
        files = {"manifest": self.data.manifest} if self.data.dataset == "manifest" else {}
        for auxiliary in self.auxiliaries():
            if auxiliary.given:
                try:
                    found = auxiliary.system.network_files(auxiliary.given)
                except UserError as error:
                    raise UserError(f"--{auxiliary.flag}={error}") from error
                files[auxiliary.flag] = found[-1]
        return files

    def initial_weights(self) -> dict[str, str]:
        """Returns files of weights that training uses besides the auxiliaries', by flag."""
        return {}

    def network_files(self, path: str) -> list[str]:
        """Returns the files that another system needs of a run of this one, its network last.

        Args:
            path: Run folder, or ``.keras`` file of the network.

        Raises:
            UserError: One is missing; the message starts with ``path``.
        """
        return [network_file(path)]

    def load_trained(self, flag: str, path: str, faces: FaceSet) -> dict[str, Network]:
        """Loads the networks of a run of this system that another system's training needs.

        Args:
            flag: Name of the flag that gives ``path``.
            path: Run folder, or ``.keras`` file of the network.
            faces: The faces of the training that needs it.

        Returns:
            Networks by the names that the other system's ``trainer`` has for them.

        Raises:
            UserError: They are missing, or do not fit; the message names ``flag``.
        """
        return {self.model: load_network_of(flag, path, self.network_class)}

    def new_networks(self, faces: FaceSet) -> dict[str, Network]:
        """Returns what ``load_trained`` gives, not trained."""
        return {self.model: self.network(faces)}

    def network(self, faces: FaceSet) -> Network:
        """Returns the network to train, not built."""
        raise NotImplementedError

    def trainer(
        self, network: Network, faces: FaceSet, auxiliaries: Mapping[str, Network]
    ) -> Trainer:
        """Returns the Keras model to fit, not compiled.

        Args:
            network: The result of ``network``.
            faces: The faces to train on.
            auxiliaries: The networks of the ``auxiliaries``, from ``load_trained``, by name.
        """
        raise NotImplementedError

    @property
    def n_critic(self) -> int:
        """Updates of the discriminators in a step; 1 without any."""
        return self.images_per_step // self.run.batch_size

    def optimizers(self, trainer: Trainer) -> dict[str, keras.optimizers.Optimizer]:
        """Returns an optimizer for each name of ``trainer.trained``, with its learning rate.

        Schedules count the optimizer's own updates: n_critic in a step for discriminators.
        """
        steps = self.run.train_steps * trainer.updates_per_step
        n_critic = self.n_critic
        optimizers = {}
        for role in trainer.roles.values():
            if role.optimizer in trainer.trained:
                updates = (steps * n_critic, 1) if role.discriminator else (steps, n_critic)
                rate = schedules.make(
                    self.optimizer.schedule, self.optimizer.learning_rate, *updates
                )
                optimizers[role.optimizer] = Adam(
                    rate, beta_1=self.optimizer.beta_1, beta_2=self.optimizer.beta_2
                )
        return optimizers

    def batches(
        self, faces: FaceSet, start: int, own: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Returns the batches of the steps from ``start`` to the end of the run.

        Args:
            faces: The faces to train on.
            start: Steps already done.
            own: Which of several workers this is; see ``pipeline.editing_batches``.
        """
        raise NotImplementedError

    def validate(
        self, trainer: Trainer, data: Datasets
    ) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Returns the pictures and metrics that are recorded every ``--sample_every`` steps.

        Returns:
            Pictures, uint8 [H,W,3], by the beginning of their file names; and metrics by name.
        """
        raise NotImplementedError

    def subfolder(self, name: str) -> str:
        """Returns the folder in the run folder in which an auxiliary network is trained."""
        return os.path.join(self.run.workdir, name)
