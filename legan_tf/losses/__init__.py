"""Losses: pure functions on tensors that give one value per sample.

The trainer reduces them to one number: under several replicas the sum is divided by the global
batch size, which a mean over the local batch would get wrong.
"""

import importlib
import pkgutil

from legan_tf.losses.adversarial import (
    discriminator_adversarial_loss,
    generator_adversarial_loss,
    gradient_penalty,
    lsgan_discriminator_loss,
    lsgan_generator_loss,
    r1_penalty,
)
from legan_tf.losses.classification import (
    binary_loss,
    classification_loss,
    condition_loss,
    regression_loss,
)
from legan_tf.losses.confidence_penalty import confidence_penalty
from legan_tf.losses.identity import identity_loss
from legan_tf.losses.margin import margin_loss
from legan_tf.losses.mask import mask_size, mask_smoothness
from legan_tf.losses.perceptual import perceptual_loss
from legan_tf.losses.pixel import pixel_loss
from legan_tf.losses.quality import quality_naturalness_loss, quality_preservation_loss
from legan_tf.losses.reconstruction import reconstruction_loss

__all__ = [
    "binary_loss",
    "classification_loss",
    "condition_loss",
    "confidence_penalty",
    "discriminator_adversarial_loss",
    "generator_adversarial_loss",
    "gradient_penalty",
    "identity_loss",
    "lsgan_discriminator_loss",
    "lsgan_generator_loss",
    "margin_loss",
    "mask_size",
    "mask_smoothness",
    "perceptual_loss",
    "pixel_loss",
    "quality_naturalness_loss",
    "quality_preservation_loss",
    "r1_penalty",
    "reconstruction_loss",
    "regression_loss",
]

# Every module of this package registers its terms; see ``losses.terms``.
for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)
