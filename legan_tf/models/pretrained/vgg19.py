"""VGG19, the features of Bodur et al.'s L_per (Simonyan and Zisserman, ICLR 2015)."""

from __future__ import annotations

import os

import keras
import numpy as np

from legan_tf.errors import UserError, first_line
from legan_tf.models.model_files import check_model_file
from legan_tf.runtime.compat import float32_policy

TAPS = tuple(f"block{number}_conv1" for number in range(1, 6))
"""The compared layers, each after its ReLU: relu1_1 to relu5_1."""
LEAST_SIZE = 16
"""Smallest height and width for which the last tap is not empty."""
NOTOP_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
"""The file of weights without the classifier in ``keras.applications``."""
_MEAN = (123.68, 116.779, 103.939)
"""Mean red, green and blue of the training images, 0 to 255."""
_DEVIATION = 57.6
"""Standard deviation of ImageNet's colours, 0.226 of their range, the mean of the three."""


def vgg19_taps(weights: str) -> keras.Model:
    """Returns VGG19 up to ``relu5_1``, frozen, with intermediate outputs ("taps").

    The network and its file are those of ``keras.applications``: the original one of Caffe, on
    pixels of 0 to 255. The VGG19 of torchvision, which pix2pixHD uses, sees pixels in standard
    deviations, so the features are divided by ``_DEVIATION`` to have the same scale under the
    published weights of the loss. It always computes in float32, since bfloat16 would round away
    small differences of features.

    Args:
        weights: ``imagenet``: those of ``keras.applications``, downloaded once (80 MB) into Keras'
            own cache. Or the path of that file, ``NOTOP_FILE``. Or ``random``: He's initialisation,
            the same every time, for trials.

    Returns:
        A model from images [B,H,W,3] in [-1, 1], sides of at least ``LEAST_SIZE``, to the five
        ``TAPS``, a list of float32 [B,h,w,c]: sides of 1, 1/2, 1/4, 1/8 and 1/16, channels 64, 128,
        256, 512 and 512.

    Raises:
        UserError: The weights cannot be downloaded, or the file is not that of the network.
    """
    with float32_policy():
        trunk = _trunk(weights)
        image = keras.layers.Input([None, None, 3], name="image")
        # To 0..255 less the mean, then to blue, green, red.
        shifted = keras.layers.Rescaling(127.5, [127.5 - mean for mean in _MEAN])(image)
        shifted = shifted[:, :, :, ::-1]
        taps = keras.Model(trunk.input, [trunk.get_layer(name).output for name in TAPS])
        scaled = [keras.layers.Rescaling(1 / _DEVIATION)(tap) for tap in taps(shifted)]
        model = keras.Model(image, scaled, name="vgg19_taps")
    model.trainable = False
    return model


def _trunk(weights: str) -> keras.Model:
    """Returns the convolutions with their weights."""
    shape = {"include_top": False, "input_shape": (None, None, 3)}
    if weights == "random":
        trunk = keras.applications.VGG19(weights=None, **shape)
        noise = np.random.default_rng(0)
        drawn = []
        for value in trunk.get_weights():
            # Kernels that preserve the variance (He et al., ICCV 2015); no biases.
            scale = np.sqrt(2.0 / np.prod(value.shape[:-1])) if value.ndim == 4 else 0.0
            drawn.append(noise.normal(0.0, scale, value.shape).astype(np.float32))
        trunk.set_weights(drawn)
        return trunk
    if weights == "imagenet":
        try:
            return keras.applications.VGG19(weights="imagenet", **shape)
        except Exception as error:  # A download fails in many ways, some of them bare Exceptions.
            raise UserError(
                f"--vgg_weights=imagenet: Keras could not download VGG19 ({first_line(error)}); "
                f"give the path of its {NOTOP_FILE} there, or --vgg_weights=random for a trial."
            ) from error
    if not os.path.isfile(weights):
        raise UserError(
            f"--vgg_weights={weights}: no such file; give imagenet, the path of Keras' "
            f"{NOTOP_FILE}, or random for a trial."
        )
    # By any other suffix, Keras takes files for its own new form or for a checkpoint.
    if not weights.endswith(".h5") or weights.endswith(".weights.h5"):
        raise UserError(f"--vgg_weights={weights}: the name must end in .h5, as {NOTOP_FILE} does.")
    try:
        check_model_file(weights)
        return keras.applications.VGG19(weights=weights, **shape)
    except UserError as error:
        raise UserError(f"--vgg_weights={error}") from error
    except Exception as error:  # HDF5 and Keras fail in many ways on what is another file.
        raise UserError(
            f"--vgg_weights={weights}: is not Keras' {NOTOP_FILE}, or is damaged "
            f"({first_line(error)})."
        ) from error
