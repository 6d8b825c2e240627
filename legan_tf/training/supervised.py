"""Training one network on labels."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from legan_tf.command_line.options import Options, option
from legan_tf.data import pipeline
from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.models import Network
from legan_tf.training.datasets import Datasets
from legan_tf.training.run_folder import load_network_of, network_file, saved_step
from legan_tf.training.system import System
from legan_tf.training.trainer import Batch, Trainer

VALIDATED = 1000
"""Most samples of a validation."""


@dataclasses.dataclass(frozen=True)
class SupervisedSystem(System):
    """A system whose network is trained on labels alone."""

    start_from: str = option(
        "",
        "Run folder or .keras file of a network of the same form, whose weights training begins "
        "with; random weights if empty.",
    )

    def problems(self) -> list[str]:
        """Adds the rule of the initial weights."""
        problems = super().problems()
        start = os.path.realpath(self.start_from)
        if self.start_from and os.path.realpath(self.workdir) in (start, os.path.dirname(start)):
            problems.append(
                f"--start_from={self.start_from} is in --workdir, which would be written over; "
                "name another --workdir"
            )
        return problems

    def input_files(self, begun: bool) -> dict[str, str]:
        """Adds the file of the initial weights, which only the first step needs."""
        files = super().input_files(begun)
        if self.start_from and not begun:
            try:
                files["start_from"] = network_file(self.start_from)
            except UserError as error:
                raise UserError(f"--start_from={error}") from error
        return files

    def initial_weights(self) -> dict[str, str]:
        """Returns the network that training begins with; see ``System``."""
        return {"start_from": self.start_from} if self.start_from else {}

    def initialize(self, network: Network) -> Network:
        """Gives a new network the weights of the one that ``--start_from`` names.

        Raises:
            UserError: The two have different forms.
        """
        if not self.start_from or saved_step(self.workdir) is not None:
            return network
        start = load_network_of("start_from", self.start_from, type(network))
        there = start.config()
        others = [
            f"{name} is {there[name]} there and {value} here"
            for name, value in network.config().items()
            if there[name] != value
        ]
        if others:
            raise UserError(
                f"--start_from={self.start_from}: it has another form: {'; '.join(others)}. Give "
                "the flags and the classes that it was trained with, or name another one."
            )
        network.build()
        network.set_weights(start.get_weights())
        return network

    def supervised_trainer(self, network: Network, faces: FaceSet) -> SupervisedTrainer:
        """Returns the Keras model to fit, not compiled."""
        raise NotImplementedError

    def trainer(
        self, network: Network, data: Datasets, auxiliaries: Mapping[str, Network]
    ) -> Trainer:
        """Returns the Keras model to fit, its network initialised; see ``System``."""
        return self.supervised_trainer(self.initialize(network), data.train)

    def batches(
        self, faces: FaceSet, start: int, own: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Returns ``pipeline.labelled_batches``; see ``System``."""
        return pipeline.labelled_batches(
            faces,
            self.batch_size,
            self.seed,
            start,
            self.train_steps - start,
            self.flip,
            self.image_size,
            own,
        )

    def validate(
        self, trainer: SupervisedTrainer, data: Datasets
    ) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Returns metrics on people that training does not see, where there are any."""
        return {}, trainer.validate(data.val, VALIDATED) if data.val else {}


@dataclasses.dataclass(frozen=True)
class CropOptions(Options):
    """Training on random crops of the images."""

    zoom: float = option(
        1.0,
        "Train on random parts of the images, magnified up to so many times, 1 to 8; 1 for whole "
        "images.",
    )

    @property
    def loaded_size(self) -> int:
        """Height and width of the images to train on, in pixels: enough for the crops."""
        return round(self.image_size * self.zoom)

    def problems(self) -> list[str]:
        """Adds the range of the magnification."""
        problems = super().problems()
        if not 1 <= self.zoom <= 8:
            problems.append(f"--zoom={self.zoom:g}: must be 1 to 8")
        return problems


class SupervisedTrainer(Trainer):
    """Trains one network on labels; subclasses implement its loss and its validation."""

    def __init__(self, network: Network, terms: Sequence[str], name: str | None = None) -> None:
        """Takes the network and builds it.

        Args:
            network: The network to train.
            terms: Names of the losses, in the order of ``sample_losses``.
            name: Name of the Keras model.
        """
        super().__init__(name=name)
        network.build()
        self.network = network
        self.terms = tuple(terms)

    @property
    def trained(self) -> dict[str, Network]:
        """The network, under Keras' own name of the optimizer."""
        return {"optimizer": self.network}

    @property
    def state(self) -> dict[str, Network]:
        """The network."""
        return {"network": self.network}

    def sample_losses(self, batch: Batch) -> list[tf.Tensor]:
        """Returns one float32 [B] for each of ``terms``; their sum is what is minimised."""
        raise NotImplementedError

    def validate(self, faces: FaceSet, count: int) -> dict[str, float]:
        """Returns metrics on at most ``count`` samples of unseen people; none without labels."""
        raise NotImplementedError

    @tf.autograph.experimental.do_not_convert  # As in AdversarialTrainer.
    def train_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """Updates the network once; returns the running mean of every term."""
        variables = self.variables_of("optimizer")

        def gradients() -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                values = self.sample_losses(data)
                total = tf.add_n([self.record(term, v) for term, v in zip(self.terms, values)])
            return tape.gradient(total, variables)

        self.optimizer.apply_gradients(zip(self.through_xla(gradients), variables))
        return self.results()
