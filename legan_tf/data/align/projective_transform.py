"""Projective transform of pictures: by TensorFlow Addons, or by TensorFlow where there is none.

The only module that uses tensorflow-addons.
"""

from __future__ import annotations

import tensorflow as tf

from legan_tf import optional


def projective_transform(images: tf.Tensor, transforms: tf.Tensor, size: int) -> tf.Tensor:
    """Resamples pictures bilinearly; black beyond the originals.

    Args:
        images: float32 [B, H, W, C].
        transforms: float32 [B, 8], the rows of a projective matrix but for its last element, which
            is 1; from pixels of the result to those of the originals.
        size: Height and width of the result, in pixels.

    Returns:
        float32 [B, size, size, C].
    """
    try:
        addons = optional.require("tensorflow_addons", "Aligning faces")
    except optional.UnavailableError:
        # What Addons calls, on every TensorFlow.
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=transforms,
            output_shape=[size, size],
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
            fill_value=0.0,
        )
    return addons.image.transform(
        images, transforms, interpolation="bilinear", output_shape=[size, size]
    )
