"""The one place for tensorflow-gan: kernel inception distance."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from legan_tf import optional


def kid(first: np.ndarray, second: np.ndarray) -> float:
    """Kernel distance of two sets of features, lower is better (Bińkowski et al., ICLR 2018).

    Args:
        first: float [n,D], features of one set of images.
        second: float [m,D], features of the other, from the same network.

    Returns:
        The unbiased estimate, about 0 for two sets of one kind; it can be a little negative.

    Raises:
        UnavailableError: tensorflow-gan does not work on this TensorFlow.
    """
    tfgan = optional.require("tensorflow_gan", "computing KID")
    distance = tfgan.eval.kernel_classifier_distance_from_activations(
        tf.constant(first, tf.float32), tf.constant(second, tf.float32)
    )
    return float(distance)
