"""The attribute classifier, trained apart from every generator, which evaluates edits."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from legan_tf.models import layers
from legan_tf.models.network import Network


@keras.saving.register_keras_serializable(package=layers.PACKAGE)
class AttributeClassifier(Network):
    """Classifies the expression and the lighting of a face.

    Strided 3 × 3 convolutions with layer normalisation down to 4 × 4, then one dense layer per
    attribute. Called on float32 images [B,S,S,3] in [-1, 1]; returns ``expression`` [B,E] and
    ``lighting`` [B,L], logits, float32; only those that have classes.
    """

    def __init__(
        self,
        expressions: Sequence[str],
        lightings: Sequence[str],
        image_size: int = 128,
        width: int = 24,
        name: str | None = "attribute_classifier",
    ) -> None:
        """Makes the layers.

        Args:
            expressions: Names of the expression classes; empty for no such head.
            lightings: Names of the lighting classes, likewise.
            image_size: Height and width in pixels, a power of two, at least 8.
            width: Channels of the first convolution; doubled each time, up to eight times as many.
            name: Name of the Keras model.

        Raises:
            ValueError: The size is not a power of two of at least 8.
        """
        super().__init__(name=name)
        if image_size < 8 or image_size & (image_size - 1):
            raise ValueError(f"image_size is {image_size}: the classifier needs a power of two ≥ 8")
        self.expressions = tuple(expressions)
        self.lightings = tuple(lightings)
        self.image_size = image_size
        self.width = width
        made: list[keras.layers.Layer] = []
        side, channels = image_size, width
        while side > 4:
            made += [layers.conv(channels, 3, 2, use_bias=True), keras.layers.ReLU()]
            side, channels = side // 2, min(2 * channels, 8 * width)
            if side > 4:
                made.append(keras.layers.LayerNormalization())
        self.features = 16 * made[-2].filters
        self.trunk = layers.Chain(made)
        # Keras 3 has no dense layer without outputs.
        self.expression_head, self.lighting_head = (
            keras.layers.Dense(len(names), dtype=layers.OUTPUT_TYPE) if names else None
            for names in (self.expressions, self.lightings)
        )

    def build_layers(self) -> None:
        """Builds the convolutions and the heads."""
        self.trunk.build((None, self.image_size, self.image_size, 3))
        for head in self._heads().values():
            head.build((None, self.features))

    def call(self, image: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """Classifies the images; see the class."""
        features = tf.reshape(self.trunk(image), [-1, self.features])
        return {name: head(features) for name, head in self._heads().items()}

    def _heads(self) -> dict[str, keras.layers.Layer]:
        heads = {"expression": self.expression_head, "lighting": self.lighting_head}
        return {name: head for name, head in heads.items() if head is not None}
