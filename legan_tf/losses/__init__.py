"""Losses: pure functions on tensors that give one value per sample.

Reducing them to one number is the caller's affair: under several replicas the sum has to be
divided by the global batch size, which a mean over the local batch would get wrong.
"""

from legan_tf.losses.adversarial import critic_loss, generator_loss, gradient_penalty, r1_penalty
from legan_tf.losses.attributes import attribute_loss, entropy_of
from legan_tf.losses.identity import identity_loss
from legan_tf.losses.perceptual import perceptual_loss
from legan_tf.losses.quality import margin_loss, naturalness_loss, preservation_loss
from legan_tf.losses.reconstruction import reconstruction_loss

__all__ = [
    "attribute_loss",
    "critic_loss",
    "entropy_of",
    "generator_loss",
    "gradient_penalty",
    "identity_loss",
    "margin_loss",
    "naturalness_loss",
    "perceptual_loss",
    "preservation_loss",
    "r1_penalty",
    "reconstruction_loss",
]
