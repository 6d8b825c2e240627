"""Training one network on labels."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from legan_tf.command_line.options import Options, group, option
from legan_tf.data import pipeline
from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.models import Network
from legan_tf.training.datasets import Datasets
from legan_tf.training.run_folder import (
    NETWORK_FILE,
    load_network_of,
    network_file,
    saved_step,
)
from legan_tf.training.system import System
from legan_tf.training.trainer import Batch, Role, Trainer

VALIDATED = 1000
"""Most samples of a validation."""


@dataclasses.dataclass(frozen=True)
class StartOptions(Options):
    """What training begins with."""

    start_from: str = option(
        "",
        "Run folder or .keras file of a network of the same form, whose weights training begins "
        "with; random weights if empty.",
    )


@dataclasses.dataclass(frozen=True)
class SupervisedSystem(System):
    """A system whose network is trained on labels alone."""

    start: StartOptions = group(StartOptions)

    def problems(self) -> list[str]:
        """Adds the rule of the initial weights."""
        problems, given = super().problems(), self.start.start_from
        place = os.path.realpath(given)
        if given and os.path.realpath(self.run.workdir) in (place, os.path.dirname(place)):
            problems.append(
                f"--start_from={given} is in --workdir, which would be written over; "
                "name another --workdir"
            )
        return problems

    def input_files(self, begun: bool) -> dict[str, str]:
        """Adds the file of the initial weights, which only the first step needs."""
        files = super().input_files(begun)
        if self.start.start_from and not begun:
            try:
                files["start_from"] = network_file(self.start.start_from)
            except UserError as error:
                raise UserError(f"--start_from={error}") from error
        return files

    def initial_weights(self) -> dict[str, str]:
        """Returns the network that training begins with; see ``System``."""
        return {"start_from": self.start.start_from} if self.start.start_from else {}

    def initialize(self, network: Network) -> Network:
        """Gives a new network the weights of the one that ``--start_from`` names.

        Raises:
            UserError: The two have different forms.
        """
        given = self.start.start_from
        if not given or saved_step(self.run.workdir) is not None:
            return network
        start = load_network_of("start_from", given, type(network))
        there = start.config()
        others = [
            f"{name} is {there[name]} there and {value} here"
            for name, value in network.config().items()
            if there[name] != value
        ]
        if others:
            raise UserError(
                f"--start_from={given}: it has another form: {'; '.join(others)}. Give "
                "the flags and the classes that it was trained with, or name another one."
            )
        network.build()
        network.set_weights(start.get_weights())
        return network

    def supervised_trainer(self, network: Network, faces: FaceSet) -> SupervisedTrainer:
        """Returns the Keras model to fit, not compiled."""
        raise NotImplementedError

    def trainer(
        self, network: Network, faces: FaceSet, auxiliaries: Mapping[str, Network]
    ) -> Trainer:
        """Returns the Keras model to fit, its network initialised; see ``System``."""
        return self.supervised_trainer(self.initialize(network), faces)

    def batches(
        self, faces: FaceSet, start: int, own: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Returns ``pipeline.labelled_batches``; see ``System``."""
        return pipeline.labelled_batches(
            faces,
            self.run.batch_size,
            self.run.seed,
            start,
            self.run.train_steps - start,
            self.data.flip,
            self.data.image_size,
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

    def loaded_size(self, image_size: int) -> int:
        """Returns the height and width of pictures, in pixels, that are enough for the crops."""
        return round(image_size * self.zoom)

    def problems(self) -> list[str]:
        """Adds the range of the magnification."""
        problems = super().problems()
        if not 1 <= self.zoom <= 8:
            problems.append(f"--zoom={self.zoom:g}: must be 1 to 8")
        return problems


class SupervisedTrainer(Trainer):
    """Trains one network on labels; subclasses implement its loss and its validation."""

    # Keras' own name of the only optimizer.
    roles = {"network": Role("optimizer", file=NETWORK_FILE)}

    def __init__(
        self,
        network: Network,
        terms: Sequence[str],
        name: str | None = None,
        **more: keras.layers.Layer,
    ) -> None:
        """Takes the network and builds it.

        Args:
            network: The network to train.
            terms: Names of the losses, in the order of ``sample_losses``.
            name: Name of the Keras model.
            **more: Networks of further roles.
        """
        super().__init__({"network": network, **more}, name=name)
        self._terms = tuple(terms)

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the losses, in the order of ``sample_losses``."""
        return self._terms

    def sample_losses(self, batch: Batch) -> list[tf.Tensor]:
        """Returns one float32 [B] for each of ``terms``; their sum is what is minimised."""
        raise NotImplementedError

    def validate(self, faces: FaceSet, count: int) -> dict[str, float]:
        """Returns metrics on at most ``count`` samples of unseen people; none without labels."""
        raise NotImplementedError

    @tf.autograph.experimental.do_not_convert  # As in ``gan``.
    def train_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """Updates the network once; returns the running mean of every term."""

        def gradients() -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                losses = zip(self.terms, self.sample_losses(data))
                total = tf.add_n([self.logged_mean(term, values) for term, values in losses])
            return tape.gradient(total, self.variables_of("optimizer"))

        self.apply({"optimizer": self.through_xla(gradients)})
        return self.results()
