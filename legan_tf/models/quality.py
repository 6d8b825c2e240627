"""Q, the quality estimator: the model of human naturalness ratings."""

from __future__ import annotations

import keras
import tensorflow as tf

from legan_tf.models import layers
from legan_tf.models.discriminator import strided_trunk
from legan_tf.models.network import Network

FC_ACTIVATIONS = ("none", "lrelu")


@keras.saving.register_keras_serializable(package=layers.PACKAGE)
class QualityEstimator(Network):
    """Predicts how natural people find a face (LEGAN supplement, Table 1).

    Six 4 × 4 convolutions of stride 2 with leaky ReLU, two dense layers: 46,800,321 parameters at
    128 × 128. Called on float32 images [B,S,S,3] in [-1, 1]; returns float32 [B], the mean rating
    on the annotators' scale from 1 (looks fake) to 10 (hyper-realistic). The output is linear and
    so not bounded to that scale.
    """

    kind = "scorer"

    def __init__(
        self,
        image_size: int = 128,
        width: int = 64,
        depth: int = 6,
        fc_activation: str = "none",
        name: str | None = "quality_estimator",
    ) -> None:
        """Makes the layers.

        Args:
            image_size: Height and width in pixels, a multiple of ``2**depth``.
            width: Channels of the first convolution.
            depth: Number of convolutions.
            fc_activation: Activation of the first dense layer, ``none`` or ``lrelu``; the paper
                names an activation for the convolutions only.
            name: Name of the Keras model.

        Raises:
            ValueError: The size is no multiple of ``2**depth``, or the activation is unknown.
        """
        super().__init__(name=name)
        if fc_activation not in FC_ACTIVATIONS:
            raise ValueError(
                f"fc_activation is one of {', '.join(FC_ACTIVATIONS)}, not {fc_activation!r}"
            )
        self.image_size = image_size
        self.width = width
        self.depth = depth
        self.fc_activation = fc_activation
        self.trunk = strided_trunk(image_size, width, depth, "Q")
        self.fc0 = keras.layers.Dense(
            256, activation=layers.leaky_relu if fc_activation == "lrelu" else None
        )
        self.fc1 = keras.layers.Dense(1, dtype=layers.OUTPUT_TYPE)

    def build_layers(self) -> None:
        """Builds the trunk and the dense layers."""
        self.trunk.build((None, self.image_size, self.image_size, 3))
        side = self.image_size // 2**self.depth
        self.features = side * side * self.width * 2 ** (self.depth - 1)
        self.fc0.build((None, self.features))
        self.fc1.build((None, 256))

    def call(self, image: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Rates the images; see the class."""
        features = tf.reshape(self.trunk(image), [-1, self.features])
        return self.fc1(self.fc0(features))[:, 0]
