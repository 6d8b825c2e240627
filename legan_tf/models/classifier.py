"""The classifier of conditions, trained apart from every generator, which evaluates edits."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from legan_tf.data.conditions import Condition
from legan_tf.models import layers
from legan_tf.models.conditioned import ConditionedNetwork


@keras.saving.register_keras_serializable(package=layers.PACKAGE)
class AttributeClassifier(ConditionedNetwork):
    """Reads the conditions of a face, such as its expression and its lighting.

    Strided 3 × 3 convolutions with layer normalisation down to 4 × 4, then one dense layer for each
    condition. Called on float32 images [B,S,S,3] in [-1, 1]; returns the logits of each condition
    by its name, float32 [B,N].
    """

    def __init__(
        self,
        conditions: Sequence[Condition],
        image_size: int = 128,
        width: int = 24,
        name: str | None = "attribute_classifier",
    ) -> None:
        """Makes the layers.

        Args:
            conditions: What it reads.
            image_size: Height and width in pixels, a power of two, at least 8.
            width: Channels of the first convolution; doubled each time, up to eight times as many.
            name: Name of the Keras model.

        Raises:
            ValueError: The size is not a power of two of at least 8.
        """
        super().__init__(name=name)
        if image_size < 8 or image_size & (image_size - 1):
            raise ValueError(f"image_size is {image_size}: the classifier needs a power of two ≥ 8")
        self.conditions = tuple(conditions)
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
        # Keras names the weights in files after these attributes.
        for condition in self.conditions:
            head = keras.layers.Dense(condition.size, dtype=layers.OUTPUT_TYPE)
            setattr(self, f"{condition.name}_head", head)

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
        return {one.name: getattr(self, f"{one.name}_head") for one in self.conditions}
