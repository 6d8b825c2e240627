"""The discriminator of StarGAN and LEGAN: realness of patches and conditions of the face."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from legan_tf.data.conditions import Condition
from legan_tf.models import layers
from legan_tf.models.conditioned import ConditionedNetwork


def strided_trunk(image_size: int, width: int, depth: int, network: str) -> layers.Chain:
    """Returns 4 × 4 convolutions of stride 2 with leaky ReLU, each twice as wide as the last.

    StarGAN's discriminator and LEGAN's Q share this trunk with 64 channels and 6 convolutions.

    Args:
        image_size: Height and width in pixels, a multiple of ``2**depth``.
        width: Channels of the first convolution.
        depth: Number of convolutions.
        network: What the trunk is of, for the message of the error.

    Raises:
        ValueError: The size is no multiple of ``2**depth``.
    """
    if image_size % 2**depth:
        raise ValueError(
            f"image_size {image_size} cannot be halved {depth} times: use a multiple of "
            f"{2**depth} or fewer convolutions in {network}"
        )
    made: list[keras.layers.Layer] = []
    for level in range(depth):
        made += [
            layers.conv(width * 2**level, 4, 2, use_bias=True),
            keras.layers.Activation(layers.leaky_relu),
        ]
    return layers.Chain(made)


@keras.saving.register_keras_serializable(package=layers.PACKAGE)
class Discriminator(ConditionedNetwork):
    """StarGAN's discriminator with a head for each condition that it reads (LEGAN, section 3).

    Called on float32 images [B,S,S,3] in [-1, 1]; returns ``realness`` [B,h,w], a score per patch,
    and the logits of each condition by its name, [B,N], all float32. With 8 classes or attributes
    at 128 × 128 it has 44,786,624 parameters.
    """

    def __init__(
        self,
        conditions: Sequence[Condition],
        image_size: int = 128,
        width: int = 64,
        depth: int = 6,
        fake_class: bool = False,
        name: str | None = "discriminator",
    ) -> None:
        """Makes the trunk and the heads.

        Args:
            conditions: What it reads.
            image_size: Height and width in pixels, a multiple of ``2**depth``.
            width: Channels of the first convolution.
            depth: Number of convolutions.
            fake_class: Whether each head of classes has one more, "generated" (our own): G then
                cannot satisfy the head with a change too small to see.
            name: Name of the Keras model.

        Raises:
            ValueError: The size is no multiple of ``2**depth``.
        """
        super().__init__(name=name)
        self.conditions = tuple(conditions)
        self.image_size = image_size
        self.width = width
        self.depth = depth
        self.fake_class = fake_class
        self.trunk = strided_trunk(image_size, width, depth, "the discriminator")
        self.realness_head = layers.conv(1, 3, dtype=layers.OUTPUT_TYPE)
        # Keras names the weights in files after these attributes.
        for condition in self.conditions:
            head = keras.layers.Conv2D(
                condition.head_size(fake_class),
                image_size // 2**depth,
                padding="valid",
                use_bias=False,
                dtype=layers.OUTPUT_TYPE,
            )
            setattr(self, f"{condition.name}_head", head)

    def heads(self) -> dict[str, keras.layers.Layer]:
        """Returns the heads by condition."""
        return {one.name: getattr(self, f"{one.name}_head") for one in self.conditions}

    def build_layers(self) -> None:
        """Builds the trunk and the heads."""
        self.trunk.build((None, self.image_size, self.image_size, 3))
        side = self.image_size // 2**self.depth
        features = (None, side, side, self.width * 2 ** (self.depth - 1))
        for head in (self.realness_head, *self.heads().values()):
            head.build(features)

    def call(self, image: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """Scores and classifies the images; see the class."""
        features = self.trunk(image)
        outputs = {"realness": self.realness_head(features)[..., 0]}
        for name, head in self.heads().items():
            outputs[name] = head(features)[:, 0, 0, :]
        return outputs
