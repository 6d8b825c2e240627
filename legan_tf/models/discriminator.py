"""The discriminator of StarGAN and LEGAN: realness of patches and attributes of the face."""

from __future__ import annotations

import keras
import tensorflow as tf

from legan_tf.models import layers
from legan_tf.models.network import Network


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
class Discriminator(Network):
    """StarGAN's discriminator with one classifier head per attribute (LEGAN, section 3).

    Called on float32 images [B,S,S,3] in [-1, 1]; returns ``realness`` [B,h,w], a score per patch,
    and ``expression`` [B,E] and ``lighting`` [B,L], logits, all float32. With 8 attributes at
    128 × 128 it has 44,786,624 parameters.
    """

    def __init__(
        self,
        num_expressions: int,
        num_lightings: int,
        image_size: int = 128,
        width: int = 64,
        depth: int = 6,
        fake_class: bool = False,
        name: str | None = "discriminator",
    ) -> None:
        """Makes the trunk and the heads.

        Args:
            num_expressions: Classes of the expression head; 0 for none.
            num_lightings: Classes of the lighting head; 0 for none.
            image_size: Height and width in pixels, a multiple of ``2**depth``.
            width: Channels of the first convolution.
            depth: Number of convolutions.
            fake_class: Whether each head has one more class, "generated" (our own): G then cannot
                satisfy the head with a change too small to see.
            name: Name of the Keras model.

        Raises:
            ValueError: The size is no multiple of ``2**depth``.
        """
        super().__init__(name=name)
        self.num_expressions = num_expressions
        self.num_lightings = num_lightings
        self.image_size = image_size
        self.width = width
        self.depth = depth
        self.fake_class = fake_class
        self.trunk = strided_trunk(image_size, width, depth, "the discriminator")
        self.realness_head = layers.conv(1, 3, dtype=layers.OUTPUT_TYPE)
        self.expression_head = self._head(num_expressions)
        self.lighting_head = self._head(num_lightings)

    def _head(self, classes: int) -> keras.layers.Layer | None:
        """Returns a classifier over the last feature map, or None."""
        if not classes:
            return None
        return keras.layers.Conv2D(
            classes + (1 if self.fake_class else 0),
            self.image_size // 2**self.depth,
            padding="valid",
            use_bias=False,
            dtype=layers.OUTPUT_TYPE,
        )

    def _heads(self) -> dict[str, keras.layers.Layer]:
        """Returns the existing classifiers by attribute."""
        heads = {"expression": self.expression_head, "lighting": self.lighting_head}
        return {attribute: head for attribute, head in heads.items() if head is not None}

    def build_layers(self) -> None:
        """Builds the trunk and the heads."""
        self.trunk.build((None, self.image_size, self.image_size, 3))
        side = self.image_size // 2**self.depth
        features = (None, side, side, self.width * 2 ** (self.depth - 1))
        for head in (self.realness_head, *self._heads().values()):
            head.build(features)

    def call(self, image: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """Scores and classifies the images; see the class."""
        features = self.trunk(image)
        outputs = {"realness": self.realness_head(features)[..., 0]}
        for attribute, head in self._heads().items():
            outputs[attribute] = head(features)[:, 0, 0, :]
        return outputs
