"""What every network that tells faces apart has in common."""

from __future__ import annotations

import tensorflow as tf

from legan_tf.models.network import Network


class FaceNetwork(Network):
    """Embeds faces; the angle between two embeddings tells whether they show one person.

    Called on float32 images [B,S,S,3] in [-1, 1], S being ``image_size``; returns float32 [B,D],
    not normalised.

    Attributes:
        image_size: Height and width of the images, in pixels.
    """

    image_size: int


def less_mean(image: tf.Tensor, mean: tuple[float, float, float]) -> tf.Tensor:
    """Returns images in [-1, 1] in values of 0 to 255, less the mean of red, green and blue."""
    image = tf.cast(image, tf.float32)
    return (image + 1.0) * 127.5 - tf.constant(mean, tf.float32)
